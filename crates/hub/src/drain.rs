//! The end of all streams within a window, so that clients do not come back all at once.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Whether the hub is draining, since when and for how long.
#[derive(Debug, Default)]
pub(crate) struct Drain(OnceLock<Window>);

#[derive(Debug, Clone, Copy)]
struct Window {
    start: Instant,
    length: Duration,
}

impl Drain {
    /// Begins; a second call changes nothing.
    pub(crate) fn begin(&self, start: Instant, length: Duration) {
        _ = self.0.set(Window { start, length });
    }

    pub(crate) fn is_under_way(&self) -> bool {
        self.0.get().is_some()
    }

    /// A random moment of the window, once there is one.
    pub(crate) fn pick_end(&self) -> Option<Instant> {
        self.0
            .get()
            .map(|window| window.start + window.length.mul_f64(rand::random::<f64>()))
    }
}
