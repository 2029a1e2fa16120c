//! The certificates that this machine trusts (B-018, B-065).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use talaria_config::Error;

/// The folders of roots, and the commands that make the system read them.
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

/// The system's store.
pub(crate) struct Store {
    /// Where our root lies in it.
    pub place: PathBuf,
    update: &'static [&'static str],
}

impl Store {
    /// Finds it.
    ///
    /// # Errors
    /// This system has none that is known.
    pub(crate) fn find() -> Result<Self, Error> {
        let known = STORES.iter().find(|(folder, _)| Path::new(folder).is_dir());
        let (folder, update) = known.ok_or_else(|| {
            Error::new("this system's store of trusted certificates is not known")
                .remedy("install the output of `talaria trust --print` by its own tool")
        })?;
        Ok(Self {
            place: Path::new(folder).join(NAME),
            update,
        })
    }

    /// Whether it holds this root.
    pub(crate) fn holds(&self, pem: &str) -> bool {
        fs::read_to_string(&self.place).is_ok_and(|held| held == pem)
    }

    /// Puts a root into it; `source` is where the root lies, for the remedy.
    ///
    /// # Errors
    /// It may not be written, or its program failed.
    pub(crate) fn install(&self, pem: &str, source: &Path) -> Result<(), Error> {
        fs::write(&self.place, pem).map_err(|error| {
            let place = self.place.display();
            Error::new(format!("{place} cannot be written"))
                .caused_by(error)
                .remedy(format!(
                    "run as root: cp {} {place} && {}",
                    source.display(),
                    self.update.join(" ")
                ))
        })?;
        // A root that does not count must not look as if it did.
        self.run().inspect_err(|_| _ = fs::remove_file(&self.place))
    }

    /// Removes our root from it.
    ///
    /// # Errors
    /// As [`Self::install`].
    pub(crate) fn remove(&self) -> Result<(), Error> {
        fs::remove_file(&self.place).map_err(|error| {
            Error::new(self.place.display().to_string())
                .caused_by(error)
                .remedy("run as root")
        })?;
        self.run()
    }

    fn run(&self) -> Result<(), Error> {
        let [program, arguments @ ..] = self.update else {
            return Ok(());
        };
        let failed = |why: String| {
            Error::new(format!("{} failed: {why}", self.update.join(" ")))
                .remedy("run it by hand as root")
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
}
