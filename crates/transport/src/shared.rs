//! A log that several nodes share: one engine over the servers that can keep one.

pub mod backend;
#[cfg(feature = "simulation")]
pub mod simulated;

use std::time::Duration;

pub use self::backend::Backend;

/// How a node uses a shared log.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SharedOptions {
    /// The bytes of the newest updates that each node holds in memory.
    pub ring_bytes: usize,
    /// How long a publish may wait to be stored.
    pub publish_timeout: Duration,
    /// A node that has not shown itself for this long is taken for dead.
    pub lease: Duration,
}

impl Default for SharedOptions {
    fn default() -> Self {
        Self {
            ring_bytes: 32 << 20,
            publish_timeout: Duration::from_secs(10),
            lease: Duration::from_secs(15),
        }
    }
}
