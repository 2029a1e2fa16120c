//! The stamp in an update's data, by which a subscriber checks what it received.

use std::collections::BTreeSet;
use std::fmt::Write as _;

/// The sender, its sequence number within the topic and the time of sending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// The publisher's number.
    pub(crate) publisher: usize,
    /// Counts the updates of this publisher to this topic, from 0.
    pub(crate) sequence: u64,
    /// Nanoseconds of the bench's clock.
    pub(crate) sent_ns: u64,
}

impl Stamp {
    /// Writes the data of an update, padded to a size in bytes.
    pub(crate) fn write(&self, data: &mut String, size: usize) {
        data.clear();
        // Writing into a string cannot fail.
        _ = write!(
            data,
            "{}-{}-{}-",
            self.publisher, self.sequence, self.sent_ns
        );
        data.extend(std::iter::repeat_n('x', size.saturating_sub(data.len())));
    }

    /// Reads the data of an update; `None` when no bench wrote it.
    pub(crate) fn read(data: &str) -> Option<Self> {
        let mut parts = data.splitn(4, '-');
        let stamp = Self {
            publisher: parts.next()?.parse().ok()?,
            sequence: parts.next()?.parse().ok()?,
            sent_ns: parts.next()?.parse().ok()?,
        };
        parts.next().map(|_| stamp)
    }
}

/// What a subscriber has seen of one publisher.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    next: u64,
    missing: BTreeSet<u64>,
}

/// How an update arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// In order, or after a gap that it reveals.
    New,
    /// Later than an update that was sent after it.
    Late,
    /// A second time.
    Duplicate,
}

impl Seen {
    /// Notes an update.
    pub(crate) fn note(&mut self, sequence: u64) -> Arrival {
        if sequence >= self.next {
            self.missing.extend(self.next..sequence);
            self.next = sequence + 1;
            Arrival::New
        } else if self.missing.remove(&sequence) {
            Arrival::Late
        } else {
            Arrival::Duplicate
        }
    }

    /// How many of the `sent` updates never arrived, without those that the hub did not answer.
    pub(crate) fn lost(&self, sent: u64, unanswered: &BTreeSet<u64>) -> u64 {
        let never = self.missing.iter().copied().chain(self.next..sent);
        never.filter(|each| !unanswered.contains(each)).count() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A stamp survives its padding, and data without one is recognised.
    #[test]
    fn stamps_are_read_back() {
        let stamp = Stamp {
            publisher: 3,
            sequence: 17,
            sent_ns: 123_456,
        };
        let mut data = "rest of the last one".to_owned();
        stamp.write(&mut data, 100);
        assert_eq!((data.len(), Stamp::read(&data)), (100, Some(stamp)));
        stamp.write(&mut data, 1);
        assert_eq!(Stamp::read(&data), Some(stamp));
        assert_eq!(Stamp::read("1-2-3"), None);
        assert_eq!(Stamp::read("hello"), None);
    }

    /// Loss, duplicates and wrong order are distinguished.
    #[test]
    fn every_defect_is_found() {
        let mut seen = Seen::default();
        let arrivals: Vec<_> = [0, 1, 1, 4, 3, 3].map(|n| seen.note(n)).into();
        use Arrival::{Duplicate, Late, New};
        assert_eq!(arrivals, [New, New, Duplicate, New, Late, Duplicate]);
        let lost =
            |sent, unanswered: &[u64]| seen.lost(sent, &unanswered.iter().copied().collect());
        assert_eq!((lost(5, &[]), lost(7, &[])), (1, 3));
        assert_eq!((lost(5, &[2]), lost(7, &[2, 6])), (0, 1));
    }
}
