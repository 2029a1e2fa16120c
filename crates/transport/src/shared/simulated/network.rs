//! What the network does to requests and answers.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::random::Random;

/// A direction between a node and the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    /// What the node sends.
    There,
    /// What the server sends.
    Back,
}

/// How often what goes wrong, of a thousand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Faults {
    /// Requests that never arrive.
    pub lost_requests: u64,
    /// Requests that the server executes some seconds after their connection died.
    pub late_requests: u64,
    /// Answers that never arrive: the connection breaks, or the node waits in vain.
    pub lost_answers: u64,
    /// Answers that take up to a second.
    pub slow_answers: u64,
}

/// When something arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arrival {
    After(Duration),
    /// After the sender has given up.
    TooLate(Duration),
    Never,
    /// Never, and the sender learns at once that the connection broke.
    Broken,
}

#[derive(Debug)]
pub(super) struct Network {
    pub(super) faults: Faults,
    /// The longest way of a request or an answer.
    latency: Duration,
    cut: BTreeMap<String, BTreeSet<Direction>>,
}

impl Network {
    pub(super) fn new(latency: Duration) -> Self {
        Self {
            faults: Faults::default(),
            latency,
            cut: BTreeMap::new(),
        }
    }

    pub(super) fn cut(&mut self, node: &str, direction: Direction) {
        let cut = self.cut.entry(node.to_owned()).or_default();
        cut.insert(direction);
    }

    pub(super) fn mend(&mut self, node: &str) {
        self.cut.remove(node);
    }

    pub(super) fn is_cut(&self, node: &str, direction: Direction) -> bool {
        let cut = self.cut.get(node);
        cut.is_some_and(|cut| cut.contains(&direction))
    }

    fn way(&self, random: &mut Random) -> Duration {
        Duration::from_micros(random.below(self.latency.as_micros() as u64 + 1))
    }

    pub(super) fn request(&self, node: &str, random: &mut Random) -> Arrival {
        let is_cut = self.is_cut(node, Direction::There);
        if is_cut || random.happens(self.faults.lost_requests) {
            return Arrival::Never;
        }
        if random.happens(self.faults.late_requests) {
            return Arrival::TooLate(Duration::from_millis(random.below(8_000)));
        }
        Arrival::After(self.way(random))
    }

    pub(super) fn answer(&self, node: &str, random: &mut Random) -> Arrival {
        if self.is_cut(node, Direction::Back) {
            return Arrival::Never;
        }
        if random.happens(self.faults.lost_answers) {
            return match random.below(2) {
                0 => Arrival::Never,
                _ => Arrival::Broken,
            };
        }
        if random.happens(self.faults.slow_answers) {
            return Arrival::After(Duration::from_millis(random.below(1_000)));
        }
        Arrival::After(self.way(random))
    }
}
