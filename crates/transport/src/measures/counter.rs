//! Counters that threads add to without sharing a cache line.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// How many parts a counter has. More threads than that share some.
pub(super) const PARTS: usize = 8;

/// The part of this thread.
pub(super) fn part() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static PART: usize = NEXT.fetch_add(1, Ordering::Relaxed) % PARTS;
    }
    // Without a thread's storage, as while the thread ends, the first part counts.
    PART.try_with(|part| *part).unwrap_or(0)
}

/// A counter in parts, for what threads count many times in a millisecond.
#[derive(Debug, Default)]
pub struct Counter([Part; PARTS]);

/// Two lines of 64 bytes, which some processors fetch together.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Part(AtomicU64);

impl Counter {
    /// Adds to it.
    pub fn add(&self, count: u64) {
        if let Some(Part(part)) = self.0.get(part()) {
            part.fetch_add(count, Ordering::Relaxed);
        }
    }

    /// What was added so far.
    pub fn value(&self) -> u64 {
        let parts = self.0.iter().map(|Part(part)| part.load(Ordering::Relaxed));
        parts.fold(0, u64::wrapping_add)
    }
}
