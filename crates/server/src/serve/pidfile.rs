//! The file with the number of the process (`run --pidfile`).

use std::fs;
use std::path::PathBuf;

/// A file that holds this process's number while it serves.
pub(crate) struct Pidfile(PathBuf);

impl Pidfile {
    /// The file at this path.
    pub(crate) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// Writes the number. A failure is only logged, as the hub serves all the same.
    pub(crate) fn write(&self) {
        if let Err(error) = fs::write(&self.0, format!("{}\n", std::process::id())) {
            tracing::error!(%error, file = %self.0.display(), "the number of the process was not written");
        }
    }

    /// Removes the file, if it still holds our number.
    pub(crate) fn remove(&self) {
        let is_ours = fs::read_to_string(&self.0)
            .is_ok_and(|text| text.trim() == std::process::id().to_string());
        if is_ours && let Err(error) = fs::remove_file(&self.0) {
            tracing::warn!(%error, file = %self.0.display(), "the file with the number of the process stays");
        }
    }
}
