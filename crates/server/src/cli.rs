//! The command line (B-010 to B-023).

mod about;
mod adapt;
mod admin;
mod arguments;
mod bench;
mod client;
mod completions;
mod dev;
mod doctor;
mod environ;
mod environment;
mod fmt;
mod healthcheck;
mod history;
mod load;
mod logging;
mod manual;
mod output;
mod postgres;
mod publish;
mod revoke;
mod run;
mod runtime;
mod start;
mod subscribe;
#[cfg(test)]
mod tests;
mod token;
mod top;
mod trust;
mod validate;
mod when;

use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use talaria_config::options::reference;

/// Talaria, a Mercure hub: publishes updates to browsers and other clients as server-sent events.
#[derive(Parser)]
#[command(name = "talaria", version, args_conflicts_with_subcommands = true, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    verb: Option<Verb>,
    #[command(flatten)]
    run: run::Args,
}

const EXAMPLES: &str = "\
Without a verb, `talaria` does what `talaria run` does.

Examples:
  talaria dev
      A hub to try things out, with its own key; it prints the commands to use it.
  SERVER_NAME=:80 MERCURE_PUBLISHER_JWT_KEY=… MERCURE_SUBSCRIBER_JWT_KEY=… talaria
      A hub that the environment configures.
  talaria run --config /etc/talaria/Caddyfile
      A hub that a file configures.

Exit codes: 0 success, 1 the command failed, 2 forced to quit by a second signal or SIGQUIT, 141 the reader of
standard output closed it, as `head` does.";

#[derive(Subcommand)]
enum Verb {
    /// Run the hub.
    #[command(after_help = run::help())]
    Run(run::Args),
    /// Run the hub in the background.
    #[command(after_help = start::HELP)]
    Start(start::Args),
    /// Stop a running hub.
    #[command(after_help = admin::STOP_HELP)]
    Stop(admin::StopArgs),
    /// Put a changed configuration file in force in a running hub.
    #[command(after_help = admin::RELOAD_HELP)]
    Reload(admin::ReloadArgs),
    /// Revoke tokens in a running hub, and end their streams.
    #[command(after_help = revoke::HELP)]
    Revoke(revoke::Args),
    /// Run a hub for development on the loopback interface, with its own key.
    #[command(after_help = dev::HELP)]
    Dev(dev::Args),
    /// Check the configuration as `run` would load it; opens neither storage nor network.
    #[command(after_help = validate::HELP)]
    Validate(load::Args),
    /// Print what a configuration says, as JSON.
    #[command(after_help = adapt::HELP)]
    Adapt(adapt::Args),
    /// Print a configuration file in its standard form.
    #[command(after_help = fmt::HELP)]
    Fmt(fmt::Args),
    /// Ask a hub on this machine whether it can serve.
    #[command(after_help = healthcheck::HELP)]
    Healthcheck(healthcheck::Args),
    /// Make an access token, or check one against the configuration.
    #[command(alias = "mercure-token")]
    Token(Box<token::Args>),
    /// Publish an update to any hub.
    Publish(publish::PublishArgs),
    /// Look into the history on disk, export, import, verify or repair it.
    History(history::Args),
    /// Say what a log in PostgreSQL needs there.
    Postgres(postgres::Args),
    /// Print what a subscriber of any hub receives.
    Subscribe(subscribe::SubscribeArgs),
    /// Examine a hub as its clients see it, and say what to do about what is wrong.
    Doctor(doctor::Args),
    /// Show live what the metrics of running hubs say.
    #[command(after_help = top::HELP)]
    Top(top::Args),
    /// Measure a hub under load, beside the machine's floor.
    Bench(Box<talaria_bench::BenchArgs>),
    /// Make this machine and this user's browsers trust the local authority.
    #[command(after_help = trust::HELP)]
    Trust(trust::Args),
    /// Take the local authority out of the stores of this machine and this user again.
    Untrust(trust::RemoveArgs),
    /// Print the environment, without secrets.
    Environ,
    /// Print what of the existing server's modules there is.
    ListModules(about::ModulesArgs),
    /// Print how the program was built.
    BuildInfo,
    /// Print completions for a shell.
    #[command(alias = "completion", after_help = completions::HELP)]
    Completions(completions::Args),
    /// Print the manual page, or write those of all verbs.
    #[command(alias = "manpage", after_help = manual::HELP)]
    Man(manual::Args),
    /// Print the version, the commit and the target.
    Version(about::VersionArgs),
    /// Print the reference page of the configuration.
    #[command(hide = true)]
    Reference,
}

/// Parses the command line and runs the verb.
pub(crate) fn main() -> ExitCode {
    let given: Vec<_> = std::env::args_os().collect();
    let command = command();
    let arguments = arguments::with_two_dashes(command.clone(), given);
    let parsed = command.try_get_matches_from(&arguments);
    match parsed.and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => dispatch(cli),
        Err(error) => {
            // A usage error is a failed command; clap's own code means a forced quit here (B-021).
            let code = if error.use_stderr() {
                ExitCode::FAILURE
            } else {
                ExitCode::SUCCESS
            };
            let kind = error.kind();
            let printed = output::wait_for(move || error.print());
            if kind == clap::error::ErrorKind::UnknownArgument {
                for successor in arguments::successors(&arguments) {
                    output::say(&format!("\n  {successor}"));
                }
            }
            if kind == clap::error::ErrorKind::InvalidSubcommand
                && let Some(remedy) = arguments::verb_of_the_server(&arguments)
            {
                output::say(&format!("\n  {remedy}"));
            }
            match printed {
                Some(Ok(())) => code,
                Some(Err(error)) if code == ExitCode::SUCCESS => {
                    output::failure(output::not_written(error))
                }
                Some(Err(_)) | None => ExitCode::FAILURE,
            }
        }
    }
}

/// The command line, under the name by which the program was called.
fn command() -> clap::Command {
    arguments::called(Cli::command(), std::env::args_os().next().as_ref())
}

fn dispatch(cli: Cli) -> ExitCode {
    match cli.verb.unwrap_or(Verb::Run(cli.run)) {
        Verb::Run(args) => run::run(&args),
        Verb::Start(args) => start::start(&args),
        Verb::Stop(args) => admin::stop(&args),
        Verb::Reload(args) => admin::reload(&args),
        Verb::Revoke(args) => revoke::revoke(&args),
        Verb::Dev(args) => dev::main(&args),
        Verb::Validate(args) => validate::validate(&args),
        Verb::Adapt(args) => adapt::adapt(&args),
        Verb::Fmt(args) => fmt::fmt(&args),
        Verb::Healthcheck(args) => healthcheck::healthcheck(&args),
        Verb::Token(args) => token::main(&args),
        Verb::Publish(args) => publish::run(&args),
        Verb::History(args) => history::main(&args),
        Verb::Postgres(args) => postgres::main(&args),
        Verb::Subscribe(args) => subscribe::run(&args),
        Verb::Doctor(args) => doctor::run(&args),
        Verb::Top(args) => top::top(&args),
        Verb::Bench(args) => bench::bench(&args),
        Verb::Trust(args) => trust::trust(&args),
        Verb::Untrust(args) => trust::untrust(&args),
        Verb::Environ => environ::environ(),
        Verb::ListModules(args) => about::list_modules(&args),
        Verb::BuildInfo => about::build_info(),
        Verb::Completions(args) => completions::completions(command(), &args),
        Verb::Man(args) => manual::manual(command(), &args),
        Verb::Version(args) => about::version(&args),
        Verb::Reference => output::print(&reference::page()),
    }
}
