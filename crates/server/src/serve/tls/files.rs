//! Files that the hub writes for itself: as a whole or not at all.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use talaria_config::folders;

/// Makes a folder, with those around it, that its owner alone may enter.
pub(super) fn make_folder(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true).mode(0o700).create(folder)
}

/// A file that is written and synced beside its place.
pub(super) struct Beside {
    place: PathBuf,
    beside: PathBuf,
}

impl Beside {
    /// Writes it.
    pub(super) fn write(place: &Path, mode: u32, content: &[u8]) -> io::Result<Self> {
        let beside = beside(place);
        let mut file = folders::create_own(&beside, mode)?;
        file.write_all(content)?;
        file.sync_all()?;
        Ok(Self {
            place: place.to_owned(),
            beside,
        })
    }

    /// Puts it in its place, and makes that durable.
    pub(super) fn put(self) -> io::Result<()> {
        fs::rename(&self.beside, &self.place)?;
        match self.place.parent() {
            Some(folder) => File::open(folder)?.sync_all(),
            None => Ok(()),
        }
    }
}

/// Where a file is written before it takes its place.
pub(super) fn beside(place: &Path) -> PathBuf {
    let mut name = place.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    place.with_file_name(name)
}

/// Writes a file.
pub(super) fn write(place: &Path, mode: u32, content: &[u8]) -> io::Result<()> {
    Beside::write(place, mode, content)?.put()
}
