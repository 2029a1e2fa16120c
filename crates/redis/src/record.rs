//! The fields of an update in the log.

use std::sync::Arc;

use redis::Value;
use serde_json::{Map, Value as Json};
use talaria_protocol::{TraceContext, Update};
use talaria_transport::Position;
use talaria_transport::shared::backend::{Member, Origin, Record};

use crate::fault::Fault;
use crate::reply;

const INCOMPLETE: Fault = Fault::Unexpected("a record of the log");

/// The names and values of an update's fields. Those that it does not have are left out.
pub(crate) fn fields(update: &Update) -> Vec<(&'static str, String)> {
    let mut fields = vec![
        ("topics", Json::from(update.topics.clone()).to_string()),
        ("data", update.data.clone()),
    ];
    let mut add = |name, value: Option<String>| {
        if let Some(value) = value {
            fields.push((name, value));
        }
    };
    add("id", update.id.clone());
    add("type", update.event_type.clone());
    add("retry", update.retry.map(|retry| retry.to_string()));
    add("private", update.private.then(|| "1".to_owned()));
    add("by_hub", update.by_hub.then(|| "1".to_owned()));
    add("trace", update.trace.as_ref().map(|trace| trace.stored()));
    fields
}

/// An update as one text, as the log keeps the events that began subscriptions.
pub(crate) fn document(update: &Update) -> String {
    let fields = fields(update);
    let fields: Map<String, Json> = fields
        .into_iter()
        .map(|(name, value)| (name.to_owned(), Json::from(value)))
        .collect();
    Json::from(fields).to_string()
}

/// Reads what the script stored of the beginning of a subscription: its position and the [`document`].
///
/// # Errors
/// It is something else.
pub(crate) fn begun(stored: &str) -> Result<(Position, Update), Fault> {
    let (id, document) = stored.split_once(' ').ok_or(INCOMPLETE)?;
    let Ok(Json::Object(fields)) = serde_json::from_str(document) else {
        return Err(INCOMPLETE);
    };
    let mut found = Found::default();
    for (name, value) in fields {
        if let Json::String(value) = value {
            found.take(&name, value)?;
        }
    }
    Ok((reply::position(id)?, found.update()?))
}

/// The beginning of a subscription of which only the topic is known: enough for its end.
pub(crate) fn unknown_beginning(topic: &str) -> (Position, Update) {
    let data = serde_json::json!({ "active": true, "id": topic }).to_string();
    let update = Update {
        topics: vec![topic.to_owned()],
        data,
        private: true,
        by_hub: true,
        ..Update::default()
    };
    (Position::ORIGIN, update)
}

/// An entry of the stream.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) id: String,
    /// About how many bytes it has.
    pub(crate) bytes: usize,
    /// What it holds, unless that cannot be read: one that another program stored must not end reading of the others.
    pub(crate) record: Option<Record>,
}

/// Reads the entries of an answer.
///
/// # Errors
/// The answer is something else.
pub(crate) fn entries(answer: Value) -> Result<Vec<Entry>, Fault> {
    reply::array(answer)?.into_iter().map(entry).collect()
}

fn entry(entry: Value) -> Result<Entry, Fault> {
    let [id, fields] = reply::first(reply::array(entry)?)?;
    let (id, fields) = (reply::text(id)?, reply::array(fields)?);
    let bytes = fields.iter().map(|value| match value {
        Value::BulkString(bytes) => bytes.len(),
        _ => 0,
    });
    let bytes = bytes.sum();
    let record = record(&id, fields);
    if record.is_err() {
        unreadable("update", &id);
    }
    Ok(Entry {
        id,
        bytes,
        record: record.ok(),
    })
}

/// Logs that something stored cannot be read.
pub(crate) fn unreadable(kind: &'static str, stored: &str) {
    tracing::warn!(
        name: "log_entry_unreadable",
        reason = kind,
        stored,
        "the log has an entry that this version cannot read, and leaves out"
    );
}

/// Reads the fields of an entry. Those of other names are ignored.
///
/// # Errors
/// It is not an update that a node stored.
fn record(id: &str, fields: Vec<Value>) -> Result<Record, Fault> {
    let position = reply::position(id)?;
    let mut found = Found::default();
    let mut fields = fields.into_iter();
    while let (Some(name), Some(value)) = (fields.next(), fields.next()) {
        let (Value::BulkString(name), Value::BulkString(value)) = (name, value) else {
            return Err(INCOMPLETE);
        };
        // A field that is unknown may hold anything.
        let (Ok(name), Ok(value)) = (String::from_utf8(name), String::from_utf8(value)) else {
            continue;
        };
        found.take(&name, value)?;
    }
    let (origin, time) = found.stored.ok_or(INCOMPLETE)?;
    Ok(Record {
        position,
        run_before: found.before,
        origin,
        time,
        update: found.update()?,
    })
}

/// Reads who stored an update, and when: the member, the number of its batch, the index in it, and milliseconds.
fn stored(text: &str) -> Result<(Origin, u64), Fault> {
    let mut words = text.split(' ');
    let mut next = || words.next().ok_or(INCOMPLETE);
    let (member, batch, index) = (self::member(next()?)?, next()?, next()?);
    let origin = Origin {
        member,
        batch: batch.parse().map_err(|_| INCOMPLETE)?,
        index: index.parse().map_err(|_| INCOMPLETE)?,
    };
    Ok((origin, next()?.parse().map_err(|_| INCOMPLETE)?))
}

