//! An update as a line of JSON.

use std::io;

use serde_json::{Map, Value, json};
use talaria_config::Error;
use talaria_protocol::{Update, event};
use talaria_transport::history::inspect::Exported;

/// Writes an update as a line.
///
/// # Errors
///
/// What is stored is not an event.
pub(super) fn encode(exported: &Exported<'_>) -> io::Result<String> {
    let decoded = event::decode_update(exported.event);
    let (update, _) = decoded.ok_or_else(|| {
        io::Error::other(format!(
            "the update at position {} is not an event",
            exported.position
        ))
    })?;
    let mut line = json!({
        "position": exported.position.0,
        "time": exported.time,
        "id": exported.event_id,
        "topics": exported.topics,
        "private": exported.private,
        "data": update.data,
    });
    if let Some(event_type) = update.event_type {
        line["type"] = event_type.into();
    }
    if let Some(retry) = update.retry {
        line["retry"] = retry.into();
    }
    Ok(format!("{line}\n"))
}

/// Reads the update of a line, and when it was committed in milliseconds since 1970, if the line says so.
/// `position` is not read.
///
/// # Errors
///
/// The line is not such a JSON object.
pub(super) fn decode(line: &str) -> Result<(Update, Option<u64>), Error> {
    let value: Value = serde_json::from_str(line)
        .map_err(|error| Error::new("this is not JSON").caused_by(error))?;
    let Value::Object(fields) = value else {
        return Err(Error::new("this is not a JSON object").remedy("write one update a line"));
    };
    let topics = fields.get("topics").and_then(Value::as_array);
    let topics = topics.ok_or_else(|| Error::new("`topics` is not a list of texts"))?;
    let topics: Option<Vec<String>> = topics
        .iter()
        .map(|topic| topic.as_str().map(str::to_owned))
        .collect();
    let time = optional(
        &fields,
        "time",
        "a whole number of milliseconds since 1970",
        Value::as_u64,
    )?;
    let update = Update {
        topics: topics.ok_or_else(|| Error::new("`topics` holds something that is not a text"))?,
        data: text(&fields, "data")?.unwrap_or_default(),
        id: field(&fields, "id")?,
        event_type: field(&fields, "type")?,
        retry: optional(&fields, "retry", "a whole number", Value::as_u64)?,
        private: optional(&fields, "private", "true or false", Value::as_bool)?.unwrap_or(false),
        by_hub: false,
        trace: None,
    };
    Ok((update, time))
}

fn optional<'a, T>(
    fields: &'a Map<String, Value>,
    name: &str,
    what: &str,
    read: impl Fn(&'a Value) -> Option<T>,
) -> Result<Option<T>, Error> {
    match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => read(value)
            .map(Some)
            .ok_or_else(|| Error::new(format!("`{name}` is not {what}"))),
    }
}

fn text(fields: &Map<String, Value>, name: &str) -> Result<Option<String>, Error> {
    let text = optional(fields, name, "a text", Value::as_str)?;
    Ok(text.map(str::to_owned))
}

/// A text that is written as one line of an event.
fn field(fields: &Map<String, Value>, name: &str) -> Result<Option<String>, Error> {
    let text = text(fields, name)?.filter(|text| !text.is_empty());
    match text {
        Some(text) if text.contains(['\r', '\n', '\0']) => Err(Error::new(format!(
            "`{name}` holds a line end or a NUL, which an event cannot hold"
        ))
        .remedy("remove it")),
        text => Ok(text),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use talaria_transport::Position;

    use super::*;

    proptest! {
        /// An exported update is imported unchanged.
        #[test]
        fn a_line_leads_back(
            topics in prop::collection::vec(".{1,20}", 1..4),
            data in "[a\n\"\\\\é]{0,30}",
            id in "[a-zé\"]{1,20}",
            event_type in prop::option::of("[a-z: ]{1,10}"),
            retry: Option<u64>,
            private: bool,
        ) {
            let update = Update { topics, data, id: Some(id.clone()), event_type, retry, private, by_hub: false, trace: None };
            let exported = Exported {
                position: Position(1),
                time: 2,
                event_id: &id,
                topics: update.topics.iter().map(String::as_str).collect(),
                private,
                event: &event::encode(&update, &id),
            };
            prop_assert_eq!(decode(&encode(&exported).unwrap()).unwrap(), (update, Some(2)));
        }
    }

    #[test]
    fn a_wrong_line_is_named() {
        for (line, expected) in [
            ("x", "this is not JSON"),
            ("[]", "not a JSON object"),
            ("{}", "`topics` is not a list"),
            (r#"{"topics":[1]}"#, "`topics` holds something"),
            (r#"{"topics":["t"],"id":"a\nb"}"#, "`id` holds a line end"),
            (
                r#"{"topics":["t"],"retry":"1"}"#,
                "`retry` is not a whole number",
            ),
            (
                r#"{"topics":["t"],"time":"yesterday"}"#,
                "`time` is not a whole number of milliseconds",
            ),
            (
                r#"{"topics":["t"],"time":-1}"#,
                "`time` is not a whole number of milliseconds",
            ),
        ] {
            let error = decode(line).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
