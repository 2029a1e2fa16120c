//! The errors of reading a database.

use std::io;
use std::path::Path;

/// Why a database cannot be read. Every message names the file and says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BoltError {
    /// A hub has the database open.
    #[error(
        "{path}: the database is in use by another process; stop the old hub, so that its updates can be imported"
    )]
    Locked {
        /// The file.
        path: String,
    },
    /// The file system reported an error.
    #[error("{path}: {action}: {source}; let this user read the file, or set another `path`")]
    Unreadable {
        /// The file.
        path: String,
        /// The action that failed.
        action: &'static str,
        /// The error of the system.
        source: io::Error,
    },
    /// The path leads to something else.
    #[error(
        "{path} {what}, so it is not a BoltDB to import from; move it away, or set another `path`"
    )]
    NotADatabase {
        /// The file.
        path: String,
        /// What is there instead.
        what: &'static str,
    },
    /// A page is not as bbolt writes it.
    #[error(
        "{path}: the database is damaged at offset {offset}: {what}; put a copy of it in its place, or move it away to start without the rest of its updates"
    )]
    Damaged {
        /// The file.
        path: String,
        /// The offset in the file, in bytes.
        offset: u64,
        /// What is wrong.
        what: String,
    },
}

impl BoltError {
    pub(crate) fn locked(path: &Path) -> Self {
        Self::Locked {
            path: path.display().to_string(),
        }
    }

    pub(crate) fn unreadable(path: &Path, action: &'static str, source: io::Error) -> Self {
        Self::Unreadable {
            path: path.display().to_string(),
            action,
            source,
        }
    }

    pub(crate) fn not_a_database(path: &Path, what: &'static str) -> Self {
        Self::NotADatabase {
            path: path.display().to_string(),
            what,
        }
    }

    pub(crate) fn damaged(path: &Path, offset: u64, what: impl Into<String>) -> Self {
        Self::Damaged {
            path: path.display().to_string(),
            offset,
            what: what.into(),
        }
    }
}
