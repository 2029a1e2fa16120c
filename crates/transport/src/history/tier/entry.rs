//! The entries of a tier's tables, and how a hash finds them.

use crate::history::format::{Fields, put_u32, put_u64};

/// The bytes of an entry, and of the start of a bucket.
pub(super) const ENTRY: u64 = 16;
pub(super) const WORD: u64 = 4;
/// The entries of a bucket, on average at most.
const OF_BUCKET: u32 = 32;

/// One topic or id in one segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Entry {
    pub(super) hash: u64,
    /// The number of the segment, counted from the first one of the tier.
    pub(super) segment: u32,
    /// The offset of the only record; 0 if there are several, which the segment's index finds.
    pub(super) at: u32,
}

impl Entry {
    pub(super) fn encode(self, out: &mut Vec<u8>) {
        put_u64(out, self.hash);
        put_u32(out, self.segment);
        put_u32(out, self.at);
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields(bytes);
        Some(Self {
            hash: fields.u64()?,
            segment: fields.u32()?,
            at: fields.u32()?,
        })
    }
}

/// The number of buckets of a table.
pub(super) fn buckets(entries: u32) -> u32 {
    entries
        .div_ceil(OF_BUCKET)
        .max(1)
        .checked_next_power_of_two()
        .unwrap_or(1 << 31)
}

/// The bucket of a hash: its highest bits.
pub(super) fn bucket_of(hash: u64, buckets: u32) -> u32 {
    // Shifted twice, because one bucket needs none of them.
    (hash >> 32 >> (32 - buckets.trailing_zeros())) as u32
}
