//! The certificates that this machine trusts (B-018, B-065).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where roots are put, and what makes them count.
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
pub struct Store {
    /// Where our root lies in it.
    pub place: PathBuf,
    update: &'static [&'static str],
}

impl Store {
    /// Finds it.
    ///
    /// # Errors
    /// This system has none that is known.
    pub fn find() -> Result<Self, String> {
        let known = STORES.iter().find(|(folder, _)| Path::new(folder).is_dir());
        let (folder, update) = known.ok_or(
            "this system's store of trusted certificates is not known; install the output of `talaria trust --print` by its own tool",
        )?;
        Ok(Self {
            place: Path::new(folder).join(NAME),
            update,
        })
    }

    /// Whether it holds this root.
    pub fn holds(&self, pem: &str) -> bool {
        fs::read_to_string(&self.place).is_ok_and(|held| held == pem)
    }

    /// Puts a root into it; `source` is where the root lies, for the remedy.
    ///
    /// # Errors
    /// It may not be written, or its program failed.
    pub fn install(&self, pem: &str, source: &Path) -> Result<(), String> {
        fs::write(&self.place, pem).map_err(|error| {
            format!(
                "{} cannot be written: {error}; run as root: cp {} {} && {}",
                self.place.display(),
                source.display(),
                self.place.display(),
                self.update.join(" ")
            )
        })?;
        // What does not count must not look as if it did.
        self.run().inspect_err(|_| _ = fs::remove_file(&self.place))
    }

    /// Takes our root out of it.
    ///
    /// # Errors
    /// As [`Self::install`].
    pub fn remove(&self) -> Result<(), String> {
        fs::remove_file(&self.place)
            .map_err(|error| format!("{}: {error}; run as root", self.place.display()))?;
        self.run()
    }

    fn run(&self) -> Result<(), String> {
        let [program, arguments @ ..] = self.update else {
            return Ok(());
        };
        let failed = |why: String| {
            format!(
                "{} failed: {why}; run it by hand as root",
                self.update.join(" ")
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
}
