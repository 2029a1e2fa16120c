//! The bench's clock: what it measures is real time, so it is no parameter here.

use rustix::time::{ClockId, clock_gettime};

/// Nanoseconds of the monotonic clock, comparable within this machine.
pub fn now_ns() -> u64 {
    nanoseconds(ClockId::Monotonic)
}

/// Seconds since the Unix epoch, for tokens.
pub fn unix_seconds() -> u64 {
    nanoseconds(ClockId::Realtime) / 1_000_000_000
}

/// Milliseconds since the Unix epoch, as the history wants them.
pub fn unix_milliseconds() -> u64 {
    nanoseconds(ClockId::Realtime) / 1_000_000
}

fn nanoseconds(clock: ClockId) -> u64 {
    let now = clock_gettime(clock);
    let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
    let fraction = u64::try_from(now.tv_nsec).unwrap_or_default();
    seconds * 1_000_000_000 + fraction
}
