//! An update as a JSON object, one of many in a request.

use std::borrow::Cow;

use serde_json::{Map, Value};

use crate::authorization::kind_of;
use crate::error::Shown;
use crate::form::Pair;
use crate::{Base, Generation, Limits, ProtocolError, Update};

const MEMBERS: &str = "topic, data, private, id, type and retry";

impl Update {
    /// Reads an update from a JSON object with the members of the form: `topic` (a string, or an
    /// array of strings whose first is canonical), `data`, `id` and `type` (strings), `private` (a
    /// boolean), `retry` (a whole number of milliseconds). A member that is `null` counts as absent.
    ///
    /// # Errors
    /// As [`Update::from_form`]; also for what is no such object. Unlike in a form, an unknown
    /// member is an error: nothing else would tell of a misspelled one.
    pub fn from_json(
        json: &[u8],
        checks: Generation,
        base: &Base,
        limits: &Limits,
    ) -> Result<Self, ProtocolError> {
        let object = object(json)?;
        let mut pairs: Vec<Pair<'_>> = Vec::with_capacity(object.len());
        for (name, value) in &object {
            match (name.as_str(), value) {
                (_, Value::Null) | ("private", Value::Bool(false)) => {}
                ("topic", Value::Array(topics)) => {
                    for topic in topics {
                        let topic = topic.as_str().ok_or_else(|| wrong("topic", topic))?;
                        pairs.push(("topic".into(), topic.into()));
                    }
                }
                ("topic" | "data" | "id" | "type", Value::String(text)) => {
                    pairs.push((name.as_str().into(), text.as_str().into()));
                }
                ("private", Value::Bool(true)) => pairs.push(("private".into(), "on".into())),
                ("retry", Value::Number(number)) if number.is_u64() => {
                    pairs.push(("retry".into(), Cow::Owned(number.to_string())));
                }
                ("topic" | "data" | "id" | "type" | "private" | "retry", value) => {
                    return Err(wrong(name, value));
                }
                _ => {
                    return Err(ProtocolError::malformed(
                        "line",
                        format!(
                            "{} is no member of an update; it has {MEMBERS}",
                            Shown(name)
                        ),
                    ));
                }
            }
        }
        Self::from_form(&pairs, checks, base, limits)
    }
}

/// Reads the object of a line. The error says where the line goes wrong, and quotes nothing of it.
fn object(json: &[u8]) -> Result<Map<String, Value>, ProtocolError> {
    let problem = match serde_json::from_slice(json) {
        Ok(Value::Object(object)) => return Ok(object),
        Ok(other) => format!("is {}, not a JSON object", kind_of(&other)),
        Err(error) => format!(
            "is not a JSON object: its syntax is wrong at byte {}",
            error.column()
        ),
    };
    Err(ProtocolError::malformed(
        "line",
        format!("{problem}; write an update with {MEMBERS} on one line"),
    ))
}

fn wrong(name: &str, value: &Value) -> ProtocolError {
    let expected = match name {
        "topic" => "a string or an array of strings",
        "private" => "true or false",
        "retry" => "a whole number of milliseconds",
        _ => "a string",
    };
    let received = match value {
        Value::Number(_) | Value::Bool(_) => value.to_string(),
        Value::String(text) if matches!(name, "private" | "retry") => Shown(text).to_string(),
        other => kind_of(other).to_owned(),
    };
    ProtocolError::malformed(name.to_owned(), format!("is {received}; write {expected}"))
}
