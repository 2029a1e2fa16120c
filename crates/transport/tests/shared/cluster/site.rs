//! What all parts of a simulated cluster share.

use std::sync::{Arc, Mutex, Weak};

use talaria_transport::shared::Shared;
use talaria_transport::shared::simulated::{Simulated, SimulatedNode};
use tokio::sync::watch;
use tokio::time::Instant;

use super::facts::Facts;
use super::plan::{NODES, Plan};
use super::view::View;

pub type Log = Shared<SimulatedNode>;

/// What is going on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Updates are published, subscriptions begin and end, and things fail.
    Trouble,
    /// Nothing fails or changes any more.
    Calm,
}

/// The way to a running process of a node.
#[derive(Debug, Clone)]
pub struct Door {
    pub log: Weak<Log>,
    pub view: Arc<View>,
    /// False once the process has ended.
    pub runs: watch::Receiver<bool>,
}

/// How a node is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    Up,
    /// It is killed.
    Killed,
    /// It ends in an orderly way.
    Stopped,
}

#[derive(Debug)]
pub struct Site {
    pub plan: Plan,
    began: Instant,
    pub world: Simulated,
    pub facts: Facts,
    pub phase: watch::Sender<Phase>,
    pub wanted: Vec<watch::Sender<Wanted>>,
    pub doors: Mutex<Vec<Option<Door>>>,
    /// What clients publish again, since they were not told that it is stored.
    pub repeats: Mutex<Vec<String>>,
}

impl Site {
    pub fn new(plan: Plan) -> Arc<Self> {
        Arc::new(Self {
            world: Simulated::new(plan.simulated()),
            plan,
            began: Instant::now(),
            facts: Facts::default(),
            phase: watch::Sender::new(Phase::Trouble),
            wanted: NODES
                .iter()
                .map(|_| watch::Sender::new(Wanted::Up))
                .collect(),
            doors: Mutex::new(vec![None; NODES.len()]),
            repeats: Mutex::default(),
        })
    }

    /// Prints what happens, if only this seed is run.
    pub fn say(&self, what: std::fmt::Arguments<'_>) {
        if self.plan.is_told {
            let now = self.began.elapsed().as_secs_f64();
            eprintln!("{now:9.3} {what}");
        }
    }

    pub fn is_calm(&self) -> bool {
        *self.phase.borrow() >= Phase::Calm
    }

    pub fn door(&self, node: usize) -> Option<Door> {
        self.doors.lock().unwrap()[node].clone()
    }
}
