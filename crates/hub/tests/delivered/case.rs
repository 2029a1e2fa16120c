//! What happens in a case.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use talaria_transport::shared::simulated::{Faults, SimulatedOptions};

pub const NODES: [&str; 3] = ["a", "b", "c"];
/// Topics by place.
pub const TOPICS: [&str; 4] = ["t0", "t1", "t2", "t3"];
/// The place that stands for every topic, in matchers.
const ANY: usize = TOPICS.len();

#[derive(Debug, Clone)]
pub struct Update {
    pub topics: Vec<usize>,
    pub private: bool,
    pub bytes: usize,
}

/// Matchers and grants are places of topics.
#[derive(Debug, Clone)]
pub struct Reader {
    pub matchers: Vec<usize>,
    /// `None`: no token.
    pub grants: Option<Vec<usize>>,
    /// It goes on after one of the acknowledged updates, modulo their number, or reads everything.
    pub after: Option<usize>,
    /// It reads nothing until all else is done.
    pub is_late: bool,
}

#[derive(Debug, Clone)]
pub enum Operation {
    Publish {
        node: usize,
        update: Update,
    },
    Join {
        node: usize,
        reader: Reader,
    },
    /// All publishes so far are answered.
    Settle,
    Wait(Duration),
    Faults(Faults),
    Cut {
        node: usize,
        there: bool,
    },
    Mend {
        node: usize,
    },
    /// The server's process is another one from here on.
    Restart,
}

#[derive(Debug, Clone)]
pub struct Case {
    pub seed: u64,
    pub ring_bytes: usize,
    pub page_records: usize,
    pub run_length: u64,
    pub operations: Vec<Operation>,
}

/// How a matcher or a grant is written.
pub fn pattern(place: usize) -> &'static str {
    TOPICS.get(place).copied().unwrap_or("*")
}

impl Reader {
    /// A private update needs a grant for one of its topics, not necessarily the one that was matched (specification,
    /// "Subscribers").
    pub fn receives(&self, update: &Update) -> bool {
        let any = |places: &[usize]| {
            let is_of = |place: &usize| *place == ANY || update.topics.contains(place);
            places.iter().any(is_of)
        };
        any(&self.matchers) && (!update.private || self.grants.as_deref().is_some_and(any))
    }

    fn any() -> impl Strategy<Value = Self> {
        (
            vec(0..=ANY, 1..3),
            prop::option::of(vec(0..=ANY, 1..3)),
            prop::option::of(any::<usize>()),
            any::<bool>(),
        )
            .prop_map(|(matchers, grants, after, is_late)| Self {
                matchers,
                grants,
                after,
                is_late,
            })
    }
}

impl Update {
    fn any() -> impl Strategy<Value = Self> {
        let bytes = prop_oneof![4 => 0..200_usize, 1 => 2_000..9_000_usize];
        (vec(0..TOPICS.len(), 1..3), any::<bool>(), bytes).prop_map(|(topics, private, bytes)| {
            Self {
                topics,
                private,
                bytes,
            }
        })
    }
}

fn faults() -> impl Strategy<Value = Faults> {
    let often = || prop_oneof![Just(0), 0..100_u64];
    (often(), often(), often(), often()).prop_map(
        |(lost_requests, late_requests, lost_answers, slow_answers)| Faults {
            lost_requests,
            late_requests,
            lost_answers,
            slow_answers,
        },
    )
}

fn operation() -> impl Strategy<Value = Operation> {
    let node = || 0..NODES.len();
    prop_oneof![
        24 => (node(), Update::any()).prop_map(|(node, update)| Operation::Publish { node, update }),
        8 => (node(), Reader::any()).prop_map(|(node, reader)| Operation::Join { node, reader }),
        3 => Just(Operation::Settle),
        3 => (0..4_000_u64).prop_map(|time| Operation::Wait(Duration::from_millis(time))),
        1 => faults().prop_map(Operation::Faults),
        1 => (node(), any::<bool>()).prop_map(|(node, there)| Operation::Cut { node, there }),
        2 => node().prop_map(|node| Operation::Mend { node }),
        1 => Just(Operation::Restart),
    ]
}

impl Case {
    pub fn any() -> impl Strategy<Value = Self> {
        let run_length = prop_oneof![4 => Just(u64::from(u32::MAX)), 1 => 5..40_u64];
        (
            any::<u64>(),
            1_000..40_000_usize,
            1..40_usize,
            run_length,
            vec(operation(), 10..120),
        )
            .prop_map(
                |(seed, ring_bytes, page_records, run_length, operations)| Self {
                    seed,
                    ring_bytes,
                    page_records,
                    run_length,
                    operations,
                },
            )
    }

    pub fn server(&self) -> SimulatedOptions {
        let mut options = SimulatedOptions::default();
        options.seed = self.seed;
        options.page_records = self.page_records;
        options.run_length = self.run_length;
        options
    }
}
