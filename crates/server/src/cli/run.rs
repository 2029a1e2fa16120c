//! `talaria run`: serves until a signal ends it.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use talaria_config::guide::Page;
use talaria_config::{Error, Notice};

use super::{environ, load, output};
use crate::serve::autosave;
use crate::serve::control::{Configuration, Origin};
use crate::serve::run::serve_from;

/// What `talaria run --help` adds.
pub(super) fn help() -> String {
    format!(
        "{HELP}\n\nEvery directive and variable: {}",
        Page::CONFIGURATION
    )
}

const HELP: &str = "\
Without --config, ./Caddyfile is used if it exists; otherwise the environment alone configures the hub. SIGUSR1, `talaria reload` and --watch put a changed
file in force; a wrong one leaves the old one in force.

Example:
  SERVER_NAME=:3000 MERCURE_PUBLISHER_JWT_KEY=… MERCURE_EXTRA_DIRECTIVES=anonymous talaria run";

/// The most bytes by which a start is confirmed.
const PING: u64 = 64;
/// How long the verb that waits for them may take to accept them.
const PONG: Duration = Duration::from_secs(5);

/// The flags of `run`.
#[derive(Clone, clap::Args)]
#[group(skip)]
pub(super) struct Args {
    #[command(flatten)]
    load: load::Args,
    /// Print the environment before the start, without secrets.
    #[arg(short, long)]
    environ: bool,
    /// Use the configuration that was last loaded by `talaria reload` or the admin listener, if there is one.
    #[arg(short, long)]
    resume: bool,
    /// Reload the configuration when its file, or one that it imports, changes.
    #[arg(short, long)]
    watch: bool,
    /// Write the number of the process to this file while the hub serves.
    #[arg(long, value_name = "PATH")]
    pidfile: Option<PathBuf>,
    /// Confirm the start there with what standard input holds; `talaria start` uses it.
    #[arg(long, value_name = "ADDRESS", hide = true)]
    pingback: Option<SocketAddr>,
}

/// Runs the hub.
pub(super) fn run(args: &Args) -> ExitCode {
    if args.environ {
        // The hub runs even if no process reads the list.
        _ = output::write_out(&environ::text());
    }
    let begun = configuration(args).and_then(|configuration| Ok((configuration, ping(args)?)));
    let (configuration, ping) = match begun {
        Ok(begun) => begun,
        Err(error) => return output::failure(error),
    };
    let Configuration { loaded, source } = configuration;
    let origin = Origin {
        reader: Arc::new(args.load.clone()),
        source,
        autosave: autosave::path(),
        watched: args.load.path().filter(|_| args.watch),
        pidfile: args.pidfile.clone(),
    };
    serve_from(loaded, Some(origin), move |_| {
        if let Some((address, text)) = ping
            && let Err(error) = confirm(address, &text)
        {
            tracing::warn!(name: "start_unconfirmed", %error, "the start could not be confirmed");
        }
    })
}

fn configuration(args: &Args) -> Result<Configuration, Error> {
    if args.watch && args.load.path().is_none() {
        return Err(
            Error::new("--watch: there is no configuration file to watch")
                .remedy("name one by --config, or leave --watch out"),
        );
    }
    if args.resume
        && let Some(path) = autosave::path()
    {
        if let Some(file) = autosave::read(&path)? {
            let mut configuration = args.load.read(Some(file))?;
            let text = format!(
                "the configuration is the one that was last loaded ({})",
                path.display()
            );
            configuration.loaded.notices.insert(0, Notice::info(text));
            return Ok(configuration);
        }
        let mut configuration = args.load.read(args.load.file()?)?;
        let text = "--resume: no configuration was kept yet";
        configuration.loaded.notices.insert(0, Notice::info(text));
        return Ok(configuration);
    }
    args.load.read(args.load.file()?)
}

/// Where to confirm the start, and with what.
fn ping(args: &Args) -> Result<Option<(SocketAddr, Vec<u8>)>, Error> {
    let Some(address) = args.pingback else {
        return Ok(None);
    };
    if args.load.reads_standard_input() {
        return Err(
            Error::new("--pingback: standard input is the configuration")
                .remedy("name a file by --config"),
        );
    }
    let mut text = Vec::new();
    let read = std::io::stdin().take(PING).read_to_end(&mut text);
    read.map_err(|error| Error::new("standard input").caused_by(error))?;
    Ok(Some((address, text)))
}

fn confirm(address: SocketAddr, text: &[u8]) -> std::io::Result<()> {
    let mut stream = TcpStream::connect_timeout(&address, PONG)?;
    stream.set_write_timeout(Some(PONG))?;
    stream.write_all(text)
}
