//! What a log holds at a moment.

use super::histogram::Distribution;

/// What a log holds at a moment, as far as it says so.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct Figures {
    /// The bytes of its files.
    pub bytes: Option<u64>,
    /// The number of its segment files.
    pub segments: Option<u64>,
    /// How long it took to make updates durable, in seconds.
    pub syncs: Option<Distribution>,
    /// The updates that wait to be stored.
    pub waiting: u64,
    /// Their bytes.
    pub waiting_bytes: u64,
}
