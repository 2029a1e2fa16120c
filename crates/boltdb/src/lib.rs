//! Reads the updates in the database of another Mercure hub, to import them.
//!
//! The database is a file of [bbolt](https://github.com/etcd-io/bbolt), known as BoltDB. It is read
//! entry by entry, however large it is, and never written to. While it is open, a hub cannot write to
//! it either.
//!
//! ```no_run
//! use std::path::Path;
//!
//! use talaria_boltdb::{BoltError, DEFAULT_BUCKET, Source};
//!
//! fn main() -> Result<(), BoltError> {
//!     let Some(source) = Source::open(Path::new("mercure.db"), DEFAULT_BUCKET)? else {
//!         return Ok(()); // There is no database.
//!     };
//!     for entry in source.entries(0) {
//!         let entry = entry?;
//!         println!("{}: {:?}", entry.sequence, entry.update.topics);
//!     }
//!     println!("{} entries could not be read", source.summary().skipped);
//!     Ok(())
//! }
//! ```
#![forbid(unsafe_code)]
#![warn(missing_debug_implementations, unreachable_pub)]

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
