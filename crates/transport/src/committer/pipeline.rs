//! Commits a log on a disk: a thread prepares the next group while the disk stores the one before it.
//!
//! Updates that come while a group is being stored are prepared meanwhile, and the publishers of a group
//! are answered once the next one has been begun, so that the disk waits for neither.

mod stages;

use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

pub(crate) use self::stages::Pipeline;
use super::answers::Answers;
use super::handle::Committer;
use super::queue::{Committing, Queue};
use super::shared::{CloseOnPanic, Shared};
use super::waiting::{Waiting, size, split};

/// Starts the committer and its thread. A group has at most `group_bytes` bytes, unless updates that
/// joined at once have more.
pub(crate) fn start<L: Pipeline>(log: L, group_bytes: usize) -> std::io::Result<Committer<L>> {
    Committer::start(log, group_bytes, wake_if_idle, run)
}

/// Wakes the thread, unless it commits already.
fn wake_if_idle<L>(shared: &Shared<L>, mut queue: MutexGuard<'_, Queue>) {
    if queue.committing == Committing::Idle {
        queue.committing = Committing::Thread;
        drop(queue);
        shared.changed.notify_one();
    }
}

/// The thread: commits when something waits, until the queue is closed.
fn run<L: Pipeline>(shared: &Shared<L>) {
    let is_idle =
        |queue: &mut Queue| queue.committing == Committing::Idle && queue.closed.is_none();
    loop {
        let wait = idle(shared);
        let queue = shared.queue();
        let queue = match wait {
            Some(wait) => {
                let waited = shared.changed.wait_timeout_while(queue, wait, is_idle);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
            None => {
                let waited = shared.changed.wait_while(queue, is_idle);
                waited.unwrap_or_else(PoisonError::into_inner)
            }
        };
        let (committing, is_closed) = (queue.committing, queue.closed.is_some());
        drop(queue);
        if committing != Committing::Idle {
            commit(shared);
        } else if is_closed {
            return;
        }
    }
}

fn idle<L: Pipeline>(shared: &Shared<L>) -> Option<Duration> {
    let _close = CloseOnPanic(shared);
    shared.log().idle()
}

/// A group that is prepared, and the publishers that wait for it.
struct Awaited<G> {
    group: G,
    /// At least the bytes of its frames.
    bytes: usize,
    /// Whether it consists of subscription events.
    by_hub: bool,
    answers: Answers,
}

/// Commits group after group until nothing waits.
fn commit<L: Pipeline>(shared: &Shared<L>) {
    let _close = CloseOnPanic(shared);
    let mut log = shared.log();
    let mut begun: Option<(L::Begun, Answers)> = None;
    loop {
        let mut next: Option<Awaited<L::Prepared>> = None;
        if let Some((group, _)) = &begun
            && log.is_long(group)
            && let Some(waiting) = next_group(shared, None, true)
        {
            next = Some(prepare(&mut *log, waiting, None, Some(group)));
        }
        let finished = begun.take();
        let finished = finished.map(|(group, answers)| (log.finish(group), answers));
        let before = next.as_ref().map(|next| (next.bytes, next.by_hub));
        let is_under_way = finished.is_some() || next.is_some();
        match next_group(shared, before, is_under_way) {
            Some(waiting) => next = Some(prepare(&mut *log, waiting, next, None)),
            None if is_under_way => {}
            None => return,
        }
        if let Some(next) = next {
            match log.begin(next.group) {
                Ok(group) => begun = Some((group, next.answers)),
                Err(error) => next.answers.refuse(&error),
            }
        }
        match finished {
            Some((Ok(frames), answers)) => {
                shared.publish(&frames, answers);
                log.routed();
            }
            Some((Err(error), answers)) => answers.refuse(&error),
            None => {}
        }
    }
}

/// Prepares updates, after those of the same group that are prepared already.
fn prepare<L: Pipeline>(
    log: &mut L,
    waiting: Vec<Waiting>,
    before: Option<Awaited<L::Prepared>>,
    begun: Option<&L::Begun>,
) -> Awaited<L::Prepared> {
    let bytes: usize = waiting.iter().map(|waiting| size(&waiting.update)).sum();
    let by_hub = waiting.first().is_some_and(|first| first.update.by_hub);
    let (updates, later) = split(waiting);
    let (before, mut answers, bytes_before) = match before {
        Some(before) => (Some(before.group), before.answers, before.bytes),
        None => (None, Answers::default(), 0),
    };
    answers.append(later);
    Awaited {
        group: log.prepare(updates, before, begun),
        answers,
        bytes: bytes_before + bytes,
        by_hub,
    }
}

/// Takes the updates that fit into a group which already has `before`. The thread becomes idle only if
/// nothing waits and no group is under way.
fn next_group<L>(
    shared: &Shared<L>,
    before: Option<(usize, bool)>,
    is_under_way: bool,
) -> Option<Vec<Waiting>> {
    let mut queue = shared.queue();
    if queue.is_empty() && !is_under_way {
        queue.committing = Committing::Idle;
    }
    queue.take_group(shared.group_bytes, before)
}
