//! Reads the updates of an existing hub's BoltDB, and never writes to it.
#![forbid(unsafe_code)]

mod bytes;
mod entry;
mod error;
mod meta;
mod pages;
mod source;
mod tree;

pub use self::entry::Entry;
pub use self::error::BoltError;
pub use self::source::{DEFAULT_BUCKET, Entries, Source, Summary};
