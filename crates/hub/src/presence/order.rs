//! Whose subscriptions are announced next: visitors take turns, however many subscriptions each of them has.

use std::collections::{BTreeSet, HashMap};

use super::visit::Visitor;
use crate::engine::active::Serial;

/// Visitors without a subscription that waits are forgotten when there are this many, or twice as many as were left
/// the last time.
const MANY: usize = 1_024;

/// A round in which every visitor announces one subscription.
pub(super) type Round = u64;

/// The subscriptions that wait for their round.
#[derive(Debug, Default)]
pub(super) struct Order {
    /// The round of what was announced last.
    now: Round,
    waiting: BTreeSet<(Round, Serial)>,
    /// The last round of each visitor.
    last: HashMap<Option<Visitor>, Round>,
    forget_at: usize,
}

impl Order {
    /// Adds a subscription. It waits for one round longer than the one before it of the same visitor. `None` stands
    /// for all those for which no head waits.
    pub(super) fn add(&mut self, visitor: Option<Visitor>, serial: Serial) -> Round {
        if self.last.len() >= self.forget_at.max(MANY) {
            self.last.retain(|_, round| *round > self.now);
            self.forget_at = 2 * self.last.len();
        }
        let last = self.last.entry(visitor).or_default();
        *last = (*last).max(self.now) + 1;
        self.waiting.insert((*last, serial));
        *last
    }

    /// Adds a subscription that had its turn before.
    pub(super) fn add_again(&mut self, serial: Serial) -> Round {
        self.waiting.insert((self.now, serial));
        self.now
    }

    /// Takes out the next one.
    pub(super) fn next(&mut self) -> Option<Serial> {
        let (round, serial) = self.waiting.pop_first()?;
        self.now = round;
        Some(serial)
    }

    /// Removes one that was to come in this round.
    pub(super) fn remove(&mut self, round: Round, serial: Serial) {
        self.waiting.remove(&(round, serial));
    }
}

#[cfg(not(talaria_loom))]
#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    fn visitor(last: u8) -> Option<Visitor> {
        let address = IpAddr::from([192, 0, 2, last]);
        Some(Visitor::of(None, Some(address.into())))
    }

    /// A visitor with one subscription is not behind all those of another one.
    #[test]
    fn visitors_take_turns() {
        let mut order = Order::default();
        for serial in 0..100 {
            order.add(visitor(1), serial);
        }
        let first: Vec<_> = (0..3).map_while(|_| order.next()).collect();
        order.add(visitor(2), 100);
        let round = order.add(visitor(3), 101);
        order.remove(round, 101);
        order.add_again(1);
        let next: Vec<_> = (0..4).map_while(|_| order.next()).collect();
        assert_eq!((first, next), (vec![0, 1, 2], vec![1, 3, 100, 4]));
    }

    /// What is remembered of visitors does not grow with those that were ever there.
    #[test]
    fn visitors_are_forgotten() {
        let mut order = Order::default();
        for serial in 0..100_000 {
            let address =
                IpAddr::from([10, (serial >> 16) as u8, (serial >> 8) as u8, serial as u8]);
            order.add(Some(Visitor::of(None, Some(address.into()))), serial);
            order.next();
        }
        assert!(order.last.len() <= MANY, "{}", order.last.len());
    }
}
