//! The transport's end of a committer: where updates join the queue, and the thread.

use std::sync::{Arc, MutexGuard};
use std::thread::JoinHandle;

use talaria_protocol::Update;

use super::answers::{self, Answer};
use super::queue::Queue;
use super::shared::Shared;
use crate::measures::Figures;
use crate::{AppendError, Appended, Pending, Route};

/// Called by a publisher whose updates have just joined the queue; makes sure that they are committed.
pub(super) type Joined<L> = fn(&Shared<L>, MutexGuard<'_, Queue>);

/// The updates that wait, and the committer's thread. Dropping it commits what waits and ends the
/// thread.
pub(crate) struct Committer<L> {
    shared: Arc<Shared<L>>,
    joined: Joined<L>,
    thread: Option<JoinHandle<()>>,
}

impl<L: Send + 'static> Committer<L> {
    /// Starts the thread, which runs `run` until the queue is closed. A group has at most `group_bytes`
    /// bytes, unless updates that joined at once have more.
    pub(super) fn start(
        log: L,
        group_bytes: usize,
        joined: Joined<L>,
        run: fn(&Shared<L>),
    ) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::new(log, group_bytes));
        let thread = {
            let shared = Arc::clone(&shared);
            std::thread::Builder::new()
                .name("talaria-commit".to_owned())
                .spawn(move || run(&shared))?
        };
        Ok(Self {
            shared,
            joined,
            thread: Some(thread),
        })
    }
}

impl<L> Committer<L> {
    pub(crate) fn route(&self, route: Arc<dyn Route>) {
        self.shared.set_route(route);
    }

    /// Why nothing is stored any more, if committing has panicked.
    pub(crate) fn failure(&self) -> Option<&'static str> {
        self.shared.failure()
    }

    /// What waits to be committed.
    pub(crate) fn figures(&self) -> Figures {
        let (waiting, bytes) = self.shared.queue().waiting();
        Figures {
            waiting: waiting as u64,
            waiting_bytes: bytes as u64,
            ..Figures::default()
        }
    }

    /// Appends an update as [`Transport::append`](crate::Transport::append) says: it joins the open
    /// group, and is committed even if the answer is no longer awaited.
    pub(crate) fn append(&self, update: Update) -> Pending<'static, Answer> {
        answers::one(self.join(|queue| queue.join(update)))
    }

    /// Appends updates as [`Transport::append_all`](crate::Transport::append_all) says.
    pub(crate) fn append_all(
        &self,
        updates: Vec<Update>,
    ) -> Pending<'static, Result<Vec<Appended>, AppendError>> {
        if updates.is_empty() {
            return answers::all(Ok(Vec::new()));
        }
        answers::all(self.join(|queue| queue.join_all(updates)))
    }

    fn join<T>(
        &self,
        join: impl FnOnce(&mut Queue) -> Result<T, AppendError>,
    ) -> Result<T, AppendError> {
        let mut queue = self.shared.queue();
        let joined = join(&mut queue)?;
        (self.joined)(&self.shared, queue);
        Ok(joined)
    }
}

impl<L> Drop for Committer<L> {
    fn drop(&mut self) {
        self.shared.close();
        if let Some(thread) = self.thread.take() {
            // A panic there has been reported by its hook; there is nothing to add.
            _ = thread.join();
        }
    }
}
