//! What is recorded of a publish that is traced (B-740).

use std::borrow::Cow;

use talaria_protocol::Update;

use crate::http::request::Incoming;
use crate::trace::SpanValue;

/// Makes an update part of the trace, and notes what it is.
pub(super) fn one(request: &Incoming<'_>, update: &mut Update) {
    request.with_span(|span| {
        update.trace = span.context().cloned();
        span.set("mercure.topics", || texts(&update.topics));
        span.set("mercure.private", || SpanValue::Flag(update.private));
    });
}

/// Makes the updates of a batch part of the trace, and notes what they are.
pub(super) fn several(request: &Incoming<'_>, updates: &mut [Update]) {
    request.with_span(|span| {
        let Some(context) = span.context().cloned() else {
            return;
        };
        for update in updates.iter_mut() {
            update.trace = Some(context.clone());
        }
        span.set("mercure.updates", || SpanValue::number(updates.len()));
        span.set("mercure.topics", || {
            texts(updates.iter().flat_map(|update| &update.topics))
        });
    });
}

/// Notes the id of the one update of a request.
pub(super) fn stored(request: &Incoming<'_>, ids: &[String]) {
    request.with_span(|span| {
        if let [id] = ids {
            span.set("mercure.update.id", || SpanValue::text(id));
        }
    });
}

fn texts<'t>(texts: impl IntoIterator<Item = &'t String>) -> SpanValue {
    SpanValue::texts(texts.into_iter().map(|text| Cow::Borrowed(text.as_str())))
}
