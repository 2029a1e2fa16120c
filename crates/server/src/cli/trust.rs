//! `talaria trust`: makes this machine trust the root of the local authority (B-018, B-065).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::tls::{self, Store};

/// The flags of `trust`.
#[derive(clap::Args)]
pub struct Args {
    /// Print the root certificate in PEM instead, to install it elsewhere.
    #[arg(long)]
    print: bool,
}

/// Installs or prints the root.
pub fn trust(args: &Args) -> ExitCode {
    let done = root().and_then(|root| {
        let pem = fs::read_to_string(&root).map_err(|error| {
            format!(
                "there is no root certificate at {}: {error}; it is made when a hub with an HTTPS address starts, with the same XDG_DATA_HOME",
                root.display()
            )
        })?;
        if args.print {
            return Ok(pem);
        }
        install(&pem, &root)
    });
    match done {
        Ok(text) => super::print(&text),
        Err(error) => super::failure(error),
    }
}

/// Takes the root out of the system's store.
pub fn untrust() -> ExitCode {
    let removed = Store::find().and_then(|store| {
        let place = store.place.display();
        if !store.place.exists() {
            return Ok(format!("{place} is not there; nothing to do\n"));
        }
        store.remove()?;
        Ok(format!("removed {place}\n"))
    });
    match removed {
        Ok(text) => super::print(&text),
        Err(error) => super::failure(error),
    }
}

fn root() -> Result<PathBuf, String> {
    Ok(tls::directory()?.join("root.crt"))
}

fn install(pem: &str, root: &Path) -> Result<String, String> {
    Store::find()?.install(pem, root)?;
    Ok(format!(
        "this machine trusts {}; restart the browser (Firefox has a store of its own: import the output of `talaria trust --print` there)\n",
        root.display()
    ))
}
