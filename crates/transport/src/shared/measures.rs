//! What a node counts.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::measures::{Counter, Histogram, NANOSECONDS, SharedFigures, Survives, TIMES};

/// Bounds of the number of updates in a batch.
const SIZES: &[u64] = &[1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000];

/// What a node has counted of its shared log.
#[derive(Debug)]
pub(super) struct Measures {
    appends: Histogram,
    tails: Histogram,
    batches: Histogram,
    pub(super) pages: Counter,
    pub(super) refused: Counter,
    pub(super) unknown: Counter,
    pub(super) buried: Counter,
    pub(super) lost: Counter,
    pub(super) members: AtomicU64,
    pub(super) lag: AtomicU64,
    pub(super) bytes: AtomicU64,
    outbox: Mutex<Option<Duration>>,
}

impl Default for Measures {
    fn default() -> Self {
        Self {
            appends: Histogram::new(TIMES, NANOSECONDS),
            tails: Histogram::new(TIMES, NANOSECONDS),
            batches: Histogram::new(SIZES, 1.0),
            pages: Counter::default(),
            refused: Counter::default(),
            unknown: Counter::default(),
            buried: Counter::default(),
            lost: Counter::default(),
            members: AtomicU64::new(0),
            lag: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            outbox: Mutex::default(),
        }
    }
}

impl Measures {
    pub(super) fn appended(&self, took: Duration, updates: usize) {
        self.appends.observe(nanoseconds(took));
        self.batches.observe(updates as u64);
    }

    pub(super) fn passed(&self, took: Duration) {
        self.tails.observe(nanoseconds(took));
    }

    pub(super) fn outbox(&self, waits: Option<Duration>) {
        *self.outbox.lock().unwrap_or_else(PoisonError::into_inner) = waits;
    }

    pub(super) fn read(&self, survives: Survives) -> SharedFigures {
        SharedFigures {
            appends: self.appends.read(),
            tails: self.tails.read(),
            batches: self.batches.read(),
            pages: self.pages.value(),
            refused: self.refused.value(),
            unknown: self.unknown.value(),
            buried: self.buried.value(),
            lost: self.lost.value(),
            members: self.members.load(Ordering::Relaxed),
            lag: self.lag.load(Ordering::Relaxed),
            bytes: Some(self.bytes.load(Ordering::Relaxed)).filter(|bytes| *bytes > 0),
            outbox: (*self.outbox.lock().unwrap_or_else(PoisonError::into_inner))
                .map(|waits| waits.as_secs_f64()),
            survives,
        }
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
