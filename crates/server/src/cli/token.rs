//! `talaria token`: mints access tokens and checks them (B-030 to B-044).

mod argument;
mod check;
mod decoded;
mod grants;
mod mint;
mod options;

use std::process::ExitCode;

use clap::Subcommand;

use super::output;

pub(super) use decoded::Decoded;
pub(super) use mint::{DEV_EXPIRY, DEV_ISSUER, uuid};

/// The flags of `token`.
#[derive(clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
--key, --payload and the token to check may be `@path` (a file) or `@-` (standard input).

Examples:
  talaria token --iss https://localhost --aud https://hub.example/.well-known/mercure \\
      --key @publisher.key --publish https://example.com/books/1
      A token of one hour that may publish to one topic.
  talaria token --dev --subscribe-urlpattern 'https://example.com/books/:id'
      A token for a hub at https://localhost with the well-known development key, which is not
      the key of `talaria dev`.
  talaria token --generation 0.x --key @publisher.key --publish '*'
      A token of Mercure 0.x that may publish to every topic, as applications of Symfony send.
  talaria token check @token.txt --config /etc/talaria/Caddyfile
      Whether that hub would accept the token, and why not."
)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    mint: options::Args,
}

#[derive(Subcommand)]
enum Action {
    /// Say what a token grants and until when, and whether a hub with this configuration accepts it.
    #[command(after_help = "\
Exit code 0 if the token is accepted for at least one role, else 1.

Examples:
  talaria token check @token.txt --config /etc/talaria/Caddyfile
  pbpaste | talaria token check - --url https://hub.example/.well-known/mercure")]
    Check(check::Args),
}

/// Mints or checks a token.
pub(super) fn main(args: &Args) -> ExitCode {
    let done = match &args.action {
        Some(Action::Check(args)) => check::check(args),
        None => mint::mint(&args.mint).map(|token| output::print(&format!("{token}\n"))),
    };
    done.unwrap_or_else(output::failure)
}
