//! Judges what publishers were told and subscribers received.

use std::collections::HashMap;

use crate::publishers::{END, Outcome, Record};
use crate::readers::{Reader, Seen};

/// How many updates were what.
#[derive(Debug, Default)]
pub struct Counts {
    pub acknowledged: usize,
    pub refused: usize,
    pub unanswered: usize,
    /// Those of the unanswered that were delivered nevertheless.
    pub delivered_unanswered: usize,
}

/// Checks that what was acknowledged was delivered under the id of its answer, what was refused was not, nothing was
/// delivered twice, and that every subscriber received what it may of it in the order of the first one, which may
/// receive everything.
///
/// # Panics
/// It is not so.
pub fn judge(records: &[Record], readers: &[Reader]) -> Counts {
    let reference = readers.first().expect("there is a subscriber").seen();
    let counts = published(records, &reference);
    agree(&reference, readers, 0);
    counts
}

/// Checks the answers to publishers, against what a subscriber received that may receive everything.
///
/// # Panics
/// They are wrong.
pub fn published(records: &[Record], reference: &Seen) -> Counts {
    let mut delivered: HashMap<u32, &str> = HashMap::new();
    for (number, id) in reference.numbers.iter().zip(&reference.ids) {
        let before = delivered.insert(*number, id);
        assert!(
            before.is_none(),
            "{number} was delivered as {before:?} and as {id}"
        );
    }
    let mut ids: Vec<&String> = reference.ids.iter().collect();
    ids.sort();
    let count = ids.len();
    ids.dedup();
    assert_eq!(ids.len(), count, "an id was used twice");
    let mut counts = Counts::default();
    let mut known = 0;
    for record in records {
        let number = record.number;
        let delivered = delivered.get(&number);
        known += usize::from(delivered.is_some());
        match &record.outcome {
            Outcome::Acknowledged(id) => {
                assert_eq!(delivered, Some(&&**id), "acknowledged: {record:?}");
                counts.acknowledged += 1;
            }
            Outcome::Refused => {
                assert_eq!(delivered, None, "refused: {record:?}");
                counts.refused += 1;
            }
            Outcome::Unanswered => {
                counts.unanswered += 1;
                counts.delivered_unanswered += usize::from(delivered.is_some());
            }
        }
    }
    let ends = reference.numbers.iter().filter(|number| **number == END);
    assert_eq!(
        known + ends.count(),
        reference.numbers.len(),
        "what was never sent"
    );
    counts
}

/// Checks that subscribers received what they may of the updates from number `first` on, once, in the order of
/// `reference`, which has these alone.
///
/// # Panics
/// One did not.
pub fn agree(reference: &Seen, readers: &[Reader], first: u32) {
    for (number, reader) in readers.iter().enumerate() {
        let admitted = reference.numbers.iter().copied();
        let expected: Vec<u32> = admitted.filter(|each| reader.grant.admits(*each)).collect();
        let mut received = reader.seen().numbers;
        received.retain(|number| *number >= first);
        if received == expected {
            continue;
        }
        let same = received.iter().zip(&expected);
        let place = same
            .take_while(|(received, expected)| received == expected)
            .count();
        let around = |numbers: &[u32]| {
            let end = numbers.len().min(place + 5);
            numbers[place.saturating_sub(5).min(end)..end].to_vec()
        };
        panic!(
            "subscriber {number} received {} updates, not {}; at {place} {:?}, not {:?}",
            received.len(),
            expected.len(),
            around(&received),
            around(&expected),
        );
    }
}
