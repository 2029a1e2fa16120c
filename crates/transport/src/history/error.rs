//! Why a history cannot be opened.

use std::io;

/// Why another store cannot be read: the error of that store.
pub type ImportError = Box<dyn std::error::Error + Send + Sync>;

/// Why a history cannot be opened. Every message names the file and says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process has it open.
    #[error(
        "{path}: the history is in use by another process; stop that process, or set another `path`"
    )]
    Locked {
        /// The lock file.
        path: String,
    },
    /// A part that was durable is not readable.
    #[error(
        "{path}: at offset {offset}: {what}; `talaria history repair` shows what a repair would drop"
    )]
    Damaged {
        /// The file.
        path: String,
        /// Where in it, in bytes.
        offset: u64,
        /// What is wrong.
        what: String,
    },
    /// A file is missing.
    #[error(
        "{path} is missing: {what}; put it back, or run `talaria history repair` to see what a repair would drop"
    )]
    Missing {
        /// The file.
        path: String,
        /// How the history knows that it existed.
        what: String,
    },
    /// A later release wrote the file.
    #[error(
        "{path} has format version {version}, but this program reads only versions up to 2; run the release that wrote it"
    )]
    Version {
        /// The file.
        path: String,
        /// The version it names.
        version: u32,
    },
    /// The file system reported an error.
    #[error("{path}: {action}: {source}")]
    Io {
        /// The file.
        path: String,
        /// The action that failed.
        action: &'static str,
        /// The error of the system.
        source: io::Error,
    },
    /// The store to import from cannot be read.
    #[error(transparent)]
    Import(ImportError),
}
