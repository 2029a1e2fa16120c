//! The damage that an inspection reports.

use crate::Position;

/// A part of a history that is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fault {
    /// The file.
    pub path: String,
    /// The offset in the file, in bytes.
    pub offset: u64,
    /// What is wrong.
    pub what: String,
    /// The positions that are lost, if any are.
    pub lost: Option<(Position, Position)>,
}
