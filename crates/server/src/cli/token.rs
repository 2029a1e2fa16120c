//! `talaria token`: mints access tokens (B-030 to B-044) and checks them.

use std::fs::File;
use std::process::ExitCode;

use clap::Subcommand;

use crate::folders;

mod check;
mod mint;

pub use mint::{DEV_EXPIRY, DEV_ISSUER, uuid};

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
  talaria token check @token.txt --config /etc/talaria/Caddyfile
      Whether that hub would accept the token, and why not."
)]
pub struct Args {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    mint: mint::Args,
}

#[derive(Subcommand)]
enum Action {
    /// Say whether a hub with this configuration would accept a token, and why not.
    #[command(after_help = "\
Exit code 0 when the token is accepted for a role at least, else 1.

Examples:
  talaria token check @token.txt --config /etc/talaria/Caddyfile
  pbpaste | talaria token check - --url https://hub.example/.well-known/mercure")]
    Check(check::Args),
}

/// Mints or checks a token.
pub fn main(args: &Args) -> ExitCode {
    let done = match &args.action {
        Some(Action::Check(args)) => check::check(args),
        None => mint::mint(&args.mint).map(|token| super::print(&format!("{token}\n"))),
    };
    done.unwrap_or_else(super::failure)
}

/// The text that an argument means: itself, a file (`@path`) or standard input (`@-`), without one
/// line end (B-033).
///
/// # Errors
///
/// The file or the input cannot be read as text.
fn text(argument: &str) -> Result<String, String> {
    let Some(path) = argument.strip_prefix('@') else {
        return Ok(argument.to_owned());
    };
    let read = match path {
        "-" => folders::read_at_most(std::io::stdin(), folders::KEY_BYTES),
        // A pipe that a shell made, too.
        path => File::open(path).and_then(|file| folders::read_at_most(file, folders::KEY_BYTES)),
    };
    let text = read.and_then(folders::text).map_err(|error| {
        format!("{argument}: {error}\n  give `@` and the path of a readable text file")
    })?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    Ok(text.strip_suffix('\r').unwrap_or(text).to_owned())
}
