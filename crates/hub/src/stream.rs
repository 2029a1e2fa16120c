//! The event stream as a response body: drives a cursor by hyper's polling.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Version;
use http_body::{Body, Frame as BodyFrame};
use talaria_transport::{Page, Pending, ReadError, Transport};
use tokio::time::{Instant as TokioInstant, Sleep, sleep_until};

use crate::clock::Clock;
use crate::cursor::{CHUNK_BYTES, Cursor, End, Step};
use crate::outflow::{MustEnd, Outflow};

/// The cursor of a response, in the response's extensions: whoever takes it first drives it. The
/// body does unless somebody took it. The subscription ends when the cursor drops.
#[derive(Clone)]
pub struct Handover(Arc<Mutex<Option<Cursor>>>);

impl Handover {
    pub(crate) fn new(cursor: Cursor) -> Self {
        Self(Arc::new(Mutex::new(Some(cursor))))
    }

    /// Takes the cursor; `None` if somebody has.
    pub fn take(&self) -> Option<Cursor> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// An event stream.
pub struct Stream {
    handover: Option<Handover>,
    cursor: Option<Cursor>,
    transport: Arc<dyn Transport>,
    clock: Arc<dyn Clock>,
    outflow: Option<Outflow>,
    /// Set while the last chunk is on its way to the kernel.
    handed_over: Option<u64>,
    must_end: Option<MustEnd>,
    /// Whether chunks are tracked until they are on the wire.
    tracks_chunks: bool,
    page: Option<Pending<'static, Result<Page, ReadError>>>,
    /// Fires at the cursor's deadline or earlier; reset only when it fired or is too late, since
    /// every delivery moves the heartbeat.
    alarm: Option<Pin<Box<Sleep>>>,
}

impl Stream {
    pub(crate) fn new(
        handover: Handover,
        transport: Arc<dyn Transport>,
        clock: Arc<dyn Clock>,
        outflow: Option<Outflow>,
        version: Version,
    ) -> Self {
        // On HTTP/1.1 a chunk is made only when the kernel has taken the last one.
        let tracks_chunks = version >= Version::HTTP_2;
        Self {
            handover: Some(handover),
            cursor: None,
            transport,
            clock,
            outflow,
            handed_over: None,
            must_end: None,
            tracks_chunks,
            page: None,
            alarm: None,
        }
    }

    /// Begins to drive the cursor, if nobody else does.
    fn take_over(&mut self) {
        let Some(cursor) = self.handover.take().and_then(|handover| handover.take()) else {
            return;
        };
        if let (Some(outflow), Some(at)) = (&self.outflow, cursor.ends_by()) {
            self.must_end = Some(outflow.must_end_by(at));
        }
        self.cursor = Some(cursor);
    }

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        self.take_over();
        let Some(cursor) = &mut self.cursor else {
            return Poll::Ready(None);
        };
        loop {
            if let Some(page) = &mut self.page
                && let Poll::Ready(page) = page.as_mut().poll(context)
            {
                cursor.supply(page);
                self.page = None;
            }
            match cursor.next(self.clock.now(), context.waker()) {
                Step::Send(bytes) => return Poll::Ready(Some(bytes)),
                Step::NeedPage { from, up_to } => {
                    let transport = Arc::clone(&self.transport);
                    let filter = cursor.filter();
                    self.page = Some(Box::pin(async move {
                        transport.read(from, up_to, CHUNK_BYTES, filter).await
                    }));
                }
                Step::Wait => {
                    let deadline = cursor.deadline();
                    ready!(poll_alarm(&mut self.alarm, deadline, &*self.clock, context));
                }
                Step::End(end) => {
                    log_end(end, cursor);
                    self.cursor = None;
                    return Poll::Ready(None);
                }
            }
        }
    }
}

/// The runtime's timers are no finer.
const TICK: Duration = Duration::from_millis(1);

/// Ready when the deadline has come; pending for ever without one.
fn poll_alarm(
    alarm: &mut Option<Pin<Box<Sleep>>>,
    deadline: Option<Instant>,
    clock: &dyn Clock,
    context: &mut Context<'_>,
) -> Poll<()> {
    let Some(deadline) = deadline else {
        return Poll::Pending;
    };
    loop {
        // The runtime's time need not be the clock's, so only what is left is handed on.
        let left = deadline.saturating_duration_since(clock.now());
        if left.is_zero() {
            return Poll::Ready(());
        }
        let at = TokioInstant::now() + left;
        let alarm = alarm.get_or_insert_with(|| Box::pin(sleep_until(at)));
        if alarm.is_elapsed() || alarm.deadline() > at + TICK {
            alarm.as_mut().reset(at);
        }
        ready!(alarm.as_mut().poll(context));
    }
}

fn log_end(end: End, cursor: &Cursor) {
    match end {
        End::Passed => tracing::warn!(
            position = cursor.position().0,
            "what a subscriber has not received yet was deleted from the log or is damaged; it is disconnected and resumes with a gap it can see"
        ),
        End::Unavailable => tracing::warn!(
            position = cursor.position().0,
            "what a subscriber has not received yet cannot be read now; it is disconnected and resumes where it was"
        ),
        end => tracing::debug!(?end, "stream ended"),
    }
}

impl Body for Stream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<BodyFrame<Bytes>, Infallible>>> {
        let stream = &mut *self;
        if let (Some(outflow), Some(mark)) = (&stream.outflow, stream.handed_over) {
            ready!(outflow.poll_taken(mark, context));
            stream.handed_over = None;
        }
        let chunk = ready!(stream.poll_next(context));
        stream.handed_over = stream.outflow.as_ref().map(Outflow::mark);
        let chunk = match &stream.must_end {
            Some(must_end) if stream.tracks_chunks => chunk.map(|chunk| must_end.track(chunk)),
            _ => chunk,
        };
        Poll::Ready(chunk.map(|chunk| Ok(BodyFrame::data(chunk))))
    }
}
