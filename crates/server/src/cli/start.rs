//! `talaria start`: runs the hub in the background (B-011).

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

use talaria_config::Error;

use super::{logging, output};

/// What `talaria start --help` adds.
pub(super) const HELP: &str = "\
It returns when the hub serves, or has failed to. The log of the hub goes to the same standard error. Under a
service manager or in a container use `talaria run`.

Example:
  talaria start --config /etc/talaria/Caddyfile --pidfile /run/talaria.pid 2>> /var/log/talaria.log";

/// How often to look whether the hub serves or has ended.
const LOOK: Duration = Duration::from_millis(20);
/// How long a connection may take to say what it is about.
const WORD: Duration = Duration::from_secs(1);

/// The flags of `start`.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The configuration file; without it ./Caddyfile if that exists, else the environment alone.
    #[arg(short, long, value_name = "PATH")]
    config: Option<PathBuf>,
    /// The format of the file; only `caddyfile` is known.
    #[arg(short, long, value_name = "NAME", requires = "config")]
    adapter: Option<String>,
    /// A file of NAME=value lines, for variables that are not set; repeatable.
    #[arg(long, value_name = "PATH")]
    envfile: Vec<PathBuf>,
    /// Reload the configuration when its file, or one that it imports, changes.
    #[arg(short, long)]
    watch: bool,
    /// Write the number of the process to this file while the hub serves.
    #[arg(long, value_name = "PATH")]
    pidfile: Option<PathBuf>,
    #[command(flatten)]
    log: logging::Args,
}

/// Starts the hub.
pub(super) fn start(args: &Args) -> ExitCode {
    match begin(args) {
        Ok(text) => output::print(&text),
        Err(error) => output::failure(error),
    }
}

fn begin(args: &Args) -> Result<String, Error> {
    if args
        .config
        .as_ref()
        .is_some_and(|path| path.as_os_str() == "-")
    {
        return Err(
            Error::new("--config -: a hub in the background reads no standard input")
                .remedy("name a file"),
        );
    }
    let failed = |error| Error::new("the hub cannot be started").caused_by(error);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let mut word = [0; 32];
    getrandom::fill(&mut word)
        .map_err(|error| Error::new(format!("no random numbers: {error}")))?;
    let mut command = command(args).map_err(failed)?;
    command.arg("--pingback").arg(address.to_string());
    let mut child = command.spawn().map_err(failed)?;
    if let Some(mut input) = child.stdin.take() {
        // If the hub has ended already, its exit tells.
        _ = input.write_all(&word);
    }
    wait(&listener, &word, &mut child)?;
    Ok(format!(
        "the hub serves in the background; `talaria stop` ends it, and so does SIGTERM to process {}\n",
        child.id()
    ))
}

fn command(args: &Args) -> std::io::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("run");
    for (name, values) in [
        ("--config", args.config.as_slice()),
        ("--envfile", args.envfile.as_slice()),
        ("--pidfile", args.pidfile.as_slice()),
    ] {
        for value in values {
            command.arg(name).arg(value);
        }
    }
    if let Some(adapter) = &args.adapter {
        command.arg("--adapter").arg(adapter);
    }
    if args.watch {
        command.arg("--watch");
    }
    command.args(args.log.arguments());
    // Another group, so that Ctrl-C in this terminal does not end the hub.
    command
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::null());
    Ok(command)
}

/// Waits until the hub has said the word, as long as it runs: opening a long history takes its time.
fn wait(listener: &TcpListener, word: &[u8], child: &mut Child) -> Result<(), Error> {
    loop {
        if let Ok((stream, _)) = listener.accept() {
            let mut said = Vec::new();
            // Another program may connect, too; it does not know the word.
            _ = stream.set_nonblocking(false);
            _ = stream.set_read_timeout(Some(WORD));
            _ = stream.take(64).read_to_end(&mut said);
            if said == word {
                return Ok(());
            }
        }
        match child.try_wait() {
            Ok(None) => std::thread::sleep(LOOK),
            Ok(Some(status)) => {
                return Err(
                    Error::new(format!("the hub ended before it served: {status}"))
                        .remedy("what it logged says why"),
                );
            }
            Err(error) => return Err(Error::new("the hub cannot be waited for").caused_by(error)),
        }
    }
}
