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

/// The judge itself: it lets pass what is right, and notices each thing that is not.
mod tests {
    use tokio::time::Instant;

    use super::published;
    use crate::publishers::{Outcome, Record};
    use crate::readers::Seen;

    fn record(number: u32, outcome: Outcome) -> Record {
        Record {
            number,
            outcome,
            sent: Instant::now(),
            answered: Instant::now(),
        }
    }

    fn seen(received: &[(u32, &str)]) -> Seen {
        Seen {
            numbers: received.iter().map(|(number, _)| *number).collect(),
            ids: received.iter().map(|(_, id)| (*id).to_owned()).collect(),
            connections: 1,
        }
    }

    fn records() -> [Record; 3] {
        [
            record(0, Outcome::Acknowledged("a".to_owned())),
            record(1, Outcome::Refused),
            record(2, Outcome::Unanswered),
        ]
    }

    #[test]
    fn what_is_right_passes() {
        let counts = published(&records(), &seen(&[(0, "a"), (2, "c")]));
        let delivered = (counts.acknowledged, counts.delivered_unanswered);
        assert_eq!(delivered, (1, 1));
        assert_eq!(published(&records(), &seen(&[(0, "a")])).unanswered, 1);
    }

    #[test]
    #[should_panic(expected = "acknowledged")]
    fn a_lost_update_is_noticed() {
        published(&records(), &seen(&[(2, "c")]));
    }

    #[test]
    #[should_panic(expected = "acknowledged")]
    fn another_id_is_noticed() {
        published(&records(), &seen(&[(0, "b")]));
    }

    #[test]
    #[should_panic(expected = "refused")]
    fn a_refused_update_is_noticed() {
        published(&records(), &seen(&[(0, "a"), (1, "b")]));
    }

    #[test]
    #[should_panic(expected = "delivered as")]
    fn a_second_delivery_is_noticed() {
        published(&records(), &seen(&[(0, "a"), (0, "b")]));
    }

    #[test]
    #[should_panic(expected = "used twice")]
    fn an_id_that_is_used_twice_is_noticed() {
        published(&records(), &seen(&[(0, "a"), (2, "a")]));
    }

    #[test]
    #[should_panic(expected = "never sent")]
    fn an_invented_update_is_noticed() {
        published(&records(), &seen(&[(0, "a"), (9, "b")]));
    }
}
