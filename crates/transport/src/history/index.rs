//! The index of a segment: where its updates are, by position, by topic, and by chosen id.
//!
//! Postings are offsets, in the order of the log. Topics and ids are found by hash, so a posting is
//! only a candidate: the reader of the record compares.

mod file;
mod filter;
mod hashes;
mod holes;
mod memory;
mod subject;
mod summary;

pub(super) use self::file::IndexFile;
pub(super) use self::hashes::Hashes;
pub(super) use self::memory::Index;
pub(super) use self::subject::{Facts, Subject};
pub(super) use self::summary::Summary;
