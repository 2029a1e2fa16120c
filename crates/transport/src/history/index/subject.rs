//! The segment of an index, and facts about the log that stand in the index.

use crate::Position;

/// The segment that an index file belongs to; it is valid for no other one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::history) struct Subject {
    /// The segment's number.
    pub(in crate::history) number: u64,
    /// Its first position.
    pub(in crate::history) first: Position,
    /// Its last position.
    pub(in crate::history) last: Position,
    /// Its bytes.
    pub(in crate::history) length: u64,
}

/// The facts that the opening of a log needs about the newest segment, without reading it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::history) struct Facts {
    /// The retention floor.
    pub(in crate::history) floor: Position,
    /// The sequence number of the last imported update.
    pub(in crate::history) imported: u64,
    /// The commit time of the newest update, in milliseconds since 1970.
    pub(in crate::history) time: u64,
}
