//! The true time of day, and a clock that may be set wrong.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

/// The most that time servers set a clock by, in milliseconds.
pub const STEP: u64 = 2_000;
/// In milliseconds.
pub const DAY: i64 = 24 * 60 * 60 * 1_000;

/// Cloning shares it.
#[derive(Clone)]
pub struct Clock(Arc<Times>);

struct Times {
    /// In milliseconds since 1970.
    time: AtomicU64,
    /// How far the clock is ahead of it.
    ahead: AtomicI64,
    /// How often it was set.
    steps: AtomicU64,
    /// Whether it was ever set by more than time servers do.
    was_far: AtomicBool,
    /// When it was set wrong last, in milliseconds since 1970; or the latest time that a log knew which was opened
    /// since then.
    wrong_since: AtomicU64,
}

impl Default for Clock {
    fn default() -> Self {
        Self(Arc::new(Times {
            time: AtomicU64::new(1_700_000_000_000),
            ahead: AtomicI64::new(0),
            steps: AtomicU64::new(0),
            was_far: AtomicBool::new(false),
            wrong_since: AtomicU64::new(0),
        }))
    }
}

impl Clock {
    /// The time of day.
    pub fn time(&self) -> u64 {
        self.0.time.load(Ordering::Relaxed)
    }

    /// What the clock says that it is.
    pub fn reading(&self) -> u64 {
        self.time()
            .saturating_add_signed(self.0.ahead.load(Ordering::Relaxed))
    }

    /// Whether it is not what it says.
    pub fn is_wrong(&self) -> bool {
        self.0.ahead.load(Ordering::Relaxed) != 0
    }

    /// Whether the clock was ever far from the time. The believed time may then stay wrong, because the
    /// monotonic clock, which would confirm a reading, hardly advances here.
    pub fn was_far(&self) -> bool {
        self.0.was_far.load(Ordering::Relaxed)
    }

    /// The earliest time that an update may be stamped with: while the clock is wrong the log counts on
    /// by the machine's own time, which hardly passes here, from the latest time that it knows.
    pub fn earliest_stamp(&self) -> u64 {
        if self.is_wrong() {
            self.0.wrong_since.load(Ordering::Relaxed)
        } else {
            self.time()
        }
    }

    /// A log was opened whose newest update is of this time: while the clock is wrong, it knows of no later one.
    pub fn opened(&self, newest: u64) {
        if self.is_wrong() {
            self.0.wrong_since.fetch_min(newest, Ordering::Relaxed);
        }
    }

    /// How often it was set.
    pub fn steps(&self) -> u64 {
        self.0.steps.load(Ordering::Relaxed)
    }

    /// Advances the clock by `passes` milliseconds.
    pub fn pass(&self, passes: u64) {
        self.0.time.fetch_add(passes, Ordering::Relaxed);
    }

    /// Sets it `ahead` milliseconds ahead of the time.
    pub fn set(&self, ahead: i64) {
        if !self.is_wrong() {
            self.0.wrong_since.store(self.time(), Ordering::Relaxed);
        }
        self.0.ahead.store(ahead, Ordering::Relaxed);
        if ahead.unsigned_abs() > STEP {
            self.0.was_far.store(true, Ordering::Relaxed);
        }
        self.0.steps.fetch_add(1, Ordering::Relaxed);
    }
}
