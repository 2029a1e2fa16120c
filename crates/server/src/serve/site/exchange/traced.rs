//! The directive `tracing` for a request on its way.

use axum::body::Body;
use http::Response;
use http::request::Parts;
use talaria_config::settings::Template;

use super::Exchange;
use crate::serve::site::values::View;
use crate::serve::traces::{RequestSpan, TracingStep};

impl Exchange {
    /// Begins a span.
    pub(super) fn trace(&mut self, step: &TracingStep) {
        let Self {
            parts,
            connection,
            notes,
            spans,
            ..
        } = self;
        let connection = connection.as_ref();
        let fill = |parts: &Parts, template: &Template| {
            let view = View {
                parts,
                connection,
                notes,
            };
            view.fill_public(template)
        };
        let span = RequestSpan::begin(step, spans.last(), parts, connection, fill);
        let (trace, own) = span.ids();
        spans.push(span);
        notes.variables.insert("trace_id".to_owned(), trace);
        notes.variables.insert("span_id".to_owned(), own);
    }

    /// Ends the spans with the head of the answer, the innermost first.
    pub(super) fn end_spans(&mut self, answer: &Response<Body>) {
        while let Some(span) = self.spans.pop() {
            span.end(answer);
        }
    }
}
