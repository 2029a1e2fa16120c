//! An update as a JSON object, one of many in a request.

use std::borrow::Cow;

use serde_json::Value;

use super::fields::{Update, too_many_topics};
use super::line::{self, Line};
use crate::base::Base;
use crate::error::{ProtocolError, Shown, kind_of};
use crate::form::Pair;
use crate::generation::Generation;
use crate::limits::Limits;

const MEMBERS: &str = "topic, data, private, id, type and retry";
const KNOWN: [&str; 6] = ["topic", "data", "private", "id", "type", "retry"];

impl Update {
    /// Reads an update from a JSON object with the members of the form: `topic` (a string, or an
    /// array of strings whose first is canonical), `data`, `id` and `type` (strings), `private` (a
    /// boolean), `retry` (a whole number of milliseconds). A member that is `null` counts as absent.
    ///
    /// # Errors
    /// As [`Update::from_form`], and if the bytes are not such an object. Unlike in a form, an
    /// unknown member is an error: no other check would find a misspelled one.
    pub fn from_json(
        json: &[u8],
        checks: Generation,
        base: &Base,
        limits: &Limits,
    ) -> Result<Self, ProtocolError> {
        let line = object(json, limits)?;
        if let Some(name) = &line.unknown {
            return Err(ProtocolError::malformed(
                "line",
                format!(
                    "{} is not a member of an update; it has {MEMBERS}",
                    Shown(name)
                ),
            ));
        }
        if line.topics > limits.topics {
            return Err(too_many_topics(line.topics, limits));
        }
        let mut pairs: Vec<Pair<'_>> = Vec::with_capacity(line.topics + KNOWN.len());
        for (name, value) in &line.members {
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
                (_, value) => return Err(wrong(name, value)),
            }
        }
        Self::from_form(&pairs, checks, base, limits)
    }
}

/// Reads the object of a line. The error names the place of the fault, and quotes nothing of the
/// line.
fn object(json: &[u8], limits: &Limits) -> Result<Line, ProtocolError> {
    let problem = match line::read(json, &KNOWN, limits.topics) {
        Ok(Ok(line)) => return Ok(line),
        Ok(Err(other)) => format!("is {}, not a JSON object", kind_of(&other)),
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
