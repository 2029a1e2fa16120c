//! How far a connection's bytes got.
//!
//! hyper alone would take 16 buffers or 408 KiB ahead of the socket. A listener of ours counts at
//! the I/O instead: it puts an [`Outflow`] into the extensions of each request and says when the
//! kernel has taken everything; a stream makes its next chunk only then.

use std::future::pending;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::time::sleep_until;

/// How much later than a stream's end a connection is cut that could not deliver it.
const GRACE: Duration = Duration::from_millis(100);

/// Shared by a connection's I/O and the streams on it.
#[derive(Debug, Clone, Default)]
pub struct Outflow(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// Rung when an end was added or removed.
    ends_changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// How often everything written so far was taken by the kernel.
    flushes: u64,
    waiting: Vec<Waker>,
    /// When a stream on this connection must have ended, one entry a stream.
    ends: Vec<Instant>,
}

impl Outflow {
    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.0.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The I/O's side: the kernel has taken everything.
    pub fn flushed(&self) {
        let waiting = self.with(|state| {
            state.flushes += 1;
            std::mem::take(&mut state.waiting)
        });
        waiting.into_iter().for_each(Waker::wake);
    }

    /// The I/O's side: when the connection must be cut, if a stream could not end by itself.
    pub fn ends_by(&self) -> Option<Instant> {
        self.with(|state| state.ends.iter().min().copied())
    }

    /// The I/O's side: ends when a stream of the connection did not end when it had to. A client
    /// that gives one HTTP/2 stream no window keeps hyper from asking that stream.
    pub async fn late(&self) {
        loop {
            let changed = self.0.ends_changed.notified();
            let end = self.ends_by();
            let late = async {
                match end {
                    Some(end) => sleep_until((end + GRACE).into()).await,
                    None => pending().await,
                }
            };
            tokio::select! {
                () = late => return,
                () = changed => {}
            }
        }
    }

    /// The stream's side: a mark to be given to [`Self::poll_taken`] after handing over a chunk.
    pub(crate) fn mark(&self) -> u64 {
        self.with(|state| state.flushes)
    }

    /// The stream's side: whether what was handed over since the mark was taken.
    pub(crate) fn poll_taken(&self, mark: u64, context: &Context<'_>) -> Poll<()> {
        self.with(|state| {
            if state.flushes > mark {
                return Poll::Ready(());
            }
            if !state
                .waiting
                .iter()
                .any(|waker| waker.will_wake(context.waker()))
            {
                state.waiting.push(context.waker().clone());
            }
            Poll::Pending
        })
    }

    /// The stream's side: it must have ended by then, until [`Self::ended`].
    pub(crate) fn must_end_by(&self, at: Instant) {
        self.with(|state| state.ends.push(at));
        self.0.ends_changed.notify_one();
    }

    /// The stream's side: it has ended.
    pub(crate) fn ended(&self, at: Instant) {
        self.with(|state| {
            if let Some(index) = state.ends.iter().position(|end| *end == at) {
                state.ends.swap_remove(index);
            }
        });
        self.0.ends_changed.notify_one();
    }
}
