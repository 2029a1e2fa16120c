//! The threads of a bench.

use std::thread::JoinHandle;

use crate::error::Problem;

/// A thread of a bench.
pub(crate) type Worker<T> = JoinHandle<Result<T, Problem>>;

/// Waits for a thread of a bench.
///
/// # Errors
/// The thread's own.
pub(crate) fn join<T>(worker: Worker<T>) -> Result<T, Problem> {
    worker.join().unwrap_or(Err(Problem::Panicked))
}
