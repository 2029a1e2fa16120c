//! Opens a database and yields its entries.
//!
//! The file is a copy-on-write B+tree of etcd-io/bbolt (its README and `internal/common`). It has two
//! meta pages, of which the newer valid one counts; branch and leaf pages, which may continue over the
//! following pages; and buckets, whose trees begin at a page or stand in the value of a leaf. Pages have
//! no checksum, so damage to the structure is noticed, but a damaged value only if it is not JSON.

use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crate::entry::{self, Decoded, Entry};
use crate::error::BoltError;
use crate::pages::Pages;
use crate::tree::{self, Cursor, Root};

/// The bucket of the existing hub, unless it is configured otherwise (B-250).
pub const DEFAULT_BUCKET: &str = "updates";

const LOCK_ATTEMPTS: u32 = 40;
const LOCK_PAUSE: Duration = Duration::from_millis(50);
/// The most skipped sequence numbers that a [`Summary`] names.
const NAMED_SKIPPED: usize = 16;

/// An open database. A hub cannot write to it until this and its [`Entries`] are dropped.
#[derive(Debug)]
pub struct Source {
    pages: Arc<Pages>,
    /// The root of the bucket and its sequence counter.
    bucket: Option<(Root, u64)>,
    summary: Arc<Mutex<Summary>>,
}

/// What was read of a database so far.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Summary {
    /// The number of entries that were yielded.
    pub read: u64,
    /// The number of ids and types that were left out of those entries, because an SSE field cannot carry
    /// them (B-1034).
    pub dropped_fields: u64,
    /// The number of entries that were skipped, because the old hub could not read them either.
    pub skipped: u64,
    /// The sequence numbers of the first skipped entries, at most 16, if they have one.
    pub first_skipped: Vec<u64>,
}

impl Source {
    /// Opens the database at a path; `None` if the file does not exist or is empty.
    ///
    /// Blocks. Waits up to two seconds for a hub that is just stopping.
    ///
    /// # Errors
    /// If the file is locked, unreadable, or not a BoltDB.
    pub fn open(path: &Path, bucket: &str) -> Result<Option<Self>, BoltError> {
        let unreadable = |action| move |source| BoltError::unreadable(path, action, source);
        // Checked before the file is opened, because opening a pipe would wait for a writer.
        let metadata = match fs::metadata(path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unreadable("reading its metadata")(error)),
        };
        if !metadata.is_file() {
            let what = if metadata.is_dir() {
                "is a directory"
            } else {
                "is not a regular file"
            };
            return Err(BoltError::not_a_database(path, what));
        }
        let file = File::open(path).map_err(unreadable("opening it"))?;
        lock(&file, path)?;
        let length = file
            .metadata()
            .map_err(unreadable("reading its metadata"))?
            .len();
        if length == 0 {
            return Ok(None);
        }
        let (pages, root) = Pages::open(file, path, length)?;
        let pages = Arc::new(pages);
        let bucket = tree::find_bucket(&pages, Root::Page(root), bucket.as_bytes())?;
        Ok(Some(Self {
            pages,
            bucket,
            summary: Arc::default(),
        }))
    }

    /// The path of the database.
    pub fn path(&self) -> &Path {
        self.pages.path()
    }

    /// Whether the database has the bucket. Without it there are no entries.
    pub fn has_bucket(&self) -> bool {
        self.bucket.is_some()
    }

    /// The greatest sequence number that the bucket has given to an entry; 0 without a bucket.
    pub fn last_sequence(&self) -> u64 {
        self.bucket.map_or(0, |(_, last)| last)
    }

    /// The entries with sequence numbers greater than `after`, in order. Only one entry at a time is in
    /// memory.
    pub fn entries(&self, after: u64) -> Entries {
        let first = after.checked_add(1);
        Entries {
            cursor: self.bucket.zip(first).map(|((bucket, _), first)| {
                Cursor::new(Arc::clone(&self.pages), bucket, &first.to_be_bytes())
            }),
            summary: Arc::clone(&self.summary),
        }
    }

    /// What all [`Entries`] of this source have read so far.
    pub fn summary(&self) -> Summary {
        held(&self.summary).clone()
    }
}

/// The entries of a [`Source`]. The iterator ends after an error.
#[derive(Debug)]
pub struct Entries {
    cursor: Option<Cursor>,
    summary: Arc<Mutex<Summary>>,
}

impl Iterator for Entries {
    type Item = Result<Entry, BoltError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.cursor.as_mut()?.next().transpose() {
                Some(Ok(item)) => {
                    if let Some(entry) = self.tally(entry::decode(&item)) {
                        return Some(Ok(entry));
                    }
                }
                Some(Err(error)) => {
                    self.cursor = None;
                    return Some(Err(error));
                }
                None => {
                    self.cursor = None;
                    return None;
                }
            }
        }
    }
}

impl Entries {
    fn tally(&self, decoded: Decoded) -> Option<Entry> {
        let mut summary = held(&self.summary);
        match decoded {
            Decoded::Entry {
                entry,
                dropped_fields,
            } => {
                summary.read += 1;
                summary.dropped_fields += dropped_fields;
                Some(entry)
            }
            Decoded::Unreadable { sequence } => {
                summary.skipped += 1;
                if summary.first_skipped.len() < NAMED_SKIPPED {
                    summary.first_skipped.extend(sequence);
                }
                None
            }
        }
    }
}

fn held(summary: &Mutex<Summary>) -> MutexGuard<'_, Summary> {
    summary.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes the lock that bbolt takes for reading. A running hub holds the lock for writing.
fn lock(file: &File, path: &Path) -> Result<(), BoltError> {
    for attempt in 1.. {
        match file.try_lock_shared() {
            Ok(()) => break,
            Err(TryLockError::WouldBlock) if attempt < LOCK_ATTEMPTS => thread::sleep(LOCK_PAUSE),
            Err(TryLockError::WouldBlock) => return Err(BoltError::locked(path)),
            Err(TryLockError::Error(source)) => {
                return Err(BoltError::unreadable(path, "locking it", source));
            }
        }
    }
    Ok(())
}
