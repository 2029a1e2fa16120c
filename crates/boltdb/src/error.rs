//! Why a BoltDB cannot be read.

use std::io;
use std::path::Path;

/// Why a BoltDB cannot be read. Each names the file and the remedy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BoltError {
    /// A hub has it open.
    #[error(
        "{path}: the database is in use by another process; stop the old hub, so that its updates can be imported"
    )]
    Locked {
        /// The file.
        path: String,
    },
    /// The file system refuses.
    #[error("{path}: {action}: {source}; let this user read the file, or name another `path`")]
    Unreadable {
        /// The file.
        path: String,
        /// What was tried.
        action: &'static str,
        /// The system's reason.
        source: io::Error,
    },
    /// Something else is there.
    #[error("{path} {what}, and no BoltDB to import from; move it away, or name another `path`")]
    NotADatabase {
        /// The file.
        path: String,
        /// What it is.
        what: &'static str,
    },
    /// A page is not what it must be.
    #[error(
        "{path}: the database is damaged at offset {offset}: {what}; put a copy of it in its place, or move it away to start without the rest of its updates"
    )]
    Damaged {
        /// The file.
        path: String,
        /// Where in it, in bytes.
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
