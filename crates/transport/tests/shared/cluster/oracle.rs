//! Whether what happened keeps the promises of a shared log.

mod events;
mod order;
mod publishes;

use std::collections::{BTreeMap, BTreeSet};

use talaria_transport::Position;
use talaria_transport::shared::simulated::Held;

use super::facts::{Facts, State};
use super::law::Broken;
use super::plan::{Plan, Promise};
use super::view::Shown;

/// What the oracle knows in the end.
pub struct Oracle<'a> {
    pub plan: &'a Plan,
    pub facts: &'a State,
    /// The log in the end.
    pub held: Held,
    /// Positions that the log once had, and that a server did not know.
    pub lost: BTreeSet<Position>,
    /// All that any process showed, by position.
    pub shown: BTreeMap<Position, Shown>,
}

/// Judges first what may never happen, and then, if the cluster has `settled`, what has to be so in the end: a cluster
/// that does not settle often has broken another promise, which says more.
pub fn judge(
    plan: &Plan,
    facts: &Facts,
    held: Held,
    lost: BTreeSet<Position>,
    settled: Result<(), Broken>,
) -> Result<(), Broken> {
    let facts = facts.lock();
    let mut oracle = Oracle {
        plan,
        facts: &facts,
        held,
        lost,
        shown: BTreeMap::new(),
    };
    oracle.order()?;
    oracle.once()?;
    oracle.publishes()?;
    facts.violations.first().cloned().map_or(settled, Err)?;
    oracle.complete()?;
    oracle.readings()?;
    oracle.events()?;
    oracle.tables()?;
    oracle.losses()
}

impl Oracle<'_> {
    pub fn is_lossy(&self) -> bool {
        self.plan.promise == Promise::Lossy
    }

    /// The positions of the log in the end that no server ever lost: who reads past them has them.
    pub fn kept(&self) -> impl Iterator<Item = Position> {
        let given = self.held.given.iter().copied();
        given.filter(|position| !self.lost.contains(position))
    }
}
