//! Changes to the fields of requests and answers: `request_header` and `header`.

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue};
use talaria_config::settings::{Change, FieldChange};

use super::values::View;

/// A change whose value is known.
pub(super) enum Filled {
    /// The value, unless what answers sets it.
    Set(HeaderValue),
    /// The value, whatever what answers has set.
    Override(HeaderValue),
    /// The value, if there is none.
    Default(HeaderValue),
    /// The value, besides others.
    Add(HeaderValue),
    /// No value.
    Remove,
}

/// A change with its value; `None` if the value is one that no field can have, because a client has spoilt it.
pub(super) fn filled(view: &View<'_>, change: &FieldChange) -> Option<(HeaderName, Filled)> {
    let name = HeaderName::try_from(change.name.as_str()).ok()?;
    let value = |template| HeaderValue::try_from(view.fill(template)).ok();
    let filled = match &change.change {
        Change::Set(template) => Filled::Set(value(template)?),
        Change::Override(template) => Filled::Override(value(template)?),
        Change::Default(template) => Filled::Default(value(template)?),
        Change::Add(template) => Filled::Add(value(template)?),
        Change::Remove => Filled::Remove,
    };
    Some((name, filled))
}

/// Changes a field of a request.
pub(super) fn change_request(headers: &mut HeaderMap, name: HeaderName, change: Filled) {
    match change {
        Filled::Set(value) | Filled::Override(value) => _ = headers.insert(name, value),
        Filled::Default(value) => _ = headers.entry(name).or_insert(value),
        Filled::Add(value) => _ = headers.append(name, value),
        Filled::Remove => _ = headers.remove(name),
    }
}

/// Changes the fields of an answer. Of several values that are set, the last counts; the type of a file is a guess,
/// which gives way to any other.
pub(super) fn change_answer(
    headers: &mut HeaderMap,
    changes: impl Iterator<Item = (HeaderName, Filled)>,
    is_file: bool,
) {
    // What is a stream stays one, for what follows it and for its client.
    let kind = headers.get(CONTENT_TYPE);
    let is_stream = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
    let mut ours: Vec<HeaderName> = Vec::new();
    if is_file {
        ours.push(CONTENT_TYPE);
    }
    for (name, change) in changes.filter(|(name, _)| !is_stream || name != CONTENT_TYPE) {
        match change {
            Filled::Set(value) if !headers.contains_key(&name) || ours.contains(&name) => {
                headers.insert(name.clone(), value);
                ours.push(name);
            }
            Filled::Set(_) => {}
            Filled::Default(value) => _ = headers.entry(name).or_insert(value),
            Filled::Override(value) => _ = headers.insert(name, value),
            Filled::Add(value) => _ = headers.append(name, value),
            Filled::Remove => _ = headers.remove(name),
        }
    }
}
