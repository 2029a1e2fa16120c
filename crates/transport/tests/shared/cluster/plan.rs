//! What a seed decides before anything happens.

use std::time::Duration;

use talaria_transport::shared::SharedOptions;
use talaria_transport::shared::simulated::SimulatedOptions;

use crate::random::Random;

pub const NODES: [&str; 3] = ["a", "b", "c"];
pub const LEASE: Duration = Duration::from_secs(15);
pub const PUBLISH_TIMEOUT: Duration = Duration::from_secs(10);

/// What may be lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Promise {
    /// Nothing: the servers lose nothing, or what they lose was not confirmed.
    Kept,
    /// What a failover to a copy that is behind, an older copy or a flush loses.
    Lossy,
}

#[derive(Debug, Clone)]
pub struct Plan {
    pub seed: u64,
    /// Whether what happens is printed.
    pub is_told: bool,
    pub promise: Promise,
    /// How many replicas confirm what is shown.
    pub confirmations: usize,
    /// Whether messages are lost and late all the time.
    pub is_noisy: bool,
    /// Whether nodes are cut off, and stay with a former primary.
    pub cuts: bool,
    pub max_length: Option<u64>,
    pub ring_bytes: usize,
    /// How long there is trouble.
    pub lasts: Duration,
}

impl Plan {
    pub fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let promise = *random.pick(&[Promise::Kept, Promise::Kept, Promise::Lossy]);
        let confirms = random.below(3) as usize;
        Self {
            seed,
            is_told: false,
            promise,
            confirmations: match promise {
                Promise::Kept => confirms,
                Promise::Lossy => 0,
            },
            is_noisy: random.one_of(3),
            cuts: random.one_of(2),
            max_length: random.one_of(4).then_some(60),
            ring_bytes: *random.pick(&[16 << 10, 1 << 20, 1 << 20]),
            lasts: Duration::from_secs(60) + random.time(60_000),
        }
    }

    /// The generator of one part of what happens.
    pub fn random(&self, part: u64) -> Random {
        Random::new(self.seed.wrapping_mul(1_000_003).wrapping_add(part))
    }

    pub fn simulated(&self) -> SimulatedOptions {
        let mut random = self.random(1);
        let mut options = SimulatedOptions::default();
        options.seed = random.next();
        options.copies = match self.promise {
            Promise::Kept => (self.confirmations + 1) * usize::from(self.confirmations > 0),
            Promise::Lossy => 2,
        };
        options.confirmations = self.confirmations;
        options.max_length = self.max_length;
        options.page_records = *random.pick(&[3, 50, 1_000]);
        if self.promise == Promise::Kept && self.confirmations == 0 {
            // No server takes over, whose runs the clock has to tell apart from those that were used up.
            options.run_length = *random.pick(&[20, u64::from(u32::MAX)]);
        }
        options
    }

    pub fn shared(&self, seed: u64) -> SharedOptions {
        let mut options = SharedOptions::default();
        options.ring_bytes = self.ring_bytes;
        options.publish_timeout = PUBLISH_TIMEOUT;
        options.lease = LEASE;
        options.seed = Some(seed);
        options
    }
}
