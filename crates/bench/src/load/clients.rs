//! Starts the subscribers' threads of a measurement, and ends them with it.

use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread::{self, JoinHandle};

use super::plan::Plan;
use super::progress::Progress;
use super::receiver::{Received, Receiver};
use crate::error::Problem;
use crate::process::SAMPLE;
use crate::threads::{Worker, join};

/// Ends the threads of a measurement that fails.
pub(crate) struct StopOnDrop(pub(crate) Arc<Progress>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// Starts the receivers and waits until every subscriber is connected.
///
/// # Errors
/// When the hub refuses a subscriber, or `--timeout` is over.
pub(crate) fn connect(
    plan: &Arc<Plan>,
    progress: &Arc<Progress>,
) -> Result<Vec<Worker<Received>>, Problem> {
    let threads = plan.load.threads.min(plan.load.subscribers);
    let (ready, all_ready) = channel();
    let mut workers = Vec::with_capacity(threads);
    for thread in 0..threads {
        let subscribers = (thread..plan.load.subscribers).step_by(threads).collect();
        let receiver = Receiver::new(Arc::clone(plan), Arc::clone(progress), subscribers)?;
        let ready = ready.clone();
        workers.push(thread::spawn(move || receiver.run(&ready)));
    }
    drop(ready);
    let mut waiting = threads;
    while waiting > 0 {
        match all_ready.recv_timeout(SAMPLE) {
            Ok(()) => waiting -= 1,
            Err(RecvTimeoutError::Timeout) if !progress.is_over() => {
                if workers.iter().any(JoinHandle::is_finished) {
                    break;
                }
            }
            Err(_) => break,
        }
    }
    if waiting == 0 {
        return Ok(workers);
    }
    progress.stop();
    for worker in workers {
        join(worker)?;
    }
    Err(Problem::NotConnected {
        seconds: plan.load.timeout,
    })
}
