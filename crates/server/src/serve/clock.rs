//! The only file of this crate that reads the clocks of the system.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Unix time in seconds and fractions of them; 0 before 1970.
#[expect(
    clippy::disallowed_methods,
    reason = "verbs of the command line start from the real time"
)]
pub(crate) fn unix_now() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0.0, |since| since.as_secs_f64())
}

/// The time of day, for spans.
#[expect(
    clippy::disallowed_methods,
    reason = "spans say when something happened"
)]
pub(crate) fn wall() -> SystemTime {
    SystemTime::now()
}

/// A moment of a clock that is never set, for measuring how long something takes.
#[expect(
    clippy::disallowed_methods,
    reason = "verbs of the command line measure in real time"
)]
pub(crate) fn monotonic() -> Instant {
    Instant::now()
}

/// The time of the system's clock, for the dates of certificates.
pub(crate) fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs_f64(unix_now().max(0.0))
}
