//! The answers of a connection, and HTTP/2 streams that their client blocks.
//!
//! A client that gives a stream no window, but answers pings, could hold the stream and its bytes for ever. So
//! the bytes of each answer are followed until they leave. A stream is reset if none of its bytes leave for
//! `dispatch_timeout` while the kernel accepts those of other streams; the connection and its other streams go on.

use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use axum::body::Body;
use bytes::{Buf, Bytes};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use hyper::rt::Executor;
use talaria_hub::Outflow;
use talaria_hub::statistics::{Departure, Parting};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::serve::admission::UnderWay;
use crate::serve::direct::{Leaving, May};
use crate::serve::lock::lock;

/// The most bytes of a last chunk that may end its stream at once. A longer chunk must leave first, so that the
/// stream can be reset meanwhile.
const SHORT: usize = 256;

/// The streams of one HTTP/2 connection. Cloning shares them.
#[derive(Clone)]
pub(crate) struct Streams(Arc<Shared>);

struct Shared {
    timeout: Option<Duration>,
    outflow: Outflow,
    began: Instant,
    /// The stream whose request hyper has handed over, and whose task it spawns next.
    begun: Mutex<Option<Arc<Progress>>>,
    following: Mutex<Following>,
    /// Whether a task waits for the first stream to time out.
    is_watched: AtomicBool,
    watch: Notify,
}

#[derive(Default)]
struct Following {
    /// The streams, some of which have ended.
    streams: Vec<Weak<Progress>>,
    /// The number of streams at which those that have ended are removed.
    most: usize,
}

/// How far the answer on one stream has got.
struct Progress {
    streams: Streams,
    /// Bytes that have not left.
    waiting: AtomicUsize,
    /// When bytes left or were added last, in milliseconds since the connection began.
    since: AtomicU64,
    /// Whether nothing follows, so that no task is left to end.
    is_finished: AtomicBool,
    reset: Notify,
    /// Tells the hub why it ended.
    parting: Parting,
    /// Wakes the task that waits until everything has left.
    waker: Mutex<Option<Waker>>,
}

impl Streams {
    /// Streams that may not wait longer than `timeout`.
    pub(crate) fn new(timeout: Option<Duration>, outflow: Outflow) -> Self {
        Self(Arc::new(Shared {
            timeout,
            outflow,
            began: Instant::now(),
            begun: Mutex::default(),
            following: Mutex::default(),
            is_watched: AtomicBool::new(false),
            watch: Notify::new(),
        }))
    }

    /// Follows the answer to a request that hyper hands over. hyper spawns the task of its stream next.
    pub(crate) fn begin(&self) -> Option<Followed> {
        /// The least number of streams at which ended ones are removed.
        const LEAST: usize = 64;
        self.0.timeout?;
        let progress = Arc::new(Progress {
            streams: self.clone(),
            waiting: AtomicUsize::new(0),
            since: AtomicU64::new(0),
            is_finished: AtomicBool::new(false),
            reset: Notify::new(),
            parting: Parting::otherwise(Departure::ResetByClient),
            waker: Mutex::default(),
        });
        let mut following = lock(&self.0.following);
        if following.streams.len() >= following.most {
            following.streams.retain(|one| one.strong_count() > 0);
            following.most = 2 * following.streams.len() + LEAST;
        }
        following.streams.push(Arc::downgrade(&progress));
        drop(following);
        *lock(&self.0.begun) = Some(Arc::clone(&progress));
        Some(Followed(progress))
    }

