//! A server for tests that keeps a shared log in memory, and fails in all the ways that real servers do.
//!
//! One log is kept by a primary, and by replicas that follow it some time later. [`Simulated::node`] is the
//! [`Backend`](super::Backend) of one node. Time is tokio's, so that it is virtual while tokio's clock is paused.
//! What happens follows from the seed, the order of the calls and the faults that a test asks for.

mod command;
mod faults;
mod guarded;
mod log;
mod members;
mod network;
mod node;
mod options;
mod random;
mod server;
mod world;

use std::collections::BTreeSet;
use std::sync::Arc;

use talaria_protocol::Update;

use self::guarded::Guarded;
pub use self::network::{Direction, Faults};
pub use self::node::SimulatedNode;
pub use self::options::SimulatedOptions;
use self::world::World;
use super::backend::{Member, Record};
use crate::{Bounds, Position};

/// Servers that keep one log.
#[derive(Debug, Clone)]
pub struct Simulated(Arc<Guarded>);

/// What the primary holds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Held {
    /// The tag of the log.
    pub tag: u64,
    /// What the log keeps.
    pub bounds: Bounds,
    /// The kept updates, in order.
    pub records: Vec<Record>,
    /// Every position that this copy of the log gave, in order.
    pub given: Vec<Position>,
    /// The stored subscriptions: who announced each, and the update that began it.
    pub subscriptions: Vec<(Member, Update)>,
}

impl Simulated {
    /// Servers without a log.
    pub fn new(options: SimulatedOptions) -> Self {
        Self(Arc::new(Guarded::new(World::new(options))))
    }

    /// The backend of a node.
    pub fn node(&self, name: &str) -> SimulatedNode {
        SimulatedNode::new(name, Arc::clone(&self.0))
    }

    /// What the primary holds; `None` if there is no log.
    pub fn held(&self) -> Option<Held> {
        self.0.with(|world, _| {
            let log = world.primary.data.log.as_ref()?;
            let subscriptions = log.subscriptions.values();
            Some(Held {
                tag: log.tag,
                bounds: log.bounds(),
                records: log
                    .after(Position::ORIGIN)
                    .map(|record| (**record).clone())
                    .collect(),
                given: log.given.clone(),
                subscriptions: subscriptions
                    .map(|begun| (begun.member, begun.update.clone()))
                    .collect(),
            })
        })
    }

    /// Every position that a server gave and that its successor did not know.
    pub fn lost(&self) -> BTreeSet<Position> {
        self.0.with(|world, _| world.lost.clone())
    }

    /// Every position that a server knew and its predecessor did not.
    pub fn regained(&self) -> BTreeSet<Position> {
        self.0.with(|world, _| world.regained.clone())
    }
}
