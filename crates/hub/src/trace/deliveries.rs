//! The spans of one event stream: what it replays, and the updates of sampled publishes.

use std::borrow::Cow;
use std::sync::Arc;
use std::task::Poll;

use talaria_protocol::TraceContext;
use talaria_transport::{Frame, Position};

use crate::engine::cursor::Output;

use super::active::{ActiveSpan, Tracing};
use super::span::{SpanFailure, SpanKind, SpanValue};

/// The most spans of one chunk of a stream.
const MOST: usize = 32;

/// What a stream that is traced records. Each update of a sampled publish that the [sink admits] gets a span in the
/// trace of that publish, from the moment when the stream takes the update until its connection has taken the bytes.
///
/// [sink admits]: super::SpanSink::admits_delivery
pub(crate) struct Deliveries {
    tracing: Tracing,
    /// The span that set the stream up, if it was recorded.
    subscribe: Option<Arc<TraceContext>>,
    /// Updates up to this position were there before the stream.
    head: Position,
    /// The replay of what was there; [`ActiveSpan::default`] once it has ended.
    replay: ActiveSpan,
    replayed: u64,
    /// The updates of the chunk that is being written.
    sending: Vec<ActiveSpan>,
}

impl Deliveries {
    /// Those of a stream that `subscribe` sets up, and that `replay` begins.
    pub(crate) fn new(
        tracing: Tracing,
        subscribe: Option<Arc<TraceContext>>,
        replay: ActiveSpan,
        head: Position,
    ) -> Self {
        Self {
            tracing,
            subscribe,
            head,
            replay,
            replayed: 0,
            sending: Vec::new(),
        }
    }

    /// The stream was asked for its next chunk, and is at `position` now.
    pub(crate) fn polled(&mut self, polled: &Poll<Option<Output>>, position: Option<Position>) {
        match polled {
            Poll::Ready(Some(Output::Updates(frames))) => self.sending(frames),
            Poll::Ready(None) => self.ended(),
            _ => {}
        }
        if let Some(position) = position {
            self.reached(position);
        }
    }

    fn reached(&mut self, position: Position) {
        if position >= self.head && self.replay.is_recorded() {
            let mut replay = std::mem::take(&mut self.replay);
            replay.set("mercure.history.updates", || {
                SpanValue::number(self.replayed)
            });
            replay.end();
        }
    }

    fn ended(&mut self) {
        let mut replay = std::mem::take(&mut self.replay);
        replay
            .fail(|| SpanFailure::new("ended", "the stream ended before the replay was complete"));
        replay.end();
    }

    fn sending(&mut self, frames: &[Arc<Frame>]) {
        if self.replay.is_recorded() {
            let replayed = frames.iter().filter(|frame| frame.position <= self.head);
            self.replayed += replayed.count() as u64;
        }
        for frame in frames {
            let Some(of) = frame.trace.as_deref().filter(|of| of.is_sampled()) else {
                continue;
            };
            let sink = self.tracing.sink();
            if self.sending.len() == MOST || !sink.admits_delivery(of, frame.position) {
                continue;
            }
            let mut span = ActiveSpan::below(sink, of, "mercure.deliver", SpanKind::Consumer);
            span.parent_is_remote();
            span.set("mercure.update.id", || SpanValue::text(&frame.event_id));
            span.set("mercure.topics", || {
                SpanValue::texts(frame.topics.iter().map(|topic| Cow::Borrowed(&**topic)))
            });
            span.set("mercure.private", || SpanValue::Flag(frame.private));
            span.set("mercure.replayed", || {
                SpanValue::Flag(frame.position <= self.head)
            });
            if let Some(subscribe) = &self.subscribe {
                span.link(subscribe);
            }
            self.sending.push(span);
        }
    }

    /// The connection has taken the last chunk.
    pub(crate) fn sent(&mut self) {
        for span in self.sending.drain(..) {
            span.end();
        }
    }
}
