//! The one place of this crate that reads the wall clock.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Unix time in seconds with their fraction; 0 before 1970.
#[expect(
    clippy::disallowed_methods,
    reason = "verbs of the command line start from the real time"
)]
pub fn unix_now() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0.0, |since| since.as_secs_f64())
}

/// For how long something takes.
#[expect(
    clippy::disallowed_methods,
    reason = "verbs of the command line measure in real time"
)]
pub fn monotonic() -> Instant {
    Instant::now()
}

/// The time of the system's clock, for the dates of certificates.
pub fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs_f64(unix_now().max(0.0))
}
