//! The directory that holds a history, as a small trait: the file system, or a model of it in tests.

use std::fs::{self, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::OFlags;

use super::names;

/// A directory whose files belong to a history.
///
/// What was written is durable after [`File::sync_data`]; what was created, renamed or removed is
/// durable after [`Disk::sync`]. Before that, a loss of power may undo any part of it, in any order.
pub trait Disk: Send + Sync + 'static {
    /// Passes the names of the files to `each`, in any order.
    ///
    /// # Errors
    /// The error of the file system.
    fn list(&self, each: &mut dyn FnMut(&str)) -> io::Result<()>;

    /// The length of a file in bytes.
    ///
    /// # Errors
    /// The error of the file system.
    fn length(&self, name: &str) -> io::Result<u64>;

    /// Opens an existing file for reading and writing.
    ///
    /// # Errors
    /// The error of the file system.
    fn open(&self, name: &str) -> io::Result<Arc<dyn File>>;

    /// Creates an empty file, replacing a file of that name.
    ///
    /// # Errors
    /// The error of the file system.
    fn create(&self, name: &str) -> io::Result<Arc<dyn File>>;

    /// Renames a file, replacing a file of the new name.
    ///
    /// # Errors
    /// The error of the file system.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file. Readers that have it open can still read it.
    ///
    /// # Errors
    /// The error of the file system.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Makes the entries of the directory durable.
    ///
    /// # Errors
    /// The error of the file system.
    fn sync(&self) -> io::Result<()>;

    /// How much room the disk has.
    ///
    /// # Errors
    /// The error of the file system.
    fn space(&self) -> io::Result<Space>;

    /// Locks the directory against other processes until the guard is dropped; `None` if another process
    /// has locked it.
    ///
    /// # Errors
    /// The error of the file system.
    fn lock(&self) -> io::Result<Option<Box<dyn Send + Sync>>>;

    /// The path of a file, for messages.
    fn path(&self, name: &str) -> String;
}

/// An open file of a [`Disk`].
#[expect(
    clippy::len_without_is_empty,
    reason = "no caller asks whether a file is empty"
)]
pub trait File: Send + Sync + 'static {
    /// Reads at an offset until the buffer is full or the file ends; returns the number of bytes.
    ///
    /// # Errors
    /// The error of the file system.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes all bytes at an offset.
    ///
    /// # Errors
    /// The error of the file system; any part of the bytes may have been written.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Makes contents and length durable.
    ///
    /// # Errors
    /// The error of the file system. It is then unknown what is durable, and the file must be opened again.
    fn sync_data(&self) -> io::Result<()>;

    /// Truncates or extends the file.
    ///
    /// # Errors
    /// The error of the file system.
    fn set_len(&self, length: u64) -> io::Result<()>;

    /// The length of the file in bytes.
    ///
    /// # Errors
    /// The error of the file system.
    fn len(&self) -> io::Result<u64>;
}

/// The room on a disk, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// How much may still be written.
    pub available: u64,
    /// The size of the disk.
    pub total: u64,
}

/// A directory of the file system. A symbolic link may lead to it.
///
/// Files are created with mode 0600 and missing directories with 0700, as the existing hub does
/// (B-074). Another user with write access to the directory must not be able to make the hub write
/// elsewhere or wait, so a link, a pipe or a device in the place of a file is an error.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
}

const LOCK: &str = "lock";

impl Directory {
    /// Opens a directory, and creates it if it is missing.
    ///
    /// # Errors
    /// The error of the file system.
    pub fn open(path: &Path) -> io::Result<Self> {
        create_directories(path, &mut |parent| fs::File::open(parent)?.sync_all())?;
        Ok(Self {
            path: path.to_owned(),
        })
    }

    fn options() -> OpenOptions {
        let mut options = OpenOptions::new();
        options.read(true).write(true).mode(0o600);
        options
    }

    fn open_file(&self, name: &str, options: &mut OpenOptions) -> io::Result<fs::File> {
        // Opening a pipe without a writer would block for ever.
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
        let path = self.path.join(name);
        let opened = options.custom_flags(flags.bits().cast_signed()).open(&path);
        let found = match &opened {
            Ok(file) => file.metadata(),
            Err(_) => fs::symlink_metadata(&path),
        };
        match found {
            Ok(found) if !found.is_file() => Err(not_a_file(&path, found.file_type())),
            _ => opened,
        }
    }
}

/// The error for something else in the place of a file, with the remedy.
fn not_a_file(path: &Path, found: fs::FileType) -> io::Error {
    let (kind, remedy) = if found.is_symlink() {
        (
            "a symbolic link",
            "put the file itself there; only the directory of a history may be a link",
        )
    } else if found.is_dir() {
        ("a directory", "move it away")
    } else if found.is_fifo() {
        ("a pipe", "remove it")
    } else if found.is_socket() {
        ("a socket", "remove it")
    } else {
        ("a device", "remove it")
    };
    io::Error::other(format!(
        "{} is {kind}, not a file; {remedy}",
        path.display()
    ))
}

