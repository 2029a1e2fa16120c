//! `talaria trust`: makes this machine trust the root of the local authority (B-018, B-065).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use talaria_config::Error;

use super::output;
use crate::serve::tls::{self, Store};

/// The flags of `trust`.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Print the root certificate in PEM instead, to install it elsewhere.
    #[arg(long)]
    print: bool,
}

/// Installs or prints the root.
pub(super) fn trust(args: &Args) -> ExitCode {
    let done = root().and_then(|root| {
        let pem = fs::read_to_string(&root).map_err(|error| {
            Error::new(format!(
                "there is no root certificate at {}",
                root.display()
            ))
            .caused_by(error)
            .remedy("start a hub with an HTTPS address and the same XDG_DATA_HOME; it makes one")
        })?;
        if args.print {
            return Ok(pem);
        }
        install(&pem, &root)
    });
    match done {
        Ok(text) => output::print(&text),
        Err(error) => output::failure(error),
    }
}

/// Removes the root from the system's store.
pub(super) fn untrust() -> ExitCode {
    let removed = Store::find().and_then(|store| {
        let place = store.place.display();
        if !store.place.exists() {
            return Ok(format!("{place} is not there; nothing to do\n"));
        }
        store.remove()?;
        Ok(format!("removed {place}\n"))
    });
    match removed {
        Ok(text) => output::print(&text),
        Err(error) => output::failure(error),
    }
}

fn root() -> Result<PathBuf, Error> {
    Ok(tls::directory()?.join("root.crt"))
}

fn install(pem: &str, root: &Path) -> Result<String, Error> {
    Store::find()?.install(pem, root)?;
    Ok(format!(
        "this machine trusts {}; restart the browser (Firefox has its own store: import the output of `talaria trust --print` there)\n",
        root.display()
    ))
}
