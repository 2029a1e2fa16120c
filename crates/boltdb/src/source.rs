//! Reads the updates of an existing hub's BoltDB (B-520), and never writes to it.
//!
//! The file is a copy-on-write B+tree of etcd-io/bbolt (its README and `internal/common`): two meta
//! pages of which the newer valid one counts, branch and leaf pages that may go on over following
//! ones, and buckets, which are trees in a leaf's value or inline in it. Pages carry no checksum,
//! so a damaged structure is noticed and a damaged value only when it is no JSON.

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

/// The bucket of the existing hub, unless configured (B-250).
pub const DEFAULT_BUCKET: &str = "updates";

const LOCK_ATTEMPTS: u32 = 40;
const LOCK_PAUSE: Duration = Duration::from_millis(50);
/// Skipped sequence numbers that a [`Summary`] names.
const NAMED_SKIPPED: usize = 16;

/// A BoltDB, open and kept from being written until this and its [`Entries`] are dropped.
#[derive(Debug)]
pub struct Source {
    pages: Arc<Pages>,
    /// Its root and its sequence counter.
    bucket: Option<(Root, u64)>,
    summary: Arc<Mutex<Summary>>,
}

/// What was read so far.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Summary {
    /// Entries handed out.
    pub read: u64,
    /// Ids and types that no SSE field can carry, left out of entries handed out (B-1034).
    pub dropped_fields: u64,
    /// Entries that the old hub could not read either, not handed out.
    pub skipped: u64,
    /// The sequence numbers of the first of these, 16 at most; of those that have one.
    pub first_skipped: Vec<u64>,
}

impl Source {
    /// Opens the database at a path; `None` if there is no file, or an empty one.
    ///
    /// Blocks; waits up to two seconds for a hub that is just stopping.
    ///
    /// # Errors
    /// When the file is locked, unreadable, or no BoltDB.
    pub fn open(path: &Path, bucket: &str) -> Result<Option<Self>, BoltError> {
        let unreadable = |action| move |source| BoltError::unreadable(path, action, source);
        // Asked before opening, because opening a pipe would wait for a writer.
        let metadata = match fs::metadata(path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unreadable("looking at it")(error)),
        };
        if !metadata.is_file() {
            let what = if metadata.is_dir() {
                "is a directory"
            } else {
                "is no regular file"
            };
            return Err(BoltError::not_a_database(path, what));
        }
        let file = File::open(path).map_err(unreadable("opening it"))?;
        lock(&file, path)?;
        let length = file.metadata().map_err(unreadable("looking at it"))?.len();
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

    /// Where the database is, for messages.
    pub fn path(&self) -> &Path {
        self.pages.path()
    }

    /// Whether the database has the bucket; if not, there are no entries.
    pub fn has_bucket(&self) -> bool {
        self.bucket.is_some()
    }

    /// The greatest sequence number that the bucket ever gave, 0 without a bucket.
    pub fn last_sequence(&self) -> u64 {
        self.bucket.map_or(0, |(_, last)| last)
    }

    /// The entries whose sequence number is greater, in order. One entry is held in memory.
    pub fn entries(&self, after: u64) -> Entries {
        let first = after.checked_add(1);
        Entries {
            cursor: self.bucket.zip(first).map(|((bucket, _), first)| {
                Cursor::new(Arc::clone(&self.pages), bucket, &first.to_be_bytes())
            }),
            summary: Arc::clone(&self.summary),
        }
    }

    /// What all [`Entries`] of this source handed out and left out so far.
    pub fn summary(&self) -> Summary {
        held(&self.summary).clone()
    }
}

/// Entries of a [`Source`]; ends after an error.
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

/// Takes the lock that bbolt takes for reading; a running hub holds the one for writing.
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
