//! Files that the hub writes for itself: as a whole or not at all.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use talaria_config::folders;

/// How often, and with which pause, a lock that another holds is asked for: work on these files takes milliseconds.
const ATTEMPTS: u32 = 200;
const PAUSE: Duration = Duration::from_millis(50);

/// Opens a file for a lock. What is in it stays.
pub(super) fn open_lock(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600);
    options.open(path)
}

/// Waits until no other program and no other thread works on the files beside `path`. The lock ends with the file.
/// `None` where that cannot be told: in a folder that only can be read nothing is written, and not every file system
/// knows locks.
pub(super) fn lock(path: &Path) -> Option<File> {
    let shown = path.display();
    let file = path.parent().map_or(Ok(()), make_folder);
    let file = file.and_then(|()| open_lock(path));
    let file = file
        .inspect_err(|error| tracing::debug!("{shown} cannot be locked: {error}"))
        .ok()?;
    for _ in 0..ATTEMPTS {
        match file.try_lock() {
            Ok(()) => return Some(file),
            Err(TryLockError::WouldBlock) => std::thread::sleep(PAUSE),
            Err(TryLockError::Error(error)) => {
                tracing::warn!(
                    name: "folder_not_locked",
                    "{shown} cannot be locked, so no other hub may use this folder: {error}"
                );
                return None;
            }
        }
    }
    tracing::warn!(name: "folder_lock_held", "another program holds {shown} for long; this one goes on without it");
    None
}

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
