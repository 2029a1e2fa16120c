//! The progress of a measurement: publishers wait for it, receivers report it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use crate::clock;

/// How late a wait may notice a stop or a deadline.
const LOOK: Duration = Duration::from_millis(100);

/// Deliveries so far, shared by publishers and receivers.
#[derive(Debug)]
pub(crate) struct Progress {
    delivered: AtomicU64,
    /// The smallest count that a thread waits for.
    wake_at: AtomicU64,
    stopped: AtomicBool,
    deadline_ns: u64,
    lock: Mutex<()>,
    bell: Condvar,
}

impl Progress {
    /// The progress of a measurement that ends at a deadline of the bench's clock at the latest.
    pub(crate) fn new(deadline_ns: u64) -> Self {
        Self {
            delivered: AtomicU64::new(0),
            wake_at: AtomicU64::new(u64::MAX),
            stopped: AtomicBool::new(false),
            deadline_ns,
            lock: Mutex::new(()),
            bell: Condvar::new(),
        }
    }

    /// Ends the measurement.
    pub(crate) fn stop(&self) {
        self.stopped.store(true, SeqCst);
        self.bell.notify_all();
    }

    /// Whether the measurement was stopped or its time is over.
    pub(crate) fn is_over(&self) -> bool {
        self.stopped.load(SeqCst) || clock::now_ns() >= self.deadline_ns
    }

    /// Nanoseconds until the deadline.
    pub(crate) fn left_ns(&self) -> u64 {
        self.deadline_ns.saturating_sub(clock::now_ns())
    }

    /// Deliveries so far.
    pub(crate) fn delivered(&self) -> u64 {
        self.delivered.load(SeqCst)
    }

    /// Reports deliveries. Takes the lock only when a thread waits for this count, because receivers call it
    /// at every wakeup.
    pub(crate) fn add(&self, deliveries: u64) {
        let delivered = self.delivered.fetch_add(deliveries, SeqCst) + deliveries;
        if delivered >= self.wake_at.load(SeqCst) {
            let _guard = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
            self.wake_at.store(u64::MAX, SeqCst);
            self.bell.notify_all();
        }
    }

    /// Waits for a number of deliveries; false when the measurement is over, or when no delivery came for
    /// `patience`.
    pub(crate) fn wait_for(&self, deliveries: u64, patience: Duration) -> bool {
        let mut guard = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        let mut last = (self.delivered(), clock::now_ns());
        loop {
            // Set before the count is read: either the receiver sees it, or this thread sees the receiver's count.
            self.wake_at.fetch_min(deliveries, SeqCst);
            let (delivered, now) = (self.delivered(), clock::now_ns());
            if delivered >= deliveries {
                return true;
            }
            if delivered > last.0 {
                last = (delivered, now);
            }
            let quiet = Duration::from_nanos(now - last.1);
            if self.is_over() || quiet >= patience {
                return false;
            }
            guard = self
                .bell
                .wait_timeout(guard, LOOK)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn soon() -> u64 {
        clock::now_ns() + 20_000_000_000
    }

    /// Two waiters for different counts both wake.
    #[test]
    fn waiters_wake_at_their_count() {
        let progress = Progress::new(soon());
        std::thread::scope(|scope| {
            let waits = [3, 5].map(|count| {
                let progress = &progress;
                scope.spawn(move || progress.wait_for(count, Duration::from_secs(15)))
            });
            for _ in 0..5 {
                progress.add(1);
            }
            for wait in waits {
                assert!(wait.join().unwrap());
            }
        });
    }

    /// A wait ends with the measurement, and when deliveries stop.
    #[test]
    fn no_wait_is_endless() {
        let progress = Progress::new(soon());
        assert!(!progress.wait_for(1, Duration::ZERO));
        progress.stop();
        assert!(!progress.wait_for(1, Duration::MAX));
        assert!(!Progress::new(0).wait_for(1, Duration::MAX));
    }
}
