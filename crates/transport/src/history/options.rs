//! The options of a history.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::EventBounds;

/// Reads the time of day, in milliseconds since 1970. A function, so that tests can set the time.
pub type UnixMillis = Arc<dyn Fn() -> u64 + Send + Sync>;

/// What a history keeps, and when it is durable.
#[derive(Clone)]
#[non_exhaustive]
pub struct HistoryOptions {
    /// The most updates that are kept; `None` for all.
    pub size: Option<u64>,
    /// The most bytes that kept updates take in segments; `None` for no bound. The newest update is kept
    /// whatever its size.
    pub max_bytes: Option<u64>,
    /// How long an update is kept; `None` for ever.
    pub max_age: Option<Duration>,
    /// How many subscription events are kept; they do not count towards the other bounds.
    pub events: EventBounds,
    /// When an update becomes durable.
    pub sync: SyncMode,
    /// The bytes of the newest updates that are kept in memory for live subscribers.
    pub ring_bytes: usize,
    /// How many segments a tier covers at least; large ones cover the square of that. Smaller in tests.
    #[doc(hidden)]
    pub segments_of_tier: u64,
    /// The time of day, for commit times and `max_age`.
    pub clock: UnixMillis,
}

/// When an acknowledged update becomes durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SyncMode {
    /// Before it is acknowledged. No acknowledged update is ever lost.
    #[default]
    Always,
    /// At most this much later. A crash of the process loses nothing; a crash of the system loses what
    /// was acknowledged since the last sync.
    Interval(Duration),
    /// When the operating system decides. A crash of the process loses nothing; a crash of the system can
    /// lose what was acknowledged since the newest segment began.
    Never,
}

impl HistoryOptions {
    /// Options that keep every update, and sync before each acknowledgement.
    pub fn new(clock: UnixMillis) -> Self {
        Self {
            size: None,
            max_bytes: None,
            max_age: None,
            events: EventBounds::default(),
            sync: SyncMode::Always,
            ring_bytes: 32 << 20,
            segments_of_tier: 64,
            clock,
        }
    }
}

impl fmt::Debug for HistoryOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HistoryOptions")
            .field("size", &self.size)
            .field("max_bytes", &self.max_bytes)
            .field("max_age", &self.max_age)
            .field("events", &self.events)
            .field("sync", &self.sync)
            .field("ring_bytes", &self.ring_bytes)
            .finish_non_exhaustive()
    }
}
