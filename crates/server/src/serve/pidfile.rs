//! The file with the number of the process (`run --pidfile`).

use std::fs;
use std::path::PathBuf;
use std::sync::Mutex;

use crate::serve::lock::lock;

/// A file that holds this process's number while it serves.
pub(crate) struct Pidfile {
    path: PathBuf,
    /// Whether the process ends, so that the file is not written any more.
    has_left: Mutex<bool>,
}

impl Pidfile {
    /// The file at this path.
    pub(crate) fn new(path: PathBuf) -> Self {
        Self {
            path,
            has_left: Mutex::new(false),
        }
    }

    /// Writes the number. A failure is only logged, as the hub serves all the same.
    pub(crate) fn write(&self) {
        let has_left = lock(&self.has_left);
        if !*has_left && let Err(error) = fs::write(&self.path, format!("{}\n", std::process::id()))
        {
            tracing::error!(name: "pidfile_failed", %error, file = %self.path.display(), "the number of the process was not written");
        }
    }

    /// Removes the file, if it still holds our number.
    pub(crate) fn remove(&self) {
        *lock(&self.has_left) = true;
        let is_ours = fs::read_to_string(&self.path)
            .is_ok_and(|text| text.trim() == std::process::id().to_string());
        if is_ours && let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(name: "pidfile_failed", %error, file = %self.path.display(), "the file with the number of the process stays");
        }
    }
}
