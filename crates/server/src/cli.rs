//! The command line (B-010 to B-023).

mod arguments;
mod client;
mod dev;
mod doctor;
mod history;
mod load;
mod publish;
mod subscribe;
mod token;
mod trust;

use std::fmt::Display;
use std::process::ExitCode;
use std::sync::mpsc;
use std::time::Duration;

use clap::{CommandFactory as _, Parser, Subcommand};

pub use client::explain;

use crate::config::{self, Level, Notice};
use crate::options::reference;
use crate::run;

/// Talaria, a Mercure hub: publishes updates to browsers and other clients as server-sent events.
#[derive(Parser)]
#[command(name = "talaria", version, args_conflicts_with_subcommands = true, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    verb: Option<Verb>,
    #[command(flatten)]
    run: load::Args,
}

const EXAMPLES: &str = "\
Without a verb, `talaria` does what `talaria run` does.

Examples:
  talaria dev
      A hub to try things out, with a key of its own; it prints the commands to use it.
  SERVER_NAME=:80 MERCURE_PUBLISHER_JWT_KEY=… MERCURE_SUBSCRIBER_JWT_KEY=… talaria
      A hub that the environment configures.
  talaria run --config /etc/talaria/Caddyfile
      A hub that a file configures.

Exit codes: 0 success, 1 the command failed, 2 forced to quit by a second signal.";

#[derive(Subcommand)]
enum Verb {
    /// Run the hub.
    #[command(after_help = "\
Without --config, ./Caddyfile is used if it exists, else the environment alone configures the hub.
docs/configuration.md lists every directive and variable.

Example:
  SERVER_NAME=:3000 MERCURE_PUBLISHER_JWT_KEY=… MERCURE_EXTRA_DIRECTIVES=anonymous talaria run")]
    Run(load::Args),
    /// Run a hub for development on the loopback interface, with a key of its own.
    #[command(after_help = dev::HELP)]
    Dev(dev::Args),
    /// Check the configuration as `run` would load it; opens neither storage nor network.
    #[command(after_help = "\
Exit code 0 and one line when it is valid, else 1 and the error with its place.

Example:
  talaria validate --config /etc/talaria/Caddyfile")]
    Validate(load::Args),
    /// Make an access token, or check one against the configuration.
    Token(Box<token::Args>),
    /// Publish an update to any hub.
    Publish(publish::PublishArgs),
    /// Look into the history on disk, export, import, verify or repair it.
    History(history::Args),
    /// Print what a subscriber of any hub receives.
    Subscribe(subscribe::SubscribeArgs),
    /// Examine a hub as its clients see it, and say what to do about what is wrong.
    Doctor(doctor::Args),
    /// Measure a hub under load, beside the machine's floor.
    Bench(Box<talaria_bench::BenchArgs>),
    /// Make this machine trust the certificates of the local authority.
    Trust(trust::Args),
    /// Make it trust them no more.
    Untrust,
    /// Print the version.
    Version,
    /// Print the reference page of the configuration.
    #[command(hide = true)]
    Reference,
}

/// Parses the command line and runs the verb.
pub fn main() -> ExitCode {
    let arguments = arguments::with_two_dashes(Cli::command(), std::env::args_os().collect());
    match Cli::try_parse_from(&arguments) {
        Ok(cli) => dispatch(cli),
        Err(error) => {
            // A usage error is a failed command; clap's own code means a forced quit here (B-021).
            let code = if error.use_stderr() {
                ExitCode::FAILURE
            } else {
                ExitCode::SUCCESS
            };
            let kind = error.kind();
            let printed = wait_for(move || error.print());
            if kind == clap::error::ErrorKind::UnknownArgument {
                for successor in arguments::successors(&arguments) {
                    say(&format!("\n  {successor}"));
                }
            }
            match printed {
                Some(Ok(())) => code,
                Some(Err(_)) | None => ExitCode::FAILURE,
            }
        }
    }
}

