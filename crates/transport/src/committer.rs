//! Group commit: one thread takes every update that waits, gives it its place and routes it.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::JoinHandle;

use talaria_protocol::Update;
use tokio::sync::oneshot;

use crate::{AppendError, Appended, Frame, Route};

/// Updates that may wait for their group; beyond it publishers are refused.
const MAX_WAITING: usize = 65_536;
/// The bytes of the same.
const MAX_WAITING_BYTES: usize = 64 << 20;

/// Gives updates their places. Called by the committer's thread only.
pub(crate) trait Assign: Send + 'static {
    /// Turns an update into the next frame of the log.
    fn assign(&mut self, update: Update) -> Frame;

    /// Called when a group is committed, before it is routed.
    fn committed(&mut self, group: &[Arc<Frame>]);

    /// Called after a group was routed.
    fn routed(&mut self);
}

/// The thread that commits, and the updates that wait for it. Dropping it commits what waits and
/// joins the thread.
pub(crate) struct Committer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    queue: Mutex<Queue>,
    filled: Condvar,
    route: OnceLock<Arc<dyn Route>>,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Waiting>,
    bytes: usize,
    /// Why no update is taken any more.
    closed: Option<&'static str>,
}

struct Waiting {
    update: Update,
    acknowledge: oneshot::Sender<Appended>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Committer {
    /// Starts the thread. A group is at most `group_bytes` of content, or one update.
    pub(crate) fn start(assign: impl Assign, group_bytes: usize) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            filled: Condvar::new(),
            route: OnceLock::new(),
        });
        let thread = {
            let shared = Arc::clone(&shared);
            let commit = move || commit_all(&shared, assign, group_bytes);
            std::thread::Builder::new()
                .name("talaria-commit".to_owned())
                .spawn(commit)?
        };
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    pub(crate) fn route(&self, route: Arc<dyn Route>) {
        // A second route would split the log; the first one stays.
        _ = self.shared.route.set(route);
    }

    /// Joins the open group. The update is committed even if the answer is no longer awaited.
    pub(crate) fn join(&self, update: Update) -> Result<oneshot::Receiver<Appended>, AppendError> {
        let size = size(&update);
        let (acknowledge, acknowledged) = oneshot::channel();
        let mut queue = self.shared.lock();
        if let Some(reason) = queue.closed {
            return Err(AppendError::Refused(reason));
        }
        if queue.waiting.len() >= MAX_WAITING || queue.bytes + size > MAX_WAITING_BYTES {
            return Err(AppendError::Refused("too many updates wait to be stored"));
        }
        queue.bytes += size;
        queue.waiting.push_back(Waiting {
            update,
            acknowledge,
        });
        drop(queue);
        self.shared.filled.notify_one();
        Ok(acknowledged)
    }
}

impl Drop for Committer {
    fn drop(&mut self) {
        self.shared
            .lock()
            .closed
            .get_or_insert("the hub is stopping");
        self.shared.filled.notify_one();
        if let Some(thread) = self.thread.take() {
            // A panic there has been reported by its hook; there is nothing to add.
            _ = thread.join();
        }
    }
}

/// Closes the queue when the thread ends. After a panic nobody knows what was routed, so nothing
/// more is: what waits is dropped, and its publishers learn that the outcome is unknown.
struct CloseAtEnd<'a>(&'a Shared);

impl Drop for CloseAtEnd<'_> {
    fn drop(&mut self) {
        let mut queue = self.0.lock();
        queue.closed = Some("the log has failed; restart the hub");
        queue.waiting.clear();
    }
}

fn commit_all(shared: &Shared, mut assign: impl Assign, group_bytes: usize) {
    let _close = CloseAtEnd(shared);
    while let Some(group) = next_group(shared, group_bytes) {
        let mut frames = Vec::with_capacity(group.len());
        let mut waiting = Vec::with_capacity(group.len());
        for Waiting {
            update,
            acknowledge,
        } in group
        {
            let frame = Arc::new(assign.assign(update));
            let position = frame.position;
            let event_id = frame.event_id.to_string();
            waiting.push((acknowledge, Appended { position, event_id }));
            frames.push(frame);
        }
        assign.committed(&frames);
        let mut acknowledge_all = || {
            for (acknowledge, appended) in waiting.drain(..) {
                // The publisher may have hung up, which changes nothing.
                _ = acknowledge.send(appended);
            }
        };
        match shared.route.get() {
            Some(route) => route.route(&frames, &mut acknowledge_all),
            None => acknowledge_all(),
        }
        assign.routed();
    }
}

/// Waits for updates and takes as many as a group may have; `None` once closed and empty.
fn next_group(shared: &Shared, group_bytes: usize) -> Option<Vec<Waiting>> {
    let mut queue = shared.lock();
    while queue.waiting.is_empty() {
        if queue.closed.is_some() {
            return None;
        }
        queue = shared
            .filled
            .wait(queue)
            .unwrap_or_else(PoisonError::into_inner);
    }
    let mut group = Vec::new();
    let mut bytes = 0;
    while let Some(next) = queue.waiting.front() {
        let next_bytes = size(&next.update);
        if !group.is_empty() && bytes + next_bytes > group_bytes {
            break;
        }
        bytes += next_bytes;
        group.extend(queue.waiting.pop_front());
    }
    queue.bytes -= bytes;
    Some(group)
}

/// What an update occupies while it waits; an over-estimate of its share in a group.
fn size(update: &Update) -> usize {
    let topics: usize = update.topics.iter().map(|topic| topic.len() + 48).sum();
    size_of::<Update>() + update.data.len() * 2 + topics + 256
}
