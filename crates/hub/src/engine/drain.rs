//! The end of all streams within a window, so that clients do not come back all at once.

use std::ops::Deref;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

/// Whether the hub is draining, since when and for how long, and what it still waits for.
#[derive(Debug, Default)]
pub(crate) struct Drain {
    window: OnceLock<Window>,
    under_way: TaskTracker,
}

#[derive(Debug, Clone, Copy)]
struct Window {
    start: Instant,
    length: Duration,
}

/// A request or a stream that a draining hub waits for, until this and its clones are dropped.
#[derive(Debug, Clone)]
pub(crate) struct UnderWay {
    drain: Arc<Drain>,
    _token: TaskTrackerToken,
}

impl Deref for UnderWay {
    type Target = Drain;

    fn deref(&self) -> &Drain {
        &self.drain
    }
}

/// Belongs to a drain that nothing else has entered.
#[cfg(test)]
impl Default for UnderWay {
    fn default() -> Self {
        Arc::<Drain>::default().enter()
    }
}

impl Drain {
    /// Begins; a second call changes nothing.
    pub(crate) fn begin(&self, start: Instant, length: Duration) {
        _ = self.window.set(Window { start, length });
        self.under_way.close();
    }

    pub(crate) fn has_begun(&self) -> bool {
        self.window.get().is_some()
    }

    /// Enters a request or a stream.
    pub(crate) fn enter(self: &Arc<Self>) -> UnderWay {
        UnderWay {
            drain: Arc::clone(self),
            _token: self.under_way.token(),
        }
    }

    /// Whether no request and no stream is under way.
    pub(crate) fn is_idle(&self) -> bool {
        self.under_way.is_empty()
    }

    /// Returns when the drain has begun and all that was under way has ended.
    pub(crate) async fn ended(&self) {
        self.under_way.wait().await;
    }

    /// A random moment of the window, once there is one.
    pub(crate) fn pick_end(&self) -> Option<Instant> {
        self.window
            .get()
            .map(|window| window.start + window.length.mul_f64(rand::random::<f64>()))
    }
}
