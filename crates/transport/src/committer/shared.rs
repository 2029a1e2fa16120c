//! What publishers and committer of a log share.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};

use super::answers::Answers;
use super::queue::{Committing, Queue};
use crate::{Frame, Route};

/// Why nothing is stored any more once committing has panicked.
const FAILED: &str = "the log has failed; restart the hub";

/// The queue of a log, the log itself, and where its committed groups go.
pub(super) struct Shared<L> {
    queue: Mutex<Queue>,
    /// Notified when the committer's thread has something to do, and at the end.
    pub(super) changed: Condvar,
    route: OnceLock<Arc<dyn Route>>,
    /// Why nothing is stored any more; readable without waiting for the queue.
    failure: OnceLock<&'static str>,
    /// Held while committing.
    log: Mutex<L>,
    /// The most bytes of a group, unless updates that joined at once have more.
    pub(super) group_bytes: usize,
}

impl<L> Shared<L> {
    pub(super) fn new(log: L, group_bytes: usize) -> Self {
        Self {
            queue: Mutex::default(),
            changed: Condvar::new(),
            route: OnceLock::new(),
            failure: OnceLock::new(),
            log: Mutex::new(log),
            group_bytes,
        }
    }

    pub(super) fn set_route(&self, route: Arc<dyn Route>) {
        // A second route would split the log; the first one stays.
        _ = self.route.set(route);
    }

    /// Why nothing is stored any more, if committing has panicked.
    pub(super) fn failure(&self) -> Option<&'static str> {
        self.failure.get().copied()
    }

    pub(super) fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn log(&self) -> MutexGuard<'_, L> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Refuses further updates; what waits is still committed.
    pub(super) fn close(&self) {
        let mut queue = self.queue();
        queue.closed.get_or_insert("the hub is stopping");
        drop(queue);
        self.changed.notify_one();
    }

    /// Makes a committed group visible, and answers its publishers.
    pub(super) fn publish(&self, frames: &[Arc<Frame>], mut answers: Answers) {
        let mut acknowledge = || answers.acknowledge(frames);
        match self.route.get() {
            Some(route) => route.route(frames, &mut acknowledge),
            None => acknowledge(),
        }
    }
}

/// Closes the queue if committing panics. It is then unknown what was routed, so nothing else is routed
/// either: what waits is dropped, and its publishers learn that the outcome is unknown.
pub(super) struct CloseOnPanic<'a, L>(pub(super) &'a Shared<L>);

impl<L> Drop for CloseOnPanic<'_, L> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // No other value is ever set.
            _ = self.0.failure.set(FAILED);
            let mut queue = self.0.queue();
            queue.closed = Some(FAILED);
            queue.clear();
            queue.committing = Committing::Idle;
            self.0.changed.notify_one();
        }
    }
}
