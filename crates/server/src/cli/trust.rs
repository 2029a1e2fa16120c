//! `talaria trust`: makes this machine trust the root of the local authority (B-018, B-065).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use crate::tls;

/// The flags of `trust`.
#[derive(clap::Args)]
pub struct Args {
    /// Print the root certificate in PEM instead, to install it elsewhere.
    #[arg(long)]
    print: bool,
}

/// A system store: where roots are put, and what makes them count.
const STORES: [(&str, &[&str]); 2] = [
    // Debian, Ubuntu, Alpine.
    (
        "/usr/local/share/ca-certificates",
        &["update-ca-certificates"],
    ),
    // Fedora, RHEL.
    (
        "/etc/pki/ca-trust/source/anchors",
        &["update-ca-trust", "extract"],
    ),
];
const NAME: &str = "talaria-local-authority.crt";

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
    let removed = store().and_then(|(folder, update)| {
        let place = folder.join(NAME);
        if !place.exists() {
            return Ok(format!("{} is not there; nothing to do\n", place.display()));
        }
        fs::remove_file(&place)
            .map_err(|error| format!("{}: {error}; run as root", place.display()))?;
        run(update)?;
        Ok(format!("removed {}\n", place.display()))
    });
    match removed {
        Ok(text) => super::print(&text),
        Err(error) => super::failure(error),
    }
}

fn root() -> Result<PathBuf, String> {
    Ok(tls::directory()?.join("root.crt"))
}

fn store() -> Result<(&'static Path, &'static [&'static str]), String> {
    let known = STORES
        .iter()
        .map(|(folder, update)| (Path::new(*folder), *update));
    known.into_iter().find(|(folder, _)| folder.is_dir()).ok_or_else(|| {
        "this system's store of trusted certificates is not known; install the output of `talaria trust --print` by its own tool".to_owned()
    })
}

fn install(pem: &str, root: &Path) -> Result<String, String> {
    let (folder, update) = store()?;
    let place = folder.join(NAME);
    fs::write(&place, pem).map_err(|error| {
        format!(
            "{} cannot be written: {error}; run as root: cp {} {} && {}",
            place.display(),
            root.display(),
            place.display(),
            update.join(" ")
        )
    })?;
    run(update)?;
    Ok(format!(
        "this machine trusts {}; restart the browser (Firefox has a store of its own: import the output of `talaria trust --print` there)\n",
        root.display()
    ))
}

fn run(command: &[&str]) -> Result<(), String> {
    let [program, arguments @ ..] = command else {
        return Ok(());
    };
    let failed = |why: String| {
        format!(
            "{} failed: {why}; run it by hand as root",
            command.join(" ")
        )
    };
    let output = Command::new(program)
        .args(arguments)
        .output()
        .map_err(|error| failed(error.to_string()))?;
    if output.status.success() {
        Ok(())
    } else {
        Err(failed(
            String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        ))
    }
}
