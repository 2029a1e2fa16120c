//! The directory that a measurement uses.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::Problem;

/// A directory that is removed at the end.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    /// Creates it below another directory.
    ///
    /// # Errors
    /// When it cannot be created.
    pub(crate) fn new(parent: &Path) -> Result<Self, Problem> {
        let path = parent.join(format!("talaria-bench-{}", std::process::id()));
        fs::create_dir_all(&path).map_err(|error| Problem::Path {
            path: parent.to_owned(),
            error,
        })?;
        Ok(Self(path))
    }

    /// Its path.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// The path of a directory or file in it.
    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            eprintln!("{}: {error}; remove it", self.0.display());
        }
    }
}

/// The files of a directory with an extension.
pub(crate) fn files(directory: &Path, extension: &str) -> impl Iterator<Item = PathBuf> {
    let files = fs::read_dir(directory).into_iter().flatten().flatten();
    files
        .map(|file| file.path())
        .filter(move |path| path.extension().is_some_and(|found| found == extension))
}

/// The bytes of a history's segments.
pub(crate) fn segment_bytes(directory: &Path) -> u64 {
    files(directory, "segment")
        .filter_map(|path| path.metadata().ok())
        .map(|metadata| metadata.len())
        .sum()
}
