//! Where updates are kept.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use talaria_hub::clock::{Clock as _, SystemClock};
use talaria_transport::MemoryOptions;
use talaria_transport::history::HistoryOptions;

use super::postgres::PostgresSettings;
use super::redis::RedisSettings;

/// Where updates are kept.
#[derive(Debug, Clone)]
pub enum TransportSettings {
    /// `transport bolt`: the history on disk (B-250).
    History(HistorySettings),
    /// `transport memory`: the newest updates in memory.
    Memory(MemoryOptions),
    /// `transport local`: no history; what is kept is for readers that are a little behind (B-252).
    Local(MemoryOptions),
    /// `transport redis`: a log that several hubs may share (B-260).
    Redis(Box<RedisSettings>),
    /// `transport postgres`: a log that several hubs may share, in a database (B-261).
    Postgres(Box<PostgresSettings>),
}

/// The history on disk.
#[derive(Debug, Clone)]
pub struct HistorySettings {
    /// The database of the existing hub; the history lies in [`directory_of`] it.
    pub path: PathBuf,
    /// The bucket of that database.
    pub bucket_name: String,
    /// What the history keeps, and when it is on the disk.
    pub options: HistoryOptions,
}

impl TransportSettings {
    /// Whether both keep the same updates in the same way. The clocks of histories do not count.
    pub fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::History(one), Self::History(other)) => one.is_same(other),
            (Self::Memory(one), Self::Memory(other)) | (Self::Local(one), Self::Local(other)) => {
                one == other
            }
            (Self::Redis(one), Self::Redis(other)) => one == other,
            (Self::Postgres(one), Self::Postgres(other)) => one == other,
            _ => false,
        }
    }

    /// The directory that it alone may use, if it has one.
    pub fn directory(&self) -> Option<PathBuf> {
        match self {
            Self::History(history) => Some(directory_of(&history.path)),
            Self::Memory(_) | Self::Local(_) | Self::Redis(_) | Self::Postgres(_) => None,
        }
    }

    /// Whether the updates are kept outside of this process, so that the place tells which they are.
    pub fn is_lasting(&self) -> bool {
        matches!(self, Self::History(_) | Self::Redis(_) | Self::Postgres(_))
    }

    /// Whether both keep their updates in the same place outside of this process.
    pub fn is_in_place_of(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Redis(one), Self::Redis(other)) => one.is_log_of(other),
            (Self::Postgres(one), Self::Postgres(other)) => one.is_log_of(other),
            _ => self.directory().is_some() && self.directory() == other.directory(),
        }
    }
}

impl HistorySettings {
    fn is_same(&self, other: &Self) -> bool {
        let (one, others) = (&self.options, &other.options);
        self.path == other.path
            && self.bucket_name == other.bucket_name
            && one.size == others.size
            && one.max_bytes == others.max_bytes
            && one.max_age == others.max_age
            && one.events == others.events
            && one.sync == others.sync
            && one.ring_bytes == others.ring_bytes
    }

    /// The history beside this database, with every option at its default.
    pub fn new(path: PathBuf) -> Self {
        Self {
            path,
            bucket_name: "updates".to_owned(),
            options: HistoryOptions::new(Arc::new(unix_milliseconds)),
        }
    }
}

/// The directory that holds the history of a `path`: `<path>.talaria`, beside the database of the
/// existing hub (B-250).
pub fn directory_of(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".talaria");
    PathBuf::from(name)
}

/// The time of day, as the history wants it: milliseconds since the Unix epoch.
pub fn unix_milliseconds() -> u64 {
    (SystemClock.unix_time().seconds() * 1_000.0) as u64
}
