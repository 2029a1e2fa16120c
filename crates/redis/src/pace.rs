//! How many records to ask for, so that an answer has about as many bytes as wanted.

use std::sync::atomic::{AtomicUsize, Ordering};

/// What a record is taken to have before one was seen, in bytes.
const UNKNOWN: usize = 16 << 10;
/// The most records in an answer.
const MOST: usize = 1_000;

/// Learns how large records are.
#[derive(Debug)]
pub(crate) struct Pace(AtomicUsize);

impl Default for Pace {
    fn default() -> Self {
        Self(AtomicUsize::new(UNKNOWN))
    }
}

impl Pace {
    /// How many records to ask for.
    pub(crate) fn count(&self, bytes: usize) -> usize {
        (bytes / self.0.load(Ordering::Relaxed).max(1)).clamp(1, MOST)
    }

    /// Records that were read. Smaller ones are believed in steps, because larger ones may follow.
    pub(crate) fn saw(&self, records: usize, bytes: usize) {
        let before = self.0.load(Ordering::Relaxed);
        if let Some(average) = bytes.checked_div(records) {
            self.0.store(average.max(before / 4), Ordering::Relaxed);
        }
    }

    /// An answer was too large.
    pub(crate) fn failed(&self) {
        self.0.store(256 << 20, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_records_are_read_by_the_thousand_and_large_ones_singly() {
        let pace = Pace::default();
        assert_eq!(pace.count(1 << 20), 64);
        for _ in 0..4 {
            pace.saw(64, 64 * 200);
        }
        assert_eq!(pace.count(1 << 20), MOST);
        pace.saw(1, 1 << 20);
        assert_eq!(pace.count(1 << 20), 1);
        pace.failed();
        assert_eq!(pace.count(1 << 20), 1);
    }
}