/// Reads a member's name.
///
/// # Errors
/// It is something else.
pub(crate) fn member(name: &str) -> Result<Member, Fault> {
    let is_name = name.len() == 32 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    let number = u128::from_str_radix(name, 16).ok().filter(|_| is_name);
    number
        .map(Member)
        .ok_or(Fault::Unexpected("the name of a member"))
}

/// The fields that were found.
#[derive(Default)]
struct Found {
    topics: Option<Vec<String>>,
    data: Option<String>,
    id: Option<String>,
    event_type: Option<String>,
    retry: Option<u64>,
    private: bool,
    by_hub: bool,
    trace: Option<Arc<TraceContext>>,
    stored: Option<(Origin, u64)>,
    before: Option<Position>,
}

impl Found {
    fn take(&mut self, name: &str, value: String) -> Result<(), Fault> {
        match name {
            "topics" => {
                self.topics = Some(serde_json::from_str(&value).map_err(|_| INCOMPLETE)?);
            }
            "data" => self.data = Some(value),
            "id" => self.id = Some(value),
            "type" => self.event_type = Some(value),
            "retry" => self.retry = Some(value.parse().map_err(|_| INCOMPLETE)?),
            "private" => self.private = true,
            "by_hub" => self.by_hub = true,
            "trace" => self.trace = TraceContext::from_stored(value.as_bytes()).map(Arc::new),
            "stored" => self.stored = Some(stored(&value)?),
            "before" => self.before = Some(reply::position(&value)?),
            _ => {}
        }
        Ok(())
    }

    fn update(self) -> Result<Update, Fault> {
        Ok(Update {
            topics: self.topics.ok_or(INCOMPLETE)?,
            data: self.data.ok_or(INCOMPLETE)?,
            id: self.id,
            event_type: self.event_type,
            retry: self.retry,
            private: self.private,
            by_hub: self.by_hub,
            trace: self.trace,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::option;
    use proptest::prelude::*;

    use super::*;

    fn update() -> impl Strategy<Value = Update> {
        let trace = option::of((any::<[u8; 16]>(), any::<[u8; 8]>())).prop_map(|ids| {
            let (trace_id, span_id) = ids?;
            let is_valid = trace_id != [0; 16] && span_id != [0; 8];
            is_valid.then(|| {
                Arc::new(TraceContext {
                    trace_id,
                    span_id,
                    flags: 1,
                    state: "a=1".into(),
                })
            })
        });
        let texts = (
            vec(any::<String>(), 1..4),
            any::<String>(),
            option::of(any::<String>()),
        );
        let others = (
            option::of(any::<String>()),
            option::of(any::<u64>()),
            any::<[bool; 2]>(),
        );
        (texts, others, trace).prop_map(|(texts, others, trace)| Update {
            topics: texts.0,
            data: texts.1,
            id: texts.2,
            event_type: others.0,
            retry: others.1,
            private: others.2[0],
            by_hub: others.2[1],
            trace,
        })
    }

    fn answer(id: &str, fields: Vec<(Vec<u8>, Vec<u8>)>) -> Value {
        let bulk = Value::BulkString;
        let fields = fields
            .into_iter()
            .flat_map(|(name, value)| [bulk(name), bulk(value)]);
        Value::Array(vec![bulk(id.into()), Value::Array(fields.collect())])
    }

    proptest! {
        #[test]
        fn a_record_is_read_as_it_was_written(
            update in update(),
            (member, batch, index) in any::<(u128, u64, u32)>(),
            (run, number) in any::<(u32, u32)>(),
            before in option::of(any::<u64>()),
            unknown: Vec<u8>,
        ) {
            let before = before.map(Position);
            let mut all: Vec<(Vec<u8>, Vec<u8>)> = fields(&update)
                .into_iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect();
            let stored = format!("{} {batch} {index} 17", Member(member));
            all.push((b"later".to_vec(), unknown));
            all.push((b"stored".to_vec(), stored.into()));
            all.extend(before.map(|before| (b"before".to_vec(), reply::id(before).into())));
            let read = entry(answer(&format!("{run}-{number}"), all)).expect("it is an entry");
            let origin = Origin { member: Member(member), batch, index };
            let position = Position(u64::from(run) << 32 | u64::from(number));
            let record = Record { position, run_before: before, origin, time: 17, update };
            prop_assert_eq!(read.record, Some(record));
        }

        #[test]
        fn the_beginning_of_a_subscription_is_read_as_it_was_written(update in update(), position: u64) {
            let position = Position(position);
            let stored = format!("{} {}", reply::id(position), document(&update));
            prop_assert_eq!(begun(&stored), Ok((position, update)));
        }

        #[test]
        fn any_entry_is_read_without_harm(
            id in "[0-9-]{0,12}",
            names in vec(prop::sample::select(vec![
                "topics", "data", "id", "retry", "trace", "stored", "before", "x",
            ]), 0..12),
            value: Vec<u8>,
            text: String,
        ) {
            let fields = names.into_iter().map(|name| (name.as_bytes().to_vec(), value.clone()));
            _ = entry(answer(&id, fields.collect()));
            _ = entry(Value::Array(vec![Value::Nil]));
            _ = entries(Value::Int(1));
            _ = begun(&text);
            _ = member(&text);
        }
    }
}
