//! What one attack showed.

use serde_json::Value;

use super::args::Attack;
use super::honest::{CLIENTS, Done, Published, Resumed};
use crate::histogram::Histogram;
use crate::load::receiver::Received;

/// What one attack showed.
pub(crate) struct Findings {
    /// The attack.
    pub(crate) attack: Attack,
    /// How many addresses attacked.
    pub(crate) addresses: u8,
    /// Alone, harmless, attack.
    pub(crate) phases: Vec<Phase>,
    /// The hub's resident bytes.
    pub(crate) memory: Memory,
    /// Honest updates that a subscriber or reader should have received and never did.
    pub(crate) lost: u64,
    /// Honest updates that a subscriber or reader received twice.
    pub(crate) doubled: u64,
    /// Streams of honest subscribers that ended.
    pub(crate) ended: u64,
    /// Why the first of them ended.
    pub(crate) first_end: Option<String>,
    /// What the attackers counted.
    pub(crate) attackers: Value,
}

/// What the honest clients noticed for a while.
#[derive(Default)]
pub(crate) struct Phase {
    /// `alone`, `harmless` or `attack`.
    pub(crate) name: &'static str,
    /// How long it took.
    pub(crate) seconds: u64,
    /// What each publisher published.
    pub(crate) published: Vec<Published>,
    /// What the readers found.
    pub(crate) resumed: Resumed,
    /// The probes of `/healthz`.
    pub(crate) health: Done,
    /// From the time at which an update was due to a subscriber's read.
    pub(crate) delivery: Histogram,
}

/// The hub's resident bytes.
#[derive(Clone, Copy)]
pub(crate) struct Memory {
    /// Before the attack.
    pub(crate) before: u64,
    /// The most during the attack.
    pub(crate) most: u64,
    /// Some seconds after it.
    pub(crate) after: u64,
}

impl Findings {
    /// Whether no honest update was lost or doubled.
    pub(crate) fn is_flawless(&self) -> bool {
        self.lost + self.doubled == 0
    }

    fn publishers(&self) -> impl Iterator<Item = &Published> {
        self.phases.iter().flat_map(|phase| &phase.published)
    }

    /// Adds what one thread's subscribers received.
    pub(crate) fn add(&mut self, received: Received) {
        self.doubled += received.duplicates;
        self.ended += received.disconnected;
        self.first_end = self.first_end.take().or(received.first_end);
        for (phase, latency) in self.phases.iter_mut().zip(received.latency.chunks(CLIENTS)) {
            for latency in latency {
                phase.delivery.merge(latency);
            }
        }
        for (_, seen) in received.seen {
            let seen = seen.iter().zip(self.publishers());
            let lost = seen.map(|(seen, sent)| seen.lost(sent.updates, &sent.unanswered));
            self.lost += lost.sum::<u64>();
        }
    }

    /// Adds what the readers of all phases received.
    pub(crate) fn add_resumes(&mut self) {
        let resumed = self.phases.iter().map(|phase| &phase.resumed);
        let publishers: Vec<_> = self.publishers().collect();
        let is_lost = |(publisher, sequence): &&(usize, u64)| {
            let sent = publishers.get(*publisher);
            !sent.is_some_and(|sent| sent.unanswered.contains(sequence))
        };
        let (mut lost, mut doubled) = (0, 0);
        for resumed in resumed {
            lost += resumed.missing.iter().filter(is_lost).count() as u64;
            doubled += resumed.doubled;
        }
        self.lost += lost;
        self.doubled += doubled;
    }
}
