//! How much of a connection's bytes the kernel has taken.
//!
//! hyper alone would take 16 buffers or 408 KiB ahead of the socket. A listener can count at the I/O
//! instead: it puts an [`Outflow`] into the extensions of each request and says when the kernel has
//! taken everything. A stream makes its next chunk only then.

use std::future::pending;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::time::{sleep, sleep_until};

use crate::statistics::Parting;

/// How long after the end of a stream a connection is cut that could not deliver the end. A stream that can
/// end does so by itself at that moment.
const GRACE: Duration = Duration::from_millis(10);

/// The flow of bytes out of a connection. Its I/O shares it with the streams on it.
#[derive(Debug, Clone, Default)]
pub struct Outflow(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    parting: Parting,
    state: Mutex<State>,
    /// Rung when an end was added or removed.
    ends_changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// How often the kernel has taken everything that was written.
    flushes: u64,
    waiting: Vec<Waker>,
    /// When the streams on this connection must have ended.
    ends: Vec<Arc<Ending>>,
    cut: bool,
    flow: Flow,
}

/// Whether the kernel takes what is written.
#[derive(Debug, Default)]
enum Flow {
    /// It has always taken it.
    #[default]
    Free,
    /// It takes it again, since this moment.
    FreeSince(Instant),
    /// It takes nothing.
    Stalled,
}

impl Outflow {
    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.0.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The I/O's side: tells why the streams of the connection end that do not end by themselves.
    pub fn parting(&self) -> &Parting {
        &self.0.parting
    }

    /// The I/O's side: the kernel has taken everything.
    pub fn flushed(&self) {
        let waiting = self.with(|state| {
            state.flushes += 1;
            std::mem::take(&mut state.waiting)
        });
        waiting.into_iter().for_each(Waker::wake);
    }

    /// The I/O's side: the kernel takes nothing.
    pub fn stalls(&self) {
        self.with(|state| state.flow = Flow::Stalled);
    }

    /// The I/O's side: the kernel takes bytes again.
    pub fn flows(&self, now: Instant) {
        self.with(|state| state.flow = Flow::FreeSince(now));
    }

    /// The I/O's side: the moment since which the kernel takes what is written; `start` if it always did,
    /// `None` while it takes nothing.
    pub fn flows_since(&self, start: Instant) -> Option<Instant> {
        self.with(|state| match state.flow {
            Flow::Free => Some(start),
            Flow::FreeSince(since) => Some(since),
            Flow::Stalled => None,
        })
    }

    /// The I/O's side: when the connection must be cut, if a stream could not end by itself.
    pub fn ends_by(&self) -> Option<Instant> {
        self.first().map(|first| first.at)
    }

    /// The I/O's side: whether the connection is to be reset rather than closed, so that the kernel
    /// sends nothing more of what it holds.
    pub fn is_cut(&self) -> bool {
        self.with(|state| state.cut)
    }

    /// The I/O's side: resets the connection once its I/O is dropped.
    pub fn cut(&self) {
        self.with(|state| state.cut = true);
    }

    /// The I/O's side: ends when a stream of the connection did not end when it had to. A client
    /// that gives one HTTP/2 stream no window keeps hyper from asking that stream.
    pub async fn late(&self) {
        loop {
            let changed = self.0.ends_changed.notified();
            let first = self.first();
            let late = async {
                let Some(first) = first else {
                    return pending().await;
                };
                sleep_until(first.at.into()).await;
                if first.chunks.load(Ordering::Acquire) == 0 {
                    // No chunk is on its way, so the stream ends by itself about now.
                    sleep(GRACE).await;
                }
            };
            tokio::select! {
                () = late => return,
                () = changed => {}
            }
        }
    }

    fn first(&self) -> Option<Arc<Ending>> {
        self.with(|state| state.ends.iter().min_by_key(|ending| ending.at).cloned())
    }

    /// The stream's side: a mark that the outflow has passed when the kernel has taken what is handed over now.
    pub fn mark(&self) -> u64 {
        self.with(|state| state.flushes)
    }

    /// Whether the kernel has taken what was handed over when the mark was made.
    pub fn has_passed(&self, mark: u64) -> bool {
        self.with(|state| state.flushes > mark)
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

    /// The stream's side: promises that the stream has ended by `at`, and every chunk that it tracks.
    pub(crate) fn must_end_by(&self, at: Instant) -> MustEnd {
        let ending = Arc::new(Ending {
            at,
            chunks: AtomicUsize::new(0),
        });
        self.with(|state| state.ends.push(Arc::clone(&ending)));
        self.0.ends_changed.notify_one();
        MustEnd(Arc::new(Promise {
            outflow: self.clone(),
            ending,
        }))
    }
}

/// When one stream must have ended.
#[derive(Debug)]
struct Ending {
    at: Instant,
    /// Chunks that are not on the wire yet.
    chunks: AtomicUsize,
}

/// A stream's promise to have ended by a moment; kept when the last share is dropped.
#[derive(Debug, Clone)]
pub(crate) struct MustEnd(Arc<Promise>);

#[derive(Debug)]
struct Promise {
    outflow: Outflow,
    ending: Arc<Ending>,
}

impl Drop for Promise {
    fn drop(&mut self) {
        self.outflow.with(|state| {
            state
                .ends
                .retain(|ending| !Arc::ptr_eq(ending, &self.ending));
        });
        self.outflow.0.ends_changed.notify_one();
    }
}

impl MustEnd {
    /// Tracks a chunk until its bytes are dropped. HTTP/2 holds chunks until the client gives it a window,
    /// even those of a stream that has ended.
    pub(crate) fn track(&self, chunk: Bytes) -> Bytes {
        self.0.ending.chunks.fetch_add(1, Ordering::AcqRel);
        Bytes::from_owner(Tracked {
            chunk,
            end: self.clone(),
        })
    }
}

struct Tracked {
    chunk: Bytes,
    end: MustEnd,
}

impl AsRef<[u8]> for Tracked {
    fn as_ref(&self) -> &[u8] {
        &self.chunk
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        self.end.0.ending.chunks.fetch_sub(1, Ordering::AcqRel);
    }
}
