//! The one place of this crate that reads the wall clock.

use std::time::{SystemTime, UNIX_EPOCH};

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
