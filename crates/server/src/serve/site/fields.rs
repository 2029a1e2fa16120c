//! Changes to the fields of requests and answers: `request_header` and `header`.

use http::{HeaderMap, HeaderName, HeaderValue};

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

/// Changes a field of a request.
pub(super) fn change_request(headers: &mut HeaderMap, name: HeaderName, change: Filled) {
    match change {
        Filled::Set(value) | Filled::Override(value) => _ = headers.insert(name, value),
        Filled::Default(value) => _ = headers.entry(name).or_insert(value),
        Filled::Add(value) => _ = headers.append(name, value),
        Filled::Remove => _ = headers.remove(name),
    }
}

/// Changes the fields of an answer. Of several values that are set, the last counts.
pub(super) fn change_answer(
    headers: &mut HeaderMap,
    changes: impl Iterator<Item = (HeaderName, Filled)>,
) {
    let mut ours: Vec<HeaderName> = Vec::new();
    for (name, change) in changes {
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
