//! Commits a log in memory: the publisher that finds it idle commits what waits.
//!
//! Such a log has nothing to wait for, so a publisher's own task commits: no thread is woken and put
//! to sleep for a single update. Publishers that come meanwhile join the next group. If the queue does
//! not become empty, a relief thread takes over, so that no publisher commits for the others without
//! end.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, MutexGuard, PoisonError};

use talaria_protocol::Update;

use super::handle::Committer;
use super::queue::{Committing, Queue};
use super::shared::{CloseOnPanic, Shared};
use super::waiting::{Waiting, split};
use crate::Frame;

/// Groups that a publisher's task commits before the relief thread takes over.
const GROUPS_IN_A_ROW: usize = 8;

/// A log that stores a group at once. Called by one committer at a time.
pub(crate) trait Inline: Send + 'static {
    /// Stores updates as the next frames of the log.
    fn store(&mut self, updates: Vec<Update>) -> Vec<Arc<Frame>>;

    /// Called after a group was routed.
    fn routed(&mut self);
}

/// Starts the committer with its relief thread. A group has at most `group_bytes` bytes, unless updates
/// that joined at once have more.
pub(crate) fn start<L: Inline>(log: L, group_bytes: usize) -> std::io::Result<Committer<L>> {
    Committer::start(log, group_bytes, commit_if_idle, relieve)
}

/// Commits what waits, unless another publisher or the relief thread does.
fn commit_if_idle<L: Inline>(shared: &Shared<L>, mut queue: MutexGuard<'_, Queue>) {
    if queue.committing == Committing::Idle {
        queue.committing = Committing::Publisher;
        drop(queue);
        // The panic hook has reported the panic, and the queue is closed. This publisher learns that the
        // outcome is unknown, as the others of the group do: it may not be its update that is at fault.
        let committed = AssertUnwindSafe(|| commit(shared, Some(GROUPS_IN_A_ROW)));
        drop(catch_unwind(committed));
    }
}

/// The relief thread: commits when a publisher hands over, until the queue is closed.
fn relieve<L: Inline>(shared: &Shared<L>) {
    let has_nothing_to_do = |queue: &mut Queue| match queue.committing {
        Committing::Thread => false,
        Committing::Idle => queue.closed.is_none(),
        // The publisher commits all that waits or hands over, and notifies at the end.
        Committing::Publisher => true,
    };
    loop {
        let queue = shared.changed.wait_while(shared.queue(), has_nothing_to_do);
        let queue = queue.unwrap_or_else(PoisonError::into_inner);
        if queue.committing == Committing::Idle {
            return;
        }
        drop(queue);
        commit(shared, None);
    }
}

/// Commits group after group until nothing waits; after `at_most` groups it hands over to the relief
/// thread.
fn commit<L: Inline>(shared: &Shared<L>, at_most: Option<usize>) {
    let _close = CloseOnPanic(shared);
    let mut log = shared.log();
    let mut groups = 0;
    while let Some(group) = next_group(shared, at_most.is_some_and(|most| groups >= most)) {
        groups += 1;
        let (updates, answers) = split(group);
        let frames = log.store(updates);
        shared.publish(&frames, answers);
        log.routed();
    }
}

/// Takes the next group; `None` if nothing waits or the relief thread takes over.
fn next_group<L>(shared: &Shared<L>, hand_over: bool) -> Option<Vec<Waiting>> {
    let mut queue = shared.queue();
    if queue.is_empty() {
        queue.committing = Committing::Idle;
        if queue.closed.is_some() {
            // The relief thread may wait for this.
            shared.changed.notify_one();
        }
        return None;
    }
    if hand_over {
        queue.committing = Committing::Thread;
        shared.changed.notify_one();
        return None;
    }
    queue.take_group(shared.group_bytes, None)
}