/// Creates a directory and its missing parents. `sync` makes the entries of a directory durable; without
/// it a loss of power may remove a new directory and what was acknowledged in it.
fn create_directories(
    path: &Path,
    sync: &mut dyn FnMut(&Path) -> io::Result<()>,
) -> io::Result<()> {
    match fs::DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => {}
        Err(_) if path.is_dir() => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let parent = path.parent().ok_or(error)?;
            create_directories(parent, sync)?;
            return create_directories(path, sync);
        }
        Err(error) => return Err(error),
    }
    let parent = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    match sync(parent) {
        // A directory can be writable without being readable.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            tracing::warn!(
                name: "history_parent_not_synced",
                directory = %parent.display(),
                "the parent directory of the new history is not readable, so it cannot be synced"
            );
            Ok(())
        }
        synced => synced,
    }
}

impl Disk for Directory {
    fn list(&self, each: &mut dyn FnMut(&str)) -> io::Result<()> {
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            // Files of other programs may have any name.
            let name = entry.file_name();
            let Some(name) = name.to_str() else {
                continue;
            };
            let found = entry.file_type()?;
            if found.is_file() {
                each(name);
            } else if names::parse(name).is_some() {
                return Err(not_a_file(&entry.path(), found));
            }
        }
        Ok(())
    }

    fn length(&self, name: &str) -> io::Result<u64> {
        Ok(fs::symlink_metadata(self.path.join(name))?.len())
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        match self.open_file(name, &mut Self::options()) {
            // A copy on a read-only disk can still be inspected.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem
                ) =>
            {
                let mut reading = OpenOptions::new();
                Ok(Arc::new(self.open_file(name, reading.read(true))?))
            }
            opened => Ok(Arc::new(opened?)),
        }
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn File>> {
        let mut options = Self::options();
        options.create(true).truncate(true);
        Ok(Arc::new(self.open_file(name, &mut options)?))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path.join(from), self.path.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path.join(name))
    }

    fn sync(&self) -> io::Result<()> {
        fs::File::open(&self.path)?.sync_all()
    }

    fn space(&self) -> io::Result<Space> {
        let found = rustix::fs::statvfs(&self.path)?;
        Ok(Space {
            available: found.f_bavail.saturating_mul(found.f_frsize),
            total: found.f_blocks.saturating_mul(found.f_frsize),
        })
    }

    fn lock(&self) -> io::Result<Option<Box<dyn Send + Sync>>> {
        let mut options = Self::options();
        options.create(true).truncate(false);
        let file = self.open_file(LOCK, &mut options)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Box::new(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn path(&self, name: &str) -> String {
        self.path.join(name).display().to_string()
    }
}

impl File for fs::File {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match FileExt::read_at(self, &mut buffer[filled..], offset + filled as u64) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        FileExt::write_all_at(self, bytes, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        fs::File::sync_data(self)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        fs::File::set_len(self, length)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder that is removed at the end.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let name = format!("talaria-disk-{}-{name}", std::process::id());
            let path = std::env::temp_dir().join(name);
            fs::create_dir_all(&path).expect("a folder");
            Self(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            // The system removes what is left.
            _ = fs::remove_dir_all(&self.0);
        }
    }

    fn synced_for(path: &Path) -> Vec<PathBuf> {
        let mut synced = Vec::new();
        let mut sync = |parent: &Path| {
            synced.push(parent.to_owned());
            Ok(())
        };
        create_directories(path, &mut sync).expect("it is created");
        assert!(path.is_dir());
        synced
    }

    #[test]
    fn every_directory_that_was_created_is_durable() {
        let folder = Folder::new("parents");
        let at = |name: &str| folder.0.join(name);
        assert_eq!(
            synced_for(&at("a/b/c")),
            [folder.0.clone(), at("a"), at("a/b")]
        );
        assert_eq!(synced_for(&at("a/b/c")), [] as [PathBuf; 0]);
        assert_eq!(synced_for(&at("a/b/d/")), [at("a/b")]);
    }

    #[test]
    fn what_is_not_a_directory_is_refused() {
        let folder = Folder::new("file");
        let file = folder.0.join("file");
        fs::write(&file, "").expect("a file");
        for path in [file.clone(), file.join("below")] {
            create_directories(&path, &mut |_| Ok(())).expect_err("a file is there");
        }
    }

    #[test]
    fn a_failed_sync_of_a_parent_is_told() {
        let folder = Folder::new("failing");
        let path = folder.0.join("history");
        let failed = create_directories(&path, &mut |_| Err(io::Error::other("failing")));
        failed.expect_err("the directory may be gone after a loss of power");
    }
}
