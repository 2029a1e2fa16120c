//! Work that several callers need at the same time, and that is done once for all of them.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Mutex;

/// Does work for all callers that wait for it, one piece of work at a time.
#[derive(Debug)]
pub struct Flight<T> {
    begun: AtomicU64,
    ended: AtomicU64,
    /// The result of the last piece of work, and its number. Locked while there is work.
    last: Mutex<(u64, Option<T>)>,
}

impl<T> Default for Flight<T> {
    fn default() -> Self {
        Self {
            begun: AtomicU64::new(0),
            ended: AtomicU64::new(0),
            last: Mutex::new((0, None)),
        }
    }
}

impl<T: Clone> Flight<T> {
    /// The result of work that ends after this call. Other callers share it.
    pub async fn join(&self, work: impl Future<Output = T>) -> T {
        self.after(self.ended.load(Ordering::Acquire), work).await
    }

    /// The result of work that begins after this call. Other callers share it.
    pub async fn join_next(&self, work: impl Future<Output = T>) -> T {
        self.after(self.begun.load(Ordering::Acquire), work).await
    }

    async fn after(&self, seen: u64, work: impl Future<Output = T>) -> T {
        let mut last = self.last.lock().await;
        if let (number, Some(result)) = &*last
            && *number > seen
        {
            return result.clone();
        }
        // The count goes on if the caller, and with it the work, is dropped.
        let number = self.begun.fetch_add(1, Ordering::AcqRel) + 1;
        let result = work.await;
        *last = (number, Some(result.clone()));
        self.ended.store(number, Ordering::Release);
        result
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;

    use tokio::sync::Notify;

    use super::*;

    #[tokio::test]
    async fn callers_share_the_work_that_they_may_share() {
        let (flight, count) = (Flight::default(), AtomicU32::new(0));
        let (started, finish) = (Notify::new(), Notify::new());
        let quick = || async { count.fetch_add(1, Ordering::Relaxed) };
        let slow = async {
            started.notify_one();
            finish.notified().await;
            count.fetch_add(1, Ordering::Relaxed)
        };
        let others = async {
            started.notified().await;
            let joined = async {
                tokio::join!(
                    flight.join(quick()),
                    flight.join(quick()),
                    flight.join_next(quick()),
                    flight.join_next(quick()),
                )
            };
            // They wait once `finish` is polled, which is after them.
            let ((a, b, c, d), ()) = tokio::join!(joined, async { finish.notify_one() });
            assert_eq!((a, b, c, d), (0, 0, 1, 1));
        };
        tokio::join!(flight.join(slow), others);
        assert_eq!(flight.join(quick()).await, 2);
    }

    #[tokio::test]
    async fn work_that_is_dropped_is_done_by_the_next_caller() {
        let flight = Flight::default();
        let never = flight.join(std::future::pending::<u32>());
        assert!(
            tokio::time::timeout(std::time::Duration::ZERO, never)
                .await
                .is_err()
        );
        assert_eq!(flight.join(async { 7 }).await, 7);
    }
}
