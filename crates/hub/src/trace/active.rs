//! Spans that have begun.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use http::request::Parts;
use talaria_protocol::TraceContext;

use super::span::{Span, SpanFailure, SpanKind, SpanSink, SpanValue};

/// The most attributes of a span.
const ATTRIBUTES: usize = 64;

/// Where the spans of a request go, and the operation that they are below. A server puts it into the extensions of
/// a request that it traces.
#[derive(Clone)]
pub struct Tracing {
    sink: Arc<dyn SpanSink>,
    parent: Arc<TraceContext>,
}

impl fmt::Debug for Tracing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tracing")
            .field("parent", &self.parent)
            .finish_non_exhaustive()
    }
}

impl Tracing {
    /// Spans below `parent` go to `sink`, if `parent` is sampled.
    pub fn new(sink: Arc<dyn SpanSink>, parent: Arc<TraceContext>) -> Self {
        Self { sink, parent }
    }

    /// That of a request.
    pub(crate) fn of(parts: &Parts) -> Option<&Self> {
        parts.extensions.get()
    }

    pub(crate) fn sink(&self) -> &Arc<dyn SpanSink> {
        &self.sink
    }

    /// Begins a span below the parent; it is not recorded if the parent is not sampled.
    pub fn begin(&self, name: &'static str, kind: SpanKind) -> ActiveSpan {
        ActiveSpan::below(&self.sink, &self.parent, name, kind)
    }
}

/// A span that has begun, or nothing if it is not recorded. If it is dropped before its [end](Self::end), it was
/// abandoned, and is recorded as failed.
#[derive(Default)]
pub struct ActiveSpan(Option<Box<Open>>);

struct Open {
    sink: Arc<dyn SpanSink>,
    span: Span,
}

impl fmt::Debug for ActiveSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let span = self.0.as_ref().map(|open| &open.span);
        f.debug_tuple("ActiveSpan").field(&span).finish()
    }
}

impl ActiveSpan {
    /// Begins a span.
    pub fn new(
        sink: &Arc<dyn SpanSink>,
        context: Arc<TraceContext>,
        parent: Option<[u8; 8]>,
        name: impl Into<Cow<'static, str>>,
        kind: SpanKind,
    ) -> Self {
        let began = sink.now();
        Self(Some(Box::new(Open {
            sink: Arc::clone(sink),
            span: Span {
                context,
                parent,
                is_parent_remote: false,
                name: name.into(),
                kind,
                began,
                ended: began,
                attributes: Vec::new(),
                links: Vec::new(),
                failure: None,
            },
        })))
    }

    /// Begins a span of a request, which is recorded if the request is traced and sampled.
    pub(crate) fn of(parts: &Parts, name: &'static str, kind: SpanKind) -> Self {
        Tracing::of(parts).map_or_else(Self::default, |tracing| tracing.begin(name, kind))
    }

    /// Begins a span below `parent`, which is recorded if that is sampled.
    pub(crate) fn below(
        sink: &Arc<dyn SpanSink>,
        parent: &TraceContext,
        name: &'static str,
        kind: SpanKind,
    ) -> Self {
        if !parent.is_sampled() {
            return Self::default();
        }
        let context = TraceContext {
            span_id: new_id(),
            ..parent.clone()
        };
        Self::new(sink, Arc::new(context), Some(parent.span_id), name, kind)
    }

    /// Begins a span below this one, recorded if this one is.
    pub(crate) fn child(&self, name: &'static str, kind: SpanKind) -> Self {
        self.0.as_ref().map_or_else(Self::default, |open| {
            Self::below(&open.sink, &open.span.context, name, kind)
        })
    }

    /// Whether it is recorded.
    pub fn is_recorded(&self) -> bool {
        self.0.is_some()
    }

    /// Its place in the trace, if it is recorded.
    pub fn context(&self) -> Option<&Arc<TraceContext>> {
        self.0.as_ref().map(|open| &open.span.context)
    }

    /// Adds an attribute, unless it has 64. `value` is called only if the span is recorded.
    pub fn set(&mut self, key: impl Into<Cow<'static, str>>, value: impl FnOnce() -> SpanValue) {
        if let Some(open) = &mut self.0
            && open.span.attributes.len() < ATTRIBUTES
        {
            open.span.attributes.push((key.into(), value()));
        }
    }

    /// Says that the parent is an operation of another process.
    pub fn parent_is_remote(&mut self) {
        if let Some(open) = &mut self.0 {
            open.span.is_parent_remote = true;
        }
    }

    /// Adds an operation that it belongs with.
    pub(crate) fn link(&mut self, to: &Arc<TraceContext>) {
        if let Some(open) = &mut self.0 {
            open.span.links.push(Arc::clone(to));
        }
    }

    /// Says that it failed. `failure` is called only if the span is recorded.
    pub fn fail(&mut self, failure: impl FnOnce() -> SpanFailure) {
        if let Some(open) = &mut self.0 {
            open.span.failure = Some(failure());
        }
    }

    /// Ends it.
    pub fn end(mut self) {
        self.record();
    }

    fn record(&mut self) {
        if let Some(open) = self.0.take() {
            let Open { sink, mut span } = *open;
            // The clock may have been set back.
            span.ended = sink.now().max(span.began);
            sink.record(span);
        }
    }
}

impl Drop for ActiveSpan {
    fn drop(&mut self) {
        if self.0.is_some() {
            self.fail(|| SpanFailure::new("abandoned", "it was abandoned before its end"));
            self.record();
        }
    }
}

/// A random id, which is not all zero.
fn new_id() -> [u8; 8] {
    rand::random_range(1..=u64::MAX).to_be_bytes()
}