    fn now(&self) -> u64 {
        u64::try_from(self.0.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Resets streams that wait for too long. Ends when the connection must be cut, because such a stream has no
    /// task left that could reset it.
    pub(crate) async fn watch(&self) {
        let Some(timeout) = self.0.timeout else {
            return pending().await;
        };
        loop {
            self.0.watch.notified().await;
            while let Some(next) = self.check(timeout) {
                match next {
                    Next::Cut => return,
                    Next::Look(at) => sleep_until(at).await,
                }
            }
        }
    }

    /// Checks all streams, and returns what to do next; `None` if nothing waits.
    fn check(&self, timeout: Duration) -> Option<Next> {
        // Bytes that are added from here on notify again.
        self.0.is_watched.store(false, Ordering::SeqCst);
        let flows_since = self.0.outflow.flows_since(self.0.began.into_std());
        let flows_since = flows_since.map(Instant::from_std);
        let now = Instant::now();
        let mut first: Option<Instant> = None;
        let following = lock(&self.0.following);
        for stream in following.streams.iter().filter_map(Weak::upgrade) {
            if stream.waiting.load(Ordering::SeqCst) == 0 {
                continue;
            }
            let since = Duration::from_millis(stream.since.load(Ordering::Relaxed));
            // The socket cuts a connection that accepts nothing at all.
            let since = flows_since.map_or(now, |flows| flows.max(self.0.began + since));
            let at = since + timeout;
            if at > now {
                first = Some(first.map_or(at, |first| first.min(at)));
                continue;
            }
            if stream.is_finished.load(Ordering::SeqCst) {
                return Some(Next::Cut);
            }
            tracing::info!(name: "subscriber_stalled", "a subscriber gives its stream no window; it is reset and can resume");
            stream.is_finished.store(true, Ordering::SeqCst);
            stream.since.store(self.now(), Ordering::Relaxed);
            stream.parting.because(Departure::Slow);
            stream.reset.notify_one();
            first = Some(first.map_or(now + timeout, |first| first.min(now + timeout)));
        }
        first.map(Next::Look)
    }
}

enum Next {
    /// The connection must be cut.
    Cut,
    /// When to look again.
    Look(Instant),
}

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Streams {
    fn execute(&self, stream: F) {
        match lock(&self.0.begun).take() {
            None => tokio::spawn(stream),
            Some(progress) => tokio::spawn(async move {
                tokio::select! {
                    () = stream => {}
                    // Dropping the task resets the stream.
                    () = progress.reset.notified() => {}
                }
            }),
        };
    }
}

impl Progress {
    fn add(&self, bytes: usize) {
        self.since.store(self.streams.now(), Ordering::Relaxed);
        self.waiting.fetch_add(bytes, Ordering::SeqCst);
        let shared = &self.streams.0;
        if !shared.is_watched.swap(true, Ordering::SeqCst) {
            shared.watch.notify_one();
        }
    }

    fn leave(&self, bytes: usize) {
        self.since.store(self.streams.now(), Ordering::Relaxed);
        if self.waiting.fetch_sub(bytes, Ordering::SeqCst) == bytes
            && let Some(waker) = lock(&self.waker).take()
        {
            waker.wake();
        }
    }

    fn poll_left(&self, context: &Context<'_>) -> Poll<()> {
        *lock(&self.waker) = Some(context.waker().clone());
        match self.waiting.load(Ordering::SeqCst) {
            0 => Poll::Ready(()),
            _ => Poll::Pending,
        }
    }
}

/// Follows an answer.
pub(crate) struct Followed(Arc<Progress>);

impl Followed {
    /// What tells the hub why the stream ended.
    pub(crate) fn parting(&self) -> Parting {
        self.0.parting.clone()
    }
}

/// The body of an answer.
pub(crate) struct Answer {
    body: Body,
    followed: Option<Followed>,
    /// Whether only the end of the stream is left, which waits for the last chunk to leave.
    is_ending: bool,
    under_way: Option<UnderWay>,
    open: Option<TaskTrackerToken>,
    /// Where it may leave hyper, until it must stay.
    may: Option<Box<May>>,
}

impl Answer {
    /// Wraps a body. The request is under way until the body and all of its chunks are dropped; `open` is held
    /// until the body is dropped.
    pub(crate) fn new(
        body: Body,
        followed: Option<Followed>,
        under_way: Option<UnderWay>,
        open: Option<TaskTrackerToken>,
    ) -> Self {
        Self {
            body,
            followed,
            is_ending: false,
            under_way,
            open,
            may: None,
        }
    }

    /// Lets the stream leave hyper once its head has been written.
    pub(crate) fn that_may(mut self, may: Option<May>) -> Self {
        self.may = may.map(Box::new);
        self
    }

    /// Whether the stream is offered to what takes it out of hyper. Once it must stay, it stays.
    fn leaves(&mut self) -> bool {
        let Some(may) = &mut self.may else {
            return false;
        };
        if may.exit.is_free() {
            if !may.has_offered {
                may.has_offered = true;
                may.exit.offer(Leaving {
                    body: std::mem::take(&mut self.body),
                    under_way: self.under_way.take(),
                    open: self.open.take(),
                    closes: may.closes,
                });
            }
            return true;
        }
        if let Some(stream) = may.exit.reclaim() {
            self.body = stream.body;
            self.under_way = stream.under_way;
            self.open = stream.open;
        }
        self.may = None;
        false
    }
}

impl HttpBody for Answer {
    type Data = Chunk;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Chunk>, axum::Error>>> {
        let answer = &mut *self;
        if answer.leaves() {
            return Poll::Pending;
        }
        if let (Some(Followed(progress)), true) = (&answer.followed, answer.is_ending) {
            ready!(progress.poll_left(context));
            return Poll::Ready(None);
        }
        let frame = ready!(Pin::new(&mut answer.body).poll_frame(context));
        let Some(frame) = frame else {
            return Poll::Ready(None);
        };
        let progress = answer.followed.as_ref().map(|Followed(progress)| progress);
        let frame = frame?.map_data(|bytes| Chunk::new(bytes, progress, answer.under_way.as_ref()));
        let is_long = frame
            .data_ref()
            .is_some_and(|data| data.remaining() > SHORT);
        answer.is_ending = is_long && progress.is_some() && answer.body.is_end_stream();
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        !self.is_ending && self.may.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        match self.may {
            Some(_) => SizeHint::default(),
            None => self.body.size_hint(),
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        if let Some(Followed(progress)) = &self.followed {
            progress.is_finished.store(true, Ordering::SeqCst);
        }
    }
}

/// Bytes of an answer that are followed until they leave.
pub(crate) struct Chunk {
    bytes: Bytes,
    progress: Option<Arc<Progress>>,
    _under_way: Option<UnderWay>,
}

impl Chunk {
    fn new(bytes: Bytes, progress: Option<&Arc<Progress>>, under_way: Option<&UnderWay>) -> Self {
        if let Some(progress) = progress {
            progress.add(bytes.len());
        }
        Self {
            bytes,
            progress: progress.cloned(),
            _under_way: under_way.cloned(),
        }
    }
}

impl Buf for Chunk {
    fn remaining(&self) -> usize {
        self.bytes.len()
    }

    fn chunk(&self) -> &[u8] {
        &self.bytes
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
        if let Some(progress) = &self.progress {
            progress.leave(count);
        }
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        if let Some(progress) = self.progress.as_ref().filter(|_| !self.bytes.is_empty()) {
            progress.leave(self.bytes.len());
        }
    }
}
