//! What a log holds at a moment.

use super::histogram::Distribution;

/// What a log holds at a moment, as far as it says so.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct Figures {
    /// The bytes of its files.
    pub bytes: Option<u64>,
    /// The number of its segment files.
    pub segments: Option<u64>,
    /// How long it took to make updates durable, in seconds.
    pub syncs: Option<Distribution>,
    /// The updates that wait to be stored.
    pub waiting: u64,
    /// Their bytes.
    pub waiting_bytes: u64,
    /// What is known of a log that several nodes share.
    pub shared: Option<Box<SharedFigures>>,
}

/// What a node has counted of its shared log, at a moment.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct SharedFigures {
    /// How long the server took to store a batch, in seconds.
    pub appends: Distribution,
    /// How long it took from sending an update until the tail showed it, in seconds.
    pub tails: Distribution,
    /// How many updates a batch had.
    pub batches: Distribution,
    /// The parts of the log that were read from the server for readers behind the ring.
    pub pages: u64,
    /// The publishes that were refused because the server could not be used.
    pub refused: u64,
    /// The publishes that were not answered, because it is unknown whether they are stored.
    pub unknown: u64,
    /// The nodes that this node took for dead.
    pub buried: u64,
    /// The updates that this node had shown and that the log has lost.
    pub lost: u64,
    /// The nodes that use the log.
    pub members: u64,
    /// The bytes that the log takes at the server, if it says so.
    pub bytes: Option<u64>,
    /// How many positions this node was behind the server at its last beat.
    pub lag: u64,
    /// How long the oldest update that was published past the nodes waited at the last beat, in seconds, if there is such
    /// a way.
    pub outbox: Option<f64>,
    /// What acknowledged updates survive.
    pub survives: Survives,
}

/// Whether each acknowledged update survives what happens to the server of its log; `None` if that is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Survives {
    /// The server is killed, and starts again.
    pub server: Option<bool>,
    /// Its machine loses power, and starts again.
    pub machine: Option<bool>,
    /// Another server takes its place.
    pub failover: Option<bool>,
}
