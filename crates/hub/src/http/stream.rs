//! The event stream as a response body: drives a cursor by hyper's polling.

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::Version;
use http_body::{Body, Frame as BodyFrame};
use talaria_transport::Transport;

use crate::clock::Clock;
use crate::engine::cursor::{Cursor, Output};
use crate::engine::driver::Driver;
use crate::http::outflow::{MustEnd, Outflow};
use crate::trace::Deliveries;

/// The cursor of a response, in the extensions of the response. A listener that takes it drives it; if it
/// is not taken, the body of the response does. The subscription ends when the cursor is dropped.
#[derive(Debug, Clone)]
pub struct Handover(Arc<Mutex<Option<Cursor>>>);

impl Handover {
    pub(crate) fn new(cursor: Cursor) -> Self {
        Self(Arc::new(Mutex::new(Some(cursor))))
    }

    /// Takes the cursor; `None` if it was taken before.
    pub fn take(&self) -> Option<Cursor> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// An event stream.
pub(crate) struct Stream {
    handover: Option<Handover>,
    driver: Driver,
    outflow: Option<Outflow>,
    /// Set while the last chunk is on its way to the kernel.
    handed_over: Option<u64>,
    must_end: Option<MustEnd>,
    /// Whether chunks are tracked until they are on the wire.
    tracks_chunks: bool,
    /// What is recorded of it, if it is traced.
    deliveries: Option<Box<Deliveries>>,
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream")
            .field("outflow", &self.outflow)
            .finish_non_exhaustive()
    }
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
            driver: Driver::new(transport, clock),
            outflow,
            handed_over: None,
            must_end: None,
            tracks_chunks,
            deliveries: None,
        }
    }

    /// The same stream, of which this is recorded.
    pub(crate) fn traced(mut self, deliveries: Option<Box<Deliveries>>) -> Self {
        self.deliveries = deliveries;
        self
    }

    /// Begins to drive the cursor, if it was not taken.
    fn take_over(&mut self) {
        let Some(cursor) = self.handover.take().and_then(|handover| handover.take()) else {
            return;
        };
        if let (Some(outflow), Some(at)) = (&self.outflow, cursor.ends_by()) {
            self.must_end = Some(outflow.must_end_by(at));
        }
        self.driver.begin(cursor);
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
        if let Some(deliveries) = &mut stream.deliveries {
            deliveries.sent();
        }
        stream.take_over();
        let polled = stream.driver.poll_next(context);
        if let Some(deliveries) = &mut stream.deliveries {
            deliveries.polled(&polled, stream.driver.position());
        }
        let output = ready!(polled);
        let chunk = output.map(Output::into_bytes);
        stream.handed_over = stream.outflow.as_ref().map(Outflow::mark);
        let chunk = match &stream.must_end {
            Some(must_end) if stream.tracks_chunks => chunk.map(|chunk| must_end.track(chunk)),
            _ => chunk,
        };
        Poll::Ready(chunk.map(|chunk| Ok(BodyFrame::data(chunk))))
    }
}

#[cfg(not(talaria_loom))]
#[cfg(test)]
mod tests {
    use talaria_protocol::{Base, Limits, Matcher, MatcherType, Update};
    use talaria_transport::{Frame, Memory, MemoryOptions, Position, Ring, Route as _};

    use super::*;
    use crate::clock::SystemClock;
    use crate::engine::cursor::Deadlines;
    use crate::engine::interests::Selection;
    use crate::engine::laws::Bell;
    use crate::engine::router::{Effort, Router};

    /// A poll of the body takes one turn of the cursor, so that the runtime has its turn after each.
    #[test]
    fn a_poll_of_a_stream_takes_one_turn() {
        let base = Arc::new(Base::synthetic());
        let effort = Effort {
            turn_steps: 1,
            ..Effort::new(64)
        };
        let ring = Arc::new(Ring::new(32 << 20, Position::ORIGIN));
        let origin = Position::ORIGIN;
        let router = Arc::new(Router::new(ring, Arc::clone(&base), effort, origin));
        let topics = (0..50).map(|n| format!("urn:{n}"));
        let update = Update {
            topics: topics.chain(["own:1".to_owned()]).collect(),
            ..Update::default()
        };
        let frame = Frame::new(Position(1), "1".to_owned(), update);
        router.route(&[Arc::new(frame)], &mut || {});
        let limits = Limits::default();
        let own = Matcher::parse(MatcherType::Selector, "own:{id}", "topic", &base, &limits);
        let selection = Selection {
            matchers: [own.expect("a template")].into_iter().collect(),
            grants: Default::default(),
        };
        let reader = router.join(selection, 0);
        let cursor = Cursor::new(
            reader,
            Default::default(),
            Position(0),
            Deadlines::default(),
        );
        let mut stream = Stream::new(
            Handover::new(cursor),
            Arc::new(Memory::open(MemoryOptions::default()).expect("a log")),
            Arc::new(SystemClock),
            None,
            Version::HTTP_2,
        );
        let bell = Arc::new(Bell::default());
        let waker = bell.waker();
        let (mut polls, mut chunks) = (0, 0);
        // The comment, then the update.
        while chunks < 2 {
            polls += 1;
            match Pin::new(&mut stream).poll_frame(&mut Context::from_waker(&waker)) {
                Poll::Ready(chunk) => {
                    assert!(matches!(chunk, Some(Ok(_))), "a chunk");
                    chunks += 1;
                }
                Poll::Pending => assert_eq!(bell.count(), 1, "one turn in poll {polls}"),
            }
        }
        assert!(polls >= 50, "{polls} polls for 51 topics");
    }
}
