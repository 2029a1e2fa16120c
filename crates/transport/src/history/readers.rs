//! The threads that read the disk, so that no task of the runtime waits for it.

mod turns;

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::thread::JoinHandle;

use tokio::sync::oneshot;

use self::turns::{Job, MOST, Ticket, Turns};
use crate::Unavailable;

/// At least two threads, so that one slow access does not stop all readers.
const LEAST_THREADS: usize = 2;
const MOST_THREADS: usize = 8;

type Repeated = Box<dyn FnMut() -> bool + Send>;

/// What a job is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A page for a client: clients that are equal here share their turns.
    Page(u64),
    /// The look-up of an id. Every other turn belongs to a look-up while one waits: a subscriber cannot
    /// resume without it, and it costs less than a page.
    LookUp,
    /// A step that look-ups wait for.
    Preparation,
}

impl Kind {
    fn client(self) -> u64 {
        match self {
            Self::Page(client) => client,
            Self::LookUp => 0,
            Self::Preparation => 1,
        }
    }
}

/// How much the threads give way to those that serve what is live.
#[cfg(target_os = "linux")]
const NICE: i32 = 5;

/// Lets the other threads of the process go first.
fn give_way() {
    // It counts for this thread alone on Linux only; elsewhere it would slow the whole process.
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(NICE) {
        tracing::debug!(%error, "a thread for readers has the priority of the others");
    }
}

/// The threads, and their jobs.
pub(super) struct Readers {
    shared: Arc<Queue>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    pages: Turns,
    lookups: Turns,
    /// Whether the last job was a look-up.
    was_lookup: bool,
    /// Whether it was logged that too many jobs wait, since there was room last.
    is_told: bool,
    ended: bool,
}

impl State {
    fn of(&mut self, kind: Kind) -> &mut Turns {
        match kind {
            Kind::Page(_) => &mut self.pages,
            Kind::LookUp | Kind::Preparation => &mut self.lookups,
        }
    }

    fn next(&mut self) -> Option<Job> {
        let of_lookups = |state: &mut Self| {
            let job = state.lookups.pop()?;
            state.was_lookup = true;
            Some(job)
        };
        if !self.was_lookup
            && let Some(job) = of_lookups(self)
        {
            return Some(job);
        }
        self.was_lookup = false;
        self.pages.pop().or_else(|| of_lookups(self))
    }
}

/// The answer of a job. Dropping it removes the job from the queue, or tells it to stop.
pub(super) struct Answer<T> {
    answered: oneshot::Receiver<T>,
    queue: Arc<Queue>,
    kind: Kind,
    ticket: Option<Ticket>,
}

impl<T> Future for Answer<T> {
    type Output = Result<T, Unavailable>;

    /// # Errors
    /// If the job panics, too many jobs wait, or the log is closed first.
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let answered = Pin::new(&mut self.answered).poll(context);
        answered.map(|answer| {
            self.ticket = None;
            answer.map_err(|_| Unavailable)
        })
    }
}

impl<T> Drop for Answer<T> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            // The job is dropped after the lock is released.
            let job = self.queue.lock().of(self.kind).cancel(ticket);
            drop(job);
        }
    }
}

impl Readers {
    pub(super) fn start() -> std::io::Result<Self> {
        let count = std::thread::available_parallelism().map_or(LEAST_THREADS, usize::from);
        let shared = Arc::new(Queue::default());
        let threads = (0..count.clamp(LEAST_THREADS, MOST_THREADS)).map(|_| {
            let shared = Arc::clone(&shared);
            std::thread::Builder::new()
                .name("talaria-read".to_owned())
                .spawn(move || {
                    give_way();
                    work(&shared);
                })
        });
        let threads = threads.collect::<Result<_, _>>()?;
        Ok(Self { shared, threads })
    }

    /// Runs a job on a thread. The job gets a function that says whether its answer is no longer wanted;
    /// then it should end early.
    pub(super) fn run<T: Send + 'static>(
        &self,
        kind: Kind,
        job: impl FnOnce(&dyn Fn() -> bool) -> T + Send + 'static,
    ) -> Answer<T> {
        let (answer, answered) = oneshot::channel();
        let job = Box::new(move || {
            if !answer.is_closed() {
                let outcome = job(&|| answer.is_closed());
                // The reader may have left meanwhile.
                _ = answer.send(outcome);
            }
        });
        Answer {
            answered,
            queue: Arc::clone(&self.shared),
            kind,
            ticket: self.shared.push(kind, job),
        }
    }

    /// Runs a job on a thread again and again while it returns true, with other jobs in between.
    pub(super) fn repeat(&self, job: impl FnMut() -> bool + Send + 'static) {
        repeat(&self.shared, Box::new(job));
    }
}

fn repeat(queue: &Arc<Queue>, mut job: Repeated) {
    let again = Arc::clone(queue);
    let job = move || {
        if job() {
            repeat(&again, job);
        }
    };
    queue.push(Kind::Preparation, Box::new(job));
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a job; `None` if the log is being closed.
    fn push(&self, kind: Kind, job: Job) -> Option<Ticket> {
        let mut state = self.lock();
        if state.ended {
            return None;
        }
        let (ticket, excess) = state.of(kind).push(kind.client(), job);
        let is_news = excess.is_some() && !std::mem::replace(&mut state.is_told, true);
        if state.pages.len().max(state.lookups.len()) <= MOST / 2 {
            state.is_told = false;
        }
        drop(state);
        self.changed.notify_one();
        if is_news {
            tracing::warn!(
                name: "readers_crowded",
                most = MOST,
                "too many subscribers wait for the history; the client with the most is told to retry later"
            );
        }
        // Dropping it wakes its reader.
        drop(excess);
        Some(ticket)
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.ended = true;
        let undone = (
            std::mem::take(&mut state.pages),
            std::mem::take(&mut state.lookups),
        );
        drop(state);
        // Dropping the jobs wakes the readers that wait for them.
        drop(undone);
        self.shared.changed.notify_all();
        for thread in self.threads.drain(..) {
            // The panic hook has reported a panic of the thread.
            _ = thread.join();
        }
    }
}

fn work(queue: &Queue) {
    loop {
        let mut state = queue.lock();
        let job = loop {
            if let Some(job) = state.next() {
                break job;
            }
            if state.ended {
                return;
            }
            state = queue
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        };
        drop(state);
        // A panic of one reader must not end the others; the panic hook has reported it.
        _ = catch_unwind(AssertUnwindSafe(job));
    }
}
