//! Numbers that many threads count without waiting for each other, for the metrics of a program.

mod counter;
mod figures;
mod histogram;

pub use self::counter::Counter;
pub use self::figures::{Figures, SharedFigures, Survives};
pub use self::histogram::{Distribution, Histogram};

/// Bounds of times, in nanoseconds: from a tenth of a millisecond to ten seconds.
pub const TIMES: &[u64] = &[
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
    10_000_000_000,
];

/// How many nanoseconds are a second.
pub const NANOSECONDS: f64 = 1e9;
