//! What is recorded of a subscription that is traced (B-741, B-743).

use std::borrow::Cow;

use talaria_protocol::{MatcherType, SubscribeRequest};
use talaria_transport::Position;
use uuid::Uuid;

use crate::http::request::Incoming;
use crate::http::respond::Refused;
use crate::http::shared::Shared;
use crate::trace::{ActiveSpan, Deliveries, SpanKind, SpanValue, Tracing};

/// Notes what a request asks for.
pub(super) fn asked(request: &Incoming<'_>, asked: &SubscribeRequest) {
    request.with_span(|span| {
        span.set("mercure.topics", || {
            let asked = asked.subscriptions.iter();
            SpanValue::texts(asked.map(|one| match one.matcher_type {
                MatcherType::Selector => Cow::Borrowed(one.text.as_str()),
                kind => Cow::Owned(format!("{}:{}", kind.name(), one.text)),
            }))
        });
    });
}

/// The span of a replay, until the stream is up to date.
pub(super) struct Replay {
    span: ActiveSpan,
    /// Where the log ended when it began.
    head: Position,
}

impl Replay {
    /// Begins the span, if a replay is asked for.
    pub(super) fn begin(hub: &Shared, request: &Incoming<'_>, requested: Option<&str>) -> Self {
        let mut span = ActiveSpan::default();
        if let Some(requested) = requested {
            let name = "mercure.transport.history";
            span = request.with_span(|span| span.child(name, SpanKind::Internal));
            span.set("mercure.transport", || {
                SpanValue::text(hub.transport.name())
            });
            span.set("mercure.last_event_id.requested", || {
                SpanValue::text(requested)
            });
        }
        Self {
            span,
            head: hub.router.visible(),
        }
    }

    /// Notes who subscribes, in this span and in that of the request.
    pub(super) fn name(&mut self, request: &Incoming<'_>, subscriber: Uuid) {
        let urn = || SpanValue::text(&subscriber.urn().to_string());
        self.span.set("mercure.subscriber.id", urn);
        request.with_span(|span| span.set("mercure.subscriber.id", urn));
    }

    /// Ends it, because the log cannot be read.
    pub(super) fn unavailable(mut self) -> Refused {
        self.span.fail(|| Refused::Unavailable.as_failure());
        Refused::Unavailable
    }

    /// What the stream records, the rest of the replay included; nothing if its request is not traced.
    pub(super) fn deliveries(mut self, request: &Incoming<'_>) -> Option<Box<Deliveries>> {
        let tracing = Tracing::of(request.parts)?.clone();
        let subscribe = request.with_span(|span| span.context().cloned());
        let span = std::mem::take(&mut self.span);
        let deliveries = Deliveries::new(tracing, subscribe, span, self.head);
        Some(Box::new(deliveries))
    }
}

impl Drop for Replay {
    fn drop(&mut self) {
        std::mem::take(&mut self.span).end();
    }
}
