//! What an inspection reports.

use crate::Position;

/// Something that is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fault {
    /// The file.
    pub path: String,
    /// Where in it, in bytes.
    pub offset: u64,
    /// What is wrong.
    pub what: String,
    /// The positions that are lost, if any are.
    pub lost: Option<(Position, Position)>,
}
