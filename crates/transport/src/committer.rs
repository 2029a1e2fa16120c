//! Group commit: whoever finds the log idle commits what waits, in groups.
//!
//! A log in memory has nothing to wait for, so a publisher's own task commits: no thread is woken
//! and put to sleep for a single update. Publishers that come meanwhile join the next group. When
//! the log does not come to rest, a relief thread takes over, so that no publisher commits for the
//! others without end.

mod queue;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use talaria_protocol::Update;
use tokio::sync::oneshot;

use self::queue::{Answer, Queue, Role, Waiting, size};
use crate::{AppendError, Appended, Frame, Pending, Route};

/// Why nothing is stored any more once committing has panicked.
const FAILED: &str = "the log has failed; restart the hub";
/// Groups that a publisher's task commits before the relief thread takes over.
const GROUPS_IN_A_ROW: usize = 8;

/// Gives updates their places. Called by one committer at a time, in stages, so that a group can be
/// prepared while the one before it is on its way to a disk.
pub(crate) trait Commit: Send + 'static {
    /// A group as it will be written.
    type Prepared;
    /// A group that is being committed.
    type Flight;

    /// Turns updates into frames behind those that are prepared already, else behind those of the
    /// flight, if there is one.
    fn prepare(
        &mut self,
        updates: Vec<Update>,
        prepared: Option<Self::Prepared>,
        behind: Option<&Self::Flight>,
    ) -> Self::Prepared;

    /// Begins to commit a group; called when none is under way.
    fn begin(&mut self, group: Self::Prepared) -> Result<Self::Flight, AppendError>;

    /// Waits while most of a flight goes by; whether it is worth while to prepare what has come
    /// meanwhile before it lands.
    fn is_long(&mut self, _: &Self::Flight) -> bool {
        false
    }

    /// Waits until a group is committed.
    fn land(&mut self, flight: Self::Flight) -> Result<Vec<Arc<Frame>>, AppendError>;

    /// Called after a group was routed.
    fn routed(&mut self) {}

    /// Called when nothing waits, by a log's own thread; when to call again.
    fn rest(&mut self) -> Option<Duration> {
        None
    }
}

/// Who commits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who {
    /// Whoever finds the log idle: it has nothing to wait for.
    Publishers,
    /// A thread of its own: a log that waits for a disk.
    Thread,
}

/// The updates that wait, and the relief thread. Dropping it commits what waits and joins the
/// thread.
pub(crate) struct Committer<L: Commit> {
    shared: Arc<Shared<L>>,
    thread: Option<JoinHandle<()>>,
}

struct Shared<L> {
    queue: Mutex<Queue>,
    /// Rung when the thread is to take over, and at the end.
    relief: Condvar,
    route: OnceLock<Arc<dyn Route>>,
    /// Why nothing is stored any more, for those who must not wait for the queue.
    failure: OnceLock<&'static str>,
    /// Held by whoever commits.
    log: Mutex<L>,
    group_bytes: usize,
    who: Who,
}

impl<L> Shared<L> {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<L: Commit> Committer<L> {
    /// A group is at most `group_bytes` of content, or what joined at once.
    pub(crate) fn start(log: L, group_bytes: usize, who: Who) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            relief: Condvar::new(),
            route: OnceLock::new(),
            failure: OnceLock::new(),
            log: Mutex::new(log),
            group_bytes,
            who,
        });
        let thread = {
            let shared = Arc::clone(&shared);
            std::thread::Builder::new()
                .name("talaria-commit".to_owned())
                .spawn(move || relieve(&shared))?
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

    /// Why nothing is stored any more, if committing has panicked.
    pub(crate) fn failure(&self) -> Option<&'static str> {
        self.shared.failure.get().copied()
    }

    /// Appends an update as [`Transport::append`](crate::Transport::append) says: it joins the open
    /// group, and is committed even if the answer is no longer awaited.
    pub(crate) fn append(&self, update: Update) -> Pending<'static, Answer> {
        let joined = self.join(update);
        Box::pin(async move { joined?.await.map_err(|_| AppendError::Unknown)? })
    }

    /// Appends updates as [`Transport::append_all`](crate::Transport::append_all) says.
    pub(crate) fn append_all(
        &self,
        updates: Vec<Update>,
    ) -> Pending<'static, Result<Vec<Appended>, AppendError>> {
        let joined = self.join_all(updates);
        Box::pin(async move {
            let mut appended = Vec::new();
            for joined in joined? {
                appended.push(joined.await.map_err(|_| AppendError::Unknown)??);
            }
            Ok(appended)
        })
    }

    fn join(&self, update: Update) -> Result<oneshot::Receiver<Answer>, AppendError> {
        let mut queue = self.shared.lock();
        queue.refuse_more_than(1, size(&update))?;
        let acknowledged = queue.push(update, false);
        self.commit_what_waits(queue);
        Ok(acknowledged)
    }

    fn join_all(
        &self,
        mut updates: Vec<Update>,
    ) -> Result<Vec<oneshot::Receiver<Answer>>, AppendError> {
        if updates.is_empty() {
            return Ok(Vec::new());
        }
        // A group is of one kind, and these are one group.
        let is_event = |update: &Update| update.by_hub && update.id.is_none();
        let are_events = updates.iter().all(is_event);
        updates
            .iter_mut()
            .for_each(|update| update.by_hub = are_events);
        let mut queue = self.shared.lock();
        queue.refuse_more_than(updates.len(), updates.iter().map(size).sum())?;
        let last = updates.len() - 1;
        let updates = updates.into_iter().enumerate();
        let acknowledged = updates.map(|(index, update)| queue.push(update, index < last));
        let acknowledged = acknowledged.collect();
        self.commit_what_waits(queue);
        Ok(acknowledged)
    }

    fn commit_what_waits(&self, mut queue: MutexGuard<'_, Queue>) {
        if queue.committer == Role::Nobody && self.shared.who == Who::Thread {
            queue.committer = Role::Thread;
            drop(queue);
            self.shared.relief.notify_one();
        } else if queue.committer == Role::Nobody {
            queue.committer = Role::Publisher;
            drop(queue);
            // A panic has been reported by its hook and has closed the queue; this publisher is not
            // more to blame than others of the group, which learn that the outcome is unknown.
            let committed = AssertUnwindSafe(|| commit(&self.shared, Some(GROUPS_IN_A_ROW)));
            drop(catch_unwind(committed));
        }
    }
}

