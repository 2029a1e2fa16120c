//! How many records to ask for, so that an answer has about as many bytes as wanted.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::fault::Fault;

/// What a record is taken to have before one was seen, in bytes.
const UNKNOWN: usize = 16 << 10;
/// The most records in an answer.
const MOST: usize = 1_000;
/// A size at which records are asked for singly.
const LARGEST: usize = 32 << 20;

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

    /// Passes on an answer. One that did not come in time, or was too large, is asked for with fewer records.
    ///
    /// # Errors
    /// Those of the answer.
    pub(crate) fn judge<T>(&self, answer: Result<T, Fault>) -> Result<T, Fault> {
        answer.inspect_err(|fault| match fault {
            Fault::TooLarge => self.0.store(LARGEST, Ordering::Relaxed),
            // Perhaps the connection is too slow for that many records.
            Fault::Broken(_) => {
                let larger = self.0.load(Ordering::Relaxed).saturating_mul(4);
                self.0.store(larger.min(LARGEST), Ordering::Relaxed);
            }
            _ => {}
        })
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
    }

    #[test]
    fn fewer_are_asked_for_after_an_answer_that_did_not_come() {
        let pace = Pace::default();
        let broken = || Err::<(), _>(Fault::Broken("no answer in time".to_owned()));
        assert!(pace.judge(broken()).is_err());
        assert_eq!(pace.count(1 << 20), 16);
        for _ in 0..40 {
            assert!(pace.judge(broken()).is_err());
        }
        assert_eq!(pace.count(1 << 20), 1);
        // A record that is read makes up for it.
        for _ in 0..12 {
            pace.saw(1, 200);
        }
        assert_eq!(pace.count(1 << 20), MOST);
        assert!(pace.judge(Err::<(), _>(Fault::TooLarge)).is_err());
        assert_eq!(pace.count(1 << 20), 1);
    }
}
