//! `talaria trust` and `untrust`: whether this machine and this user's browsers trust the root of the local
//! authority (B-018, B-065).

mod chosen;
mod told;

use std::process::ExitCode;

use talaria_config::Error;

use self::chosen::Which;
use super::output;
use super::runtime::block_on;
use crate::serve::trust_stores::{self, Folders, Reach, Visit};

/// What `talaria trust --help` adds.
pub(super) const HELP: &str = "\
The root goes into the system's store, which only root may change, and into the databases of this user's
browsers, for which `certutil` must be installed. Each store that exists is listed with what happened to it, and
what to do for programs that have other stores. The exit code is 1 if a store could not be changed.

Examples:
  talaria trust
  talaria trust --print > root.crt
      The root, to install it on another machine.
  talaria trust --cert root.crt
      Trust the root of another hub.
  talaria untrust
      Take it out of every store again.";

/// The flags of `trust`.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Print the root certificate in PEM instead, to install it elsewhere.
    #[arg(long, conflicts_with = "remove")]
    print: bool,
    /// Take the root out again; the same as `talaria untrust`.
    #[arg(long)]
    remove: bool,
    #[command(flatten)]
    which: Which,
}

/// The flags of `untrust`.
#[derive(clap::Args)]
pub(super) struct RemoveArgs {
    #[command(flatten)]
    which: Which,
}

/// Installs, prints or removes the root.
pub(super) fn trust(args: &Args) -> ExitCode {
    if args.remove {
        return remove(&args.which);
    }
    let done = args.which.root().and_then(|root| {
        if args.print {
            return Ok((root.pem, Vec::new()));
        }
        let folders = folders()?;
        let visits = block_on(async {
            Ok(trust_stores::install(&root, Some(&folders), Reach::Created).await)
        })?;
        Ok((told::installed(&root, &visits), visits))
    });
    finish(done)
}

/// Removes the root from every store.
pub(super) fn untrust(args: &RemoveArgs) -> ExitCode {
    remove(&args.which)
}

fn remove(which: &Which) -> ExitCode {
    let done = which.root().and_then(|root| {
        let folders = folders()?;
        let visits = block_on(async { Ok(trust_stores::remove(&root, &folders).await) })?;
        Ok((told::removed(&root, &visits), visits))
    });
    finish(done)
}

fn folders() -> Result<Folders, Error> {
    Folders::of_user().ok_or_else(|| Error::new("there is no home folder").remedy("set HOME"))
}

/// Prints what was done; a store that could not be changed fails the command.
fn finish(done: Result<(String, Vec<Visit>), Error>) -> ExitCode {
    match done {
        Ok((text, visits)) => {
            let printed = output::print(&text);
            match visits.iter().all(|visit| visit.outcome.is_ok()) {
                true => printed,
                false => ExitCode::FAILURE,
            }
        }
        Err(error) => output::failure(error),
    }
}
