//! Clocks: the time as a parameter. Only this file reads the clocks of the system.

use std::ops::Add;
use std::time::{Duration, Instant, SystemTime};

/// Tells the time. Embedders and tests may implement it.
pub trait Clock: Send + Sync + 'static {
    /// For deadlines.
    fn now(&self) -> Instant;

    /// The time of day, for the times in tokens.
    fn unix_time(&self) -> UnixTime;
}

/// A time of day, as tokens write it: seconds since the Unix epoch, with their fraction.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct UnixTime(f64);

impl UnixTime {
    /// The time `seconds` after the Unix epoch; negative seconds are before it.
    pub const fn from_seconds(seconds: f64) -> Self {
        Self(seconds)
    }

    /// The seconds since the Unix epoch.
    pub const fn seconds(self) -> f64 {
        self.0
    }

    /// How long it is from now until `later`: zero if that has passed, and at most thirty years.
    pub fn until(self, later: Self) -> Duration {
        const MOST: f64 = 1e9;
        let seconds = (later.0 - self.0).clamp(0.0, MOST);
        // A time that is not a number has passed.
        Duration::try_from_secs_f64(seconds).unwrap_or_default()
    }
}

impl From<SystemTime> for UnixTime {
    /// Times before the Unix epoch become the epoch.
    fn from(time: SystemTime) -> Self {
        let since = time.duration_since(SystemTime::UNIX_EPOCH);
        Self(since.unwrap_or(Duration::ZERO).as_secs_f64())
    }
}

impl Add<Duration> for UnixTime {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0 + duration.as_secs_f64())
    }
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
    fn unix_time(&self) -> UnixTime {
        SystemTime::now().into()
    }
}
