//! Reads the database of the existing hub (B-520), to import its updates. Never writes.

mod pages;

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::Value;
use talaria_protocol::Update;

use self::pages::{Pages, Walk};
use crate::history::Imported;

/// How often the existing hub is asked to let go of its database, and how long it may take each
/// time.
const LOCK_TRIES: u32 = 20;
const LOCK_PAUSE: Duration = Duration::from_millis(100);

/// Why a database cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BoltError {
    /// The existing hub is running on it.
    #[error("{path}: the database is in use; stop the hub that runs on it")]
    Locked {
        /// The database.
        path: String,
    },
    /// It is something else.
    #[error(
        "{path}: this is no BoltDB database ({what}); give `transport bolt` another `path`, or move the file away"
    )]
    Foreign {
        /// The file.
        path: String,
        /// How that is known.
        what: &'static str,
    },
    /// It is not whole.
    #[error(
        "{path}: the database is damaged at page {page}: {what}; put it back from a copy, or move it away to start without its updates"
    )]
    Damaged {
        /// The database.
        path: String,
        /// The page.
        page: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// The file system refuses.
    #[error("{path}: {source}; let the hub read it, or move it away")]
    Io {
        /// The database.
        path: String,
        /// The system's reason.
        source: io::Error,
    },
}

/// A database of the existing hub, kept locked against it.
pub struct Source {
    pages: Arc<Pages>,
    bucket_name: String,
    counts: Arc<Counts>,
}

/// What reading a database came to.
#[derive(Debug, Default)]
pub struct Counts {
    dropped_fields: AtomicU64,
    unreadable: AtomicU64,
}

impl Counts {
    /// Ids and types that cannot be written as a field of an event (B-1034); their updates are kept.
    pub fn dropped_fields(&self) -> u64 {
        self.dropped_fields.load(Ordering::Relaxed)
    }

    /// Entries that are no updates.
    pub fn unreadable(&self) -> u64 {
        self.unreadable.load(Ordering::Relaxed)
    }
}

impl Source {
    /// Opens a database; `None` if there is none, or an empty file. Blocks for up to two seconds
    /// while another process has it.
    ///
    /// # Errors
    /// When it is in use, unreadable, or something else.
    pub fn open(path: &Path, bucket_name: &str) -> Result<Option<Self>, BoltError> {
        let shown = path.display().to_string();
        let failed = |source| BoltError::Io {
            path: path.display().to_string(),
            source,
        };
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let metadata = file.metadata().map_err(failed)?;
        if !metadata.is_file() {
            return Err(BoltError::Foreign {
                path: shown,
                what: "it is not a file",
            });
        }
        lock(&file, path)?;
        if metadata.len() == 0 {
            return Ok(None);
        }
        Ok(Some(Self {
            pages: Arc::new(Pages::open(file, shown)?),
            bucket_name: bucket_name.to_owned(),
            counts: Arc::default(),
        }))
    }

    /// Where the database is, for messages.
    pub fn path(&self) -> &str {
        self.pages.path()
    }

    /// What reading comes to; final when the entries are.
    pub fn counts(&self) -> Arc<Counts> {
        Arc::clone(&self.counts)
    }

    /// The updates whose sequence number is greater, in order.
    ///
    /// # Errors
    /// When the bucket's root is not readable.
    pub fn entries(&self, after: u64) -> Result<Entries, BoltError> {
        let root = self.pages.bucket(self.bucket_name.as_bytes())?;
        Ok(Entries {
            walk: root.map(|root| Walk::new(Arc::clone(&self.pages), root, after)),
            after,
            counts: Arc::clone(&self.counts),
        })
    }
}

fn lock(file: &File, path: &Path) -> Result<(), BoltError> {
    let path: PathBuf = path.to_owned();
    for _ in 0..LOCK_TRIES {
        match file.try_lock_shared() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) => thread::sleep(LOCK_PAUSE),
            Err(TryLockError::Error(source)) => {
                return Err(BoltError::Io {
                    path: path.display().to_string(),
                    source,
                });
            }
        }
    }
    Err(BoltError::Locked {
        path: path.display().to_string(),
    })
}

/// The updates of a database.
pub struct Entries {
    walk: Option<Walk>,
    after: u64,
    counts: Arc<Counts>,
}

impl Iterator for Entries {
    type Item = Result<Imported, BoltError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (key, value) = match self.walk.as_mut()?.next()? {
                Ok(entry) => entry,
                Err(error) => {
                    self.walk = None;
                    return Some(Err(error));
                }
            };
            let sequence = key.first_chunk().map(|bytes| u64::from_be_bytes(*bytes));
            let Some(sequence) = sequence else {
                self.counts.unreadable.fetch_add(1, Ordering::Relaxed);
                continue;
            };
            if sequence <= self.after {
                continue;
            }
            let id = String::from_utf8_lossy(&key[size_of::<u64>()..]);
            match decode(&value, &id, &self.counts) {
                Some(update) => return Some(Ok(Imported { sequence, update })),
                None => _ = self.counts.unreadable.fetch_add(1, Ordering::Relaxed),
            }
        }
    }
}

/// Reads a value; the id of the key counts if the value has none.
fn decode(value: &[u8], id_of_key: &str, counts: &Counts) -> Option<Update> {
    let value: Value = serde_json::from_slice(value).ok()?;
    let entry = value.as_object()?;
    let text = |name: &str| entry.get(name).and_then(Value::as_str).unwrap_or_default();
    let field = |text: &str| {
        if text.contains(['\r', '\n', '\0']) {
            counts.dropped_fields.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        Some(text.to_owned()).filter(|text| !text.is_empty())
    };
    let id = match text("ID") {
        "" => id_of_key,
        id => id,
    };
    let topics = entry.get("Topics").and_then(Value::as_array);
    let topics = topics.into_iter().flatten().filter_map(Value::as_str);
    Some(Update {
        topics: topics.map(str::to_owned).collect(),
        data: text("Data").to_owned(),
        id: field(id),
        event_type: field(text("Type")),
        retry: entry
            .get("Retry")
            .and_then(Value::as_u64)
            .filter(|retry| *retry > 0),
        private: entry
            .get("Private")
            .and_then(Value::as_bool)
            .unwrap_or(false),
    })
}
