//! What a history keeps, and how soon it is on the disk.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::EventBounds;

/// Milliseconds since 1970; a function, so that tests have their own time.
pub type UnixMillis = Arc<dyn Fn() -> u64 + Send + Sync>;

/// What a history keeps, and how soon it is on the disk.
#[derive(Clone)]
#[non_exhaustive]
pub struct HistoryOptions {
    /// Updates kept at most; `None` for all.
    pub size: Option<u64>,
    /// Bytes that kept updates may occupy in segments; `None` for no bound. The newest update is
    /// kept whatever its size.
    pub max_bytes: Option<u64>,
    /// How long an update is kept; `None` for ever.
    pub max_age: Option<Duration>,
    /// What is kept of subscription events, which count in none of the above.
    pub events: EventBounds,
    /// When an update is on the disk.
    pub sync: SyncMode,
    /// The bytes of the newest updates that are held in memory for live readers.
    pub ring_bytes: usize,
    /// The time of day, for commit times and `max_age`.
    pub clock: UnixMillis,
}

/// When an acknowledged update is on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SyncMode {
    /// Before it is acknowledged: nothing acknowledged is ever lost.
    #[default]
    Always,
    /// This much later at the latest. A crash of the process loses nothing, one of the system what
    /// was acknowledged since.
    Interval(Duration),
    /// When the system likes. A crash of the process loses nothing, one of the system may lose
    /// what was acknowledged since the newest segment began.
    Never,
}

impl HistoryOptions {
    /// Everything is kept and synced.
    pub fn new(clock: UnixMillis) -> Self {
        Self {
            size: None,
            max_bytes: None,
            max_age: None,
            events: EventBounds::default(),
            sync: SyncMode::Always,
            ring_bytes: 32 << 20,
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
