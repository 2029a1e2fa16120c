//! Why a history cannot be opened.

use std::io;

/// Why another store cannot be read: the error of that store.
pub type ImportError = Box<dyn std::error::Error + Send + Sync>;

/// Why a history cannot be opened. Each names the file and the remedy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process has it open.
    #[error(
        "{path}: the history is in use by another process; stop that one, or give this one another `path`"
    )]
    Locked {
        /// The lock file.
        path: String,
    },
    /// What had been durable is not readable.
    #[error("{path}: at offset {offset}: {what}; `talaria history repair` says what it would drop")]
    Damaged {
        /// The file.
        path: String,
        /// Where in it, in bytes.
        offset: u64,
        /// What is wrong.
        what: String,
    },
    /// A file is gone.
    #[error(
        "{path} is missing: {what}; put it back, or see what `talaria history repair` would drop"
    )]
    Missing {
        /// The file.
        path: String,
        /// How that is known.
        what: String,
    },
    /// The file is of a later release.
    #[error(
        "{path} has format version {version}, this program reads up to version 2; run the release that wrote it"
    )]
    Version {
        /// The file.
        path: String,
        /// The version it names.
        version: u32,
    },
    /// The file system refuses.
    #[error("{path}: {action}: {source}")]
    Io {
        /// The file.
        path: String,
        /// What was tried.
        action: &'static str,
        /// The system's reason.
        source: io::Error,
    },
    /// The database to import from cannot be read.
    #[error(transparent)]
    Import(ImportError),
}
