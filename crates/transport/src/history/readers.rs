//! Threads that read the disk, so that no task of the runtime waits for it.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::oneshot;

/// At least two, so that one slow disk access does not stop all readers.
const LEAST: usize = 2;
const MOST: usize = 8;

type Job = Box<dyn FnOnce() + Send>;
type Repeated = Box<dyn FnMut() -> bool + Send>;

/// A few threads and what they are to do. A reader has one page under way at a time, so there is
/// never more to do than there are streams, and one repeated job.
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
    jobs: VecDeque<Job>,
    ended: bool,
}

impl Readers {
    pub(super) fn start() -> std::io::Result<Self> {
        let count = std::thread::available_parallelism().map_or(LEAST, usize::from);
        let shared = Arc::new(Queue::default());
        let threads = (0..count.clamp(LEAST, MOST)).map(|_| {
            let shared = Arc::clone(&shared);
            std::thread::Builder::new()
                .name("talaria-read".to_owned())
                .spawn(move || work(&shared))
        });
        let threads = threads.collect::<Result<_, _>>()?;
        Ok(Self { shared, threads })
    }

    /// Has a job done. The answer is gone if the job panics or the log is closed first.
    pub(super) fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> oneshot::Receiver<T> {
        let (answer, answered) = oneshot::channel();
        let job = Box::new(move || {
            // A reader that has gone costs the disk nothing.
            if !answer.is_closed() {
                _ = answer.send(job());
            }
        });
        self.shared.push(job);
        answered
    }

    /// Has a job done again and again while it returns true. Other jobs have their turn in between.
    pub(super) fn repeat(&self, job: impl FnMut() -> bool + Send + 'static) {
        repeat(&self.shared, Box::new(job));
    }
}

fn repeat(queue: &Arc<Queue>, mut job: Repeated) {
    let again = Arc::clone(queue);
    queue.push(Box::new(move || {
        if job() {
            repeat(&again, job);
        }
    }));
}

impl Queue {
    fn push(&self, job: Job) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.ended {
            return;
        }
        state.jobs.push_back(job);
        drop(state);
        self.changed.notify_one();
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        let mut state = self
            .shared
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        state.ended = true;
        let undone = std::mem::take(&mut state.jobs);
        drop(state);
        // This wakes the readers that await one of them.
        drop(undone);
        self.shared.changed.notify_all();
        for thread in self.threads.drain(..) {
            // A panic there has been reported by its hook; there is nothing to add.
            _ = thread.join();
        }
    }
}

fn work(queue: &Queue) {
    loop {
        let mut state = queue.state.lock().unwrap_or_else(PoisonError::into_inner);
        let job = loop {
            if let Some(job) = state.jobs.pop_front() {
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
        // One reader's panic must not end the others; its hook has reported it.
        _ = catch_unwind(AssertUnwindSafe(job));
    }
}