impl<L: Commit> Drop for Committer<L> {
    fn drop(&mut self) {
        let mut queue = self.shared.lock();
        queue.closed.get_or_insert("the hub is stopping");
        drop(queue);
        self.shared.relief.notify_one();
        if let Some(thread) = self.thread.take() {
            // A panic there has been reported by its hook; there is nothing to add.
            _ = thread.join();
        }
    }
}

/// Closes the queue if committing panics. Then nobody knows what was routed, so nothing more is:
/// what waits is dropped, and its publishers learn that the outcome is unknown.
struct CloseOnPanic<'a, L>(&'a Shared<L>);

impl<L> Drop for CloseOnPanic<'_, L> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // It can only be set to this.
            _ = self.0.failure.set(FAILED);
            let mut queue = self.0.lock();
            queue.closed = Some(FAILED);
            queue.waiting.clear();
            queue.committer = Role::Nobody;
            self.0.relief.notify_one();
        }
    }
}

/// The relief thread: commits whenever a publisher hands over, until the queue is closed.
fn relieve<L: Commit>(shared: &Shared<L>) {
    loop {
        let wait = match shared.who {
            Who::Publishers => None,
            Who::Thread => rest(shared),
        };
        let queue = shared.lock();
        let idle = |queue: &mut Queue| queue.committer != Role::Thread && queue.closed.is_none();
        let queue = match wait {
            Some(wait) => {
                let waited = shared.relief.wait_timeout_while(queue, wait, idle);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
            None => {
                let waited = shared.relief.wait_while(queue, idle);
                waited.unwrap_or_else(PoisonError::into_inner)
            }
        };
        match queue.committer {
            Role::Thread => {
                drop(queue);
                commit(shared, None);
            }
            Role::Nobody if queue.closed.is_some() => return,
            // A publisher still commits what waits; it rings when it is done.
            Role::Publisher if queue.closed.is_some() => {
                let done = |queue: &mut Queue| queue.committer == Role::Publisher;
                drop(shared.relief.wait_while(queue, done));
            }
            _ => {}
        }
    }
}

/// Lets the log do what is due; when to come again.
fn rest<L: Commit>(shared: &Shared<L>) -> Option<Duration> {
    let _close = CloseOnPanic(shared);
    let mut log = shared.log.lock().unwrap_or_else(PoisonError::into_inner);
    log.rest()
}

/// A group at one of its stages, and those who await it.
struct Awaited<G> {
    group: G,
    /// At least the bytes of its frames, while it is prepared.
    bytes: usize,
    /// Whether it is of subscription events, while it is prepared.
    by_hub: bool,
    answers: Vec<oneshot::Sender<Answer>>,
}

/// Commits group after group until nothing waits, or hands over after so many. What comes while a
/// group is on its way is prepared meanwhile, and who awaits a group is told when the next one has
/// set off.
fn commit<L: Commit>(shared: &Shared<L>, at_most: Option<usize>) {
    let _close = CloseOnPanic(shared);
    let mut log = shared.log.lock().unwrap_or_else(PoisonError::into_inner);
    let mut groups = 0;
    let mut flying: Option<Awaited<L::Flight>> = None;
    loop {
        let hand_over = at_most.is_some_and(|most| groups >= most);
        let mut next: Option<Awaited<L::Prepared>> = None;
        if let Some(flight) = &flying
            && log.is_long(&flight.group)
            && let Some(group) = next_group(shared, None, true, hand_over)
        {
            next = Some(prepare(&mut *log, group, None, Some(&flight.group)));
        }
        let landed = flying
            .take()
            .map(|flight| (log.land(flight.group), flight.answers));
        let before = next.as_ref().map(|next| (next.bytes, next.by_hub));
        let is_under_way = landed.is_some() || next.is_some();
        match next_group(shared, before, is_under_way, hand_over) {
            Some(group) => next = Some(prepare(&mut *log, group, next, None)),
            None if is_under_way => {}
            None => return,
        }
        if let Some(next) = next {
            groups += 1;
            match log.begin(next.group) {
                Ok(group) => {
                    flying = Some(Awaited {
                        group,
                        answers: next.answers,
                        bytes: 0,
                        by_hub: next.by_hub,
                    });
                }
                Err(error) => refuse(next.answers, &error),
            }
        }
        match landed {
            Some((Ok(frames), answers)) => {
                tell(shared, &frames, answers);
                log.routed();
            }
            Some((Err(error), answers)) => refuse(answers, &error),
            None => {}
        }
    }
}

/// Prepares updates, behind those of the same group that are prepared already.
fn prepare<L: Commit>(
    log: &mut L,
    waiting: Vec<Waiting>,
    before: Option<Awaited<L::Prepared>>,
    behind: Option<&L::Flight>,
) -> Awaited<L::Prepared> {
    let (before, mut answers, mut bytes) = match before {
        Some(before) => (Some(before.group), before.answers, before.bytes),
        None => (None, Vec::with_capacity(waiting.len()), 0),
    };
    let by_hub = waiting.first().is_some_and(|first| first.update.by_hub);
    let mut updates = Vec::with_capacity(waiting.len());
    for waiting in waiting {
        bytes += size(&waiting.update);
        updates.push(waiting.update);
        answers.push(waiting.acknowledge);
    }
    Awaited {
        group: log.prepare(updates, before, behind),
        answers,
        bytes,
        by_hub,
    }
}

fn refuse(answers: Vec<oneshot::Sender<Answer>>, error: &AppendError) {
    for answer in answers {
        // The publisher may have hung up, which changes nothing.
        _ = answer.send(Err(error.clone()));
    }
}

/// Makes a committed group visible, and answers its publishers.
fn tell<L>(shared: &Shared<L>, frames: &[Arc<Frame>], answers: Vec<oneshot::Sender<Answer>>) {
    let mut answers = answers.into_iter();
    let mut acknowledge_all = || {
        for (answer, frame) in answers.by_ref().zip(frames) {
            // The publisher may have hung up, which changes nothing.
            _ = answer.send(Ok(Appended {
                position: frame.position,
                event_id: frame.event_id.to_string(),
            }));
        }
    };
    match shared.route.get() {
        Some(route) => route.route(frames, &mut acknowledge_all),
        None => acknowledge_all(),
    }
}

/// Takes as many updates as fit into a group that has `before` already: so many bytes, of events or
/// not; `None` if nothing waits or fits, or if the thread is to go on. Events and updates are groups of
/// their own, because they are stored apart. While a group is under way its committer stays the
/// committer.
fn next_group<L>(
    shared: &Shared<L>,
    before: Option<(usize, bool)>,
    is_under_way: bool,
    hand_over: bool,
) -> Option<Vec<Waiting>> {
    let mut queue = shared.lock();
    if is_under_way && (queue.waiting.is_empty() || hand_over) {
        return None;
    }
    if queue.waiting.is_empty() {
        queue.committer = Role::Nobody;
        if queue.closed.is_some() {
            // The thread may wait for this rest.
            shared.relief.notify_one();
        }
        return None;
    }
    if hand_over {
        queue.committer = Role::Thread;
        shared.relief.notify_one();
        return None;
    }
    let (mut bytes, mut kind) = before.map_or((0, None), |(bytes, by_hub)| (bytes, Some(by_hub)));
    let mut group: Vec<Waiting> = Vec::new();
    while let Some(next) = queue.waiting.front() {
        if *kind.get_or_insert(next.update.by_hub) != next.update.by_hub {
            break;
        }
        let next_bytes = size(&next.update);
        let must_follow = group.last().is_some_and(|last| last.goes_with_next);
        if bytes > 0 && bytes + next_bytes > shared.group_bytes && !must_follow {
            break;
        }
        bytes += next_bytes;
        queue.bytes -= next_bytes;
        group.extend(queue.waiting.pop_front());
    }
    Some(group).filter(|group| !group.is_empty())
}
