//! How a node uses a shared log.

use std::time::Duration;

use crate::EventBounds;
use crate::measures::Survives;

/// How a node uses a shared log.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SharedOptions {
    /// The bytes of the newest updates that each node holds in memory. Half as many are held of what was read for
    /// readers behind them.
    pub ring_bytes: usize,
    /// How long a publish may wait to be stored.
    pub publish_timeout: Duration,
    /// A node that has not shown itself for this long is taken for dead.
    pub lease: Duration,
    /// How many subscription events each node holds in memory.
    pub events: EventBounds,
    /// What acknowledged updates survive, as the server's settings said at the start; for the figures.
    pub survives: Survives,
    /// Where the random numbers of the node begin; the system's, if not set. For tests that repeat what happened.
    #[doc(hidden)]
    pub seed: Option<u64>,
}

impl Default for SharedOptions {
    fn default() -> Self {
        Self {
            ring_bytes: 32 << 20,
            publish_timeout: Duration::from_secs(10),
            lease: Duration::from_secs(15),
            events: EventBounds::default(),
            survives: Survives::default(),
            seed: None,
        }
    }
}
