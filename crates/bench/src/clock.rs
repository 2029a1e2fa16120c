//! The bench's clock. What the bench measures is real time, so the clock is not a parameter here.

use rustix::time::{ClockId, clock_gettime};

/// Nanoseconds of the monotonic clock, comparable within this machine.
pub(crate) fn now_ns() -> u64 {
    nanoseconds(ClockId::Monotonic)
}

/// Nanoseconds of processor time that this process has used.
pub(crate) fn own_cpu_ns() -> u64 {
    nanoseconds(ClockId::ProcessCPUTime)
}

/// Seconds since the Unix epoch, for tokens.
pub(crate) fn unix_seconds() -> u64 {
    nanoseconds(ClockId::Realtime) / 1_000_000_000
}

/// Milliseconds since the Unix epoch, for the history.
pub(crate) fn unix_milliseconds() -> u64 {
    nanoseconds(ClockId::Realtime) / 1_000_000
}

fn nanoseconds(clock: ClockId) -> u64 {
    let now = clock_gettime(clock);
    let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
    let fraction = u64::try_from(now.tv_nsec).unwrap_or_default();
    seconds * 1_000_000_000 + fraction
}

/// Nanoseconds as milliseconds.
pub(crate) fn ms(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e6
}

/// The rate per second of `count` events in a number of nanoseconds.
pub(crate) fn per_second(count: u64, nanoseconds: u64) -> f64 {
    count as f64 * 1e9 / nanoseconds.max(1) as f64
}
