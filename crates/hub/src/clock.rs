//! The time, as a parameter: the one place that reads the system's clocks.

use std::time::{Duration, Instant, SystemTime};

/// Tells the time. Embedders and tests may bring their own.
pub trait Clock: Send + Sync + 'static {
    /// For deadlines.
    fn now(&self) -> Instant;

    /// Seconds since the Unix epoch, for the times in tokens.
    fn unix_time(&self) -> f64;
}

/// The system's clocks.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the clock"
    )]
    fn now(&self) -> Instant {
        Instant::now()
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the clock"
    )]
    fn unix_time(&self) -> f64 {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        since.unwrap_or(Duration::ZERO).as_secs_f64()
    }
}
