//! The layout of an index file.

pub(super) const MAGIC: [u8; 8] = *b"TALINDEX";
/// The version of an index without events, and of one with some.
pub(super) const VERSION: u32 = 1;
pub(super) const VERSION_OF_EVENTS: u32 = 2;
pub(super) const HEADER: usize = 8 + 4 + 7 * 8 + 4 * 4;
/// The bytes after the header of an index with events: the numbers of ranges and of positions.
pub(super) const EVENTS_HEADER: u64 = 4 + 8;
/// The bytes of a range of events: first and last position, and the number of events before.
pub(super) const HOLE: u64 = 3 * 8;
pub(super) const ENTRY: u64 = 16;
pub(super) const WORD: u64 = 4;
/// The bytes that are read at a time: a whole number of entries of each kind.
pub(super) const CHUNK: usize = 48 << 10;
/// More entries of a table than any segment has room for.
pub(super) const MOST_ENTRIES: u32 = 1 << 28;

pub(super) fn buckets(entries: u32) -> u32 {
    entries.max(1).next_power_of_two()
}

pub(super) fn bucket_of(hash: u64, buckets: u32) -> u32 {
    // The highest bits; shifted twice, because one bucket needs none of them.
    (hash >> 32 >> (32 - buckets.trailing_zeros())) as u32
}