fn dispatch(cli: Cli) -> ExitCode {
    match cli.verb.unwrap_or(Verb::Run(cli.run)) {
        Verb::Run(args) => match args.load() {
            Ok((loaded, _)) => run::serve(loaded, |_| {}),
            Err(error) => failure(error),
        },
        Verb::Dev(args) => dev::main(&args),
        Verb::Validate(args) => match args.load() {
            Ok((loaded, name)) => {
                warn(&loaded.notices);
                let issuers = loaded.settings.issuers.iter().len();
                print(&format!(
                    "the configuration is valid: {name}, issuers: {issuers}\n"
                ))
            }
            Err(error) => failure(error),
        },
        Verb::Token(args) => token::main(&args),
        Verb::Publish(args) => publish::run(&args),
        Verb::History(args) => history::main(&args),
        Verb::Subscribe(args) => subscribe::run(&args),
        Verb::Doctor(args) => doctor::run(&args),
        Verb::Bench(args) => match talaria_bench::run(&args) {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::FAILURE,
            Err(error) => failure(error),
        },
        Verb::Trust(args) => trust::trust(&args),
        Verb::Untrust => trust::untrust(),
        Verb::Version => print(concat!("Talaria ", env!("CARGO_PKG_VERSION"), "\n")),
        Verb::Reference => print(&reference::page()),
    }
}

/// Writes the one error message of a failed command.
fn failure(error: impl Display) -> ExitCode {
    say(&format!("error: {error}"));
    ExitCode::FAILURE
}

/// Writes a line to standard error. Where that cannot be written, the exit code has to do.
fn say(line: &str) {
    use std::io::Write as _;
    let line = format!("{line}\n");
    wait_for(move || std::io::stderr().write_all(line.as_bytes()));
}

/// Writes to standard output or standard error on a thread, and waits 2 s at most for a reader that does
/// not read; `None` if the text is not written by then.
fn wait_for(
    write: impl FnOnce() -> std::io::Result<()> + Send + 'static,
) -> Option<std::io::Result<()>> {
    const LIMIT: Duration = Duration::from_secs(2);
    let (written, done) = mpsc::channel();
    let writer = std::thread::Builder::new().spawn(move || {
        // After the limit there is no receiver.
        _ = written.send(write());
    });
    writer.ok()?;
    done.recv_timeout(LIMIT).ok()
}

/// Writes text to standard output; a closed pipe is a failure, not a panic.
fn print(text: &str) -> ExitCode {
    match write_out(text) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failure(format!("standard output: {error}")),
    }
}

fn write_out(text: &str) -> std::io::Result<()> {
    use std::io::Write as _;
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// Writes notices to standard error, for verbs that have no log.
fn warn(notices: &[Notice]) {
    for notice in notices {
        let level = match notice.level {
            Level::Info => "info",
            Level::Warning => "warning",
        };
        say(&format!("{level}: {}", notice.text));
    }
}

/// Warns of a mistake in a key that a verb was given; `source` says where.
///
/// # Errors
///
/// When it cannot be meant as a key.
fn check_key(source: &str, key: &str) -> Result<(), String> {
    match config::find_mistake(key) {
        // The verb that uses PEM text says what is wrong with it.
        Some(config::Mistake::Fatal(says)) if !key.contains("-----BEGIN") => {
            return Err(format!("{source}: the key {says}"));
        }
        Some(config::Mistake::Fatal(says) | config::Mistake::Likely(says)) => {
            say(&format!("warning: {source}: the key {says}"));
        }
        Some(config::Mistake::Possible(_)) | None => {}
    }
    Ok(())
}

/// A variable of the process environment as text.
///
/// # Errors
///
/// When a variable that configures something is not UTF-8: silence would mean a hub without it.
fn environment() -> Result<std::collections::HashMap<String, String>, String> {
    let mut variables = std::collections::HashMap::new();
    for (name, value) in std::env::vars_os() {
        match (name.into_string(), value.into_string()) {
            (Ok(name), Ok(value)) => {
                variables.insert(name, value);
            }
            (Ok(name), Err(_))
                if name.starts_with("MERCURE_")
                    || name == crate::log::VARIABLE
                    || crate::options::reads(&name) =>
            {
                return Err(format!(
                    "the variable {name} is not UTF-8\n  write it as text; a key in PEM or as text"
                ));
            }
            (Ok(_) | Err(_), _) => {}
        }
    }
    Ok(variables)
}
