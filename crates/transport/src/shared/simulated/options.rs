//! How the servers are set up.

use std::time::Duration;

use super::log::YEAR_2025;

/// What the servers are like.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SimulatedOptions {
    /// What the random numbers of the world follow from.
    pub seed: u64,
    /// How many replicas the primary has.
    pub copies: usize,
    /// How many replicas must have an update before a read of the tail returns it.
    pub confirmations: usize,
    /// The most updates that the log keeps.
    pub max_length: Option<u64>,
    /// The most bytes of updates that the log keeps.
    pub max_bytes: Option<u64>,
    /// The most updates of a run.
    pub run_length: u64,
    /// The most records that one read returns.
    pub page_records: usize,
    /// The longest way of a request or an answer.
    pub latency: Duration,
    /// What the clock of the servers says at the beginning, in seconds since 1970.
    pub begins_at: u64,
}

impl Default for SimulatedOptions {
    fn default() -> Self {
        Self {
            seed: 0,
            copies: 0,
            confirmations: 0,
            max_length: None,
            max_bytes: None,
            run_length: u64::from(u32::MAX),
            page_records: 1_000,
            latency: Duration::from_millis(3),
            begins_at: YEAR_2025 + 50_000_000,
        }
    }
}
