//! Entries: updates as the existing hub stores them.
//!
//! A key is a sequence number of eight bytes and the id of the update; a value is a JSON object
//! (B-520).

use serde_json::{Map, Value};
use talaria_protocol::Update;

use crate::tree::Item;

const SEQUENCE_BYTES: usize = size_of::<u64>();

/// An update of the bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// Its sequence number. Sequence numbers increase.
    pub sequence: u64,
    /// The update, with its id if it has one.
    pub update: Update,
}

/// The result of decoding a key and its value.
#[derive(Debug)]
pub(crate) enum Decoded {
    Entry {
        entry: Entry,
        /// The number of fields that were left out because SSE cannot carry them.
        dropped_fields: u64,
    },
    /// A hub cannot have stored the entry, or cannot read it.
    Unreadable {
        /// The sequence number, if the key has one.
        sequence: Option<u64>,
    },
}

/// Decodes a key and its value.
pub(crate) fn decode(item: &Item) -> Decoded {
    let Some((sequence, key_id)) = item.key.split_first_chunk::<SEQUENCE_BYTES>() else {
        return Decoded::Unreadable { sequence: None };
    };
    let sequence = u64::from_be_bytes(*sequence);
    let Some(mut update) = item.value.as_deref().and_then(update) else {
        return Decoded::Unreadable {
            sequence: Some(sequence),
        };
    };
    // Bytes that are not UTF-8 have become replacement characters in the value, as in every client. The
    // key has the id too, in case the value does not.
    let key_id = || String::from_utf8_lossy(key_id).into_owned();
    let id = update.id.take().unwrap_or_else(key_id);
    update.id = Some(id).filter(|id| !id.is_empty());

    let mut dropped_fields = 0;
    let mut keep = |field: Option<String>, forbidden: &[char]| {
        let kept = field.as_ref().is_none_or(|text| !text.contains(forbidden));
        dropped_fields += u64::from(!kept);
        field.filter(|_| kept)
    };
    // Clients ignore an id with a NUL; a type may contain one.
    update.id = keep(update.id, &['\r', '\n', '\0']);
    update.event_type = keep(update.event_type, &['\r', '\n']);
    Decoded::Entry {
        entry: Entry { sequence, update },
        dropped_fields,
    }
}

/// Decodes the update of a value; `None` if the existing hub could not decode it either. To that hub a
/// field that is missing or null is empty, and an empty type or a zero `retry` is not sent (B-356).
fn update(value: &[u8]) -> Option<Update> {
    let Ok(Value::Object(mut fields)) = serde_json::from_str(&String::from_utf8_lossy(value))
    else {
        return None;
    };
    let topics = match take(&mut fields, "Topics") {
        Value::Null => Vec::new(),
        Value::Array(topics) => topics.into_iter().map(text).collect::<Option<_>>()?,
        _ => return None,
    };
    Some(Update {
        topics,
        data: text(take(&mut fields, "Data"))?,
        id: Some(text(take(&mut fields, "ID"))?).filter(|id| !id.is_empty()),
        event_type: Some(text(take(&mut fields, "Type"))?).filter(|name| !name.is_empty()),
        retry: match take(&mut fields, "Retry") {
            Value::Null => None,
            retry => Some(retry.as_u64()?).filter(|retry| *retry != 0),
        },
        private: match take(&mut fields, "Private") {
            Value::Null => false,
            private => private.as_bool()?,
        },
        by_hub: false,
        trace: None,
    })
}

fn take(fields: &mut Map<String, Value>, name: &str) -> Value {
    fields.remove(name).unwrap_or_default()
}

fn text(value: Value) -> Option<String> {
    match value {
        Value::Null => Some(String::new()),
        Value::String(text) => Some(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(key: &[u8], value: &[u8]) -> Decoded {
        decode(&Item {
            key: key.to_owned(),
            value: Some(value.to_owned()),
        })
    }

    fn kept(key: &[u8], value: &str) -> (Entry, u64) {
        match decoded(key, value.as_bytes()) {
            Decoded::Entry {
                entry,
                dropped_fields,
            } => (entry, dropped_fields),
            Decoded::Unreadable { .. } => panic!("{value} is unreadable"),
        }
    }

    const KEY: &[u8] = b"\0\0\0\0\0\0\x01\x02id";

    /// Keys and values are those of the existing hub (B-520).
    #[test]
    fn an_entry_is_read_as_the_hub_wrote_it() {
        let (entry, dropped) = kept(
            KEY,
            r#"{"Data":"a\r\nb","ID":"id","Type":"note","Retry":1500,
                "Topics":["t","u"],"Private":true,"Debug":true}"#,
        );
        let update = Update {
            topics: vec!["t".to_owned(), "u".to_owned()],
            data: "a\r\nb".to_owned(),
            id: Some("id".to_owned()),
            event_type: Some("note".to_owned()),
            retry: Some(1500),
            private: true,
            by_hub: false,
            trace: None,
        };
        let sequence = 258;
        assert_eq!((entry, dropped), (Entry { sequence, update }, 0));
    }

    #[test]
    fn what_is_missing_is_empty_and_the_key_has_the_id() {
        for value in [
            "{}",
            r#"{"Data":null,"ID":null,"Topics":null,"Retry":null,"Private":null,"Type":null}"#,
            r#"{"Data":"","ID":"","Topics":[],"Retry":0,"Private":false,"Type":""}"#,
        ] {
            let id = Some("id".to_owned());
            let update = Update {
                id,
                ..Update::default()
            };
            let sequence = 258;
            assert_eq!(kept(KEY, value), (Entry { sequence, update }, 0));
        }
    }

    /// Old databases hold ids and types that an event cannot have (B-1034).
    #[test]
    fn what_no_field_can_carry_is_dropped_and_counted() {
        let (entry, dropped) = kept(KEY, r#"{"Data":"d","ID":"a\nb","Type":"x\ry"}"#);
        assert_eq!(dropped, 2);
        let update = entry.update;
        assert_eq!((update.id, update.event_type), (None, None));
        assert_eq!(update.data, "d");

        let (entry, dropped) = kept(KEY, r##"{"ID":"a\u0000","Type":"x\u0000"}"##);
        assert_eq!((entry.update.id, dropped), (None, 1));
        assert_eq!(entry.update.event_type.as_deref(), Some("x\0"));
    }

    /// Old databases hold ids, types and topics that version 1.0 refuses (B-1034).
    #[test]
    fn what_1_0_refuses_but_a_field_can_carry_is_kept() {
        for id in ["#1", "earliest", "a\u{1}", "a\u{200B}"] {
            let value = serde_json::json!({"ID": id, "Type": "mercure", "Topics": ["*", "a\n"]});
            let (entry, dropped) = kept(KEY, &value.to_string());
            assert_eq!((entry.update.id.as_deref(), dropped), (Some(id), 0));
            assert_eq!(entry.update.event_type.as_deref(), Some("mercure"));
            assert_eq!(entry.update.topics, ["*", "a\n"]);
        }
    }

    #[test]
    fn bytes_that_are_not_utf_8_are_replaced() {
        let (entry, _) = kept(b"\0\0\0\0\0\0\0\x01a\xFF", "{}");
        assert_eq!(entry.update.id.as_deref(), Some("a\u{FFFD}"));
        let Decoded::Entry { entry, .. } = decoded(KEY, b"{\"Data\":\"a\xFFb\"}") else {
            panic!("unreadable");
        };
        assert_eq!(entry.update.data, "a\u{FFFD}b");
    }

    /// Above all, an update does not become public because its flag is unreadable. The existing hub skips
    /// such entries too (B-512).
    #[test]
    fn what_the_hub_could_not_decode_is_unreadable() {
        for value in [
            "",
            "[]",
            "{",
            r#"{"Data":1}"#,
            r#"{"Retry":-1}"#,
            r#"{"Retry":"1"}"#,
            r#"{"Topics":"t"}"#,
            r#"{"Topics":[1]}"#,
            r#"{"Private":"true"}"#,
        ] {
            let found = decoded(KEY, value.as_bytes());
            let sequence = Some(258);
            assert!(
                matches!(found, Decoded::Unreadable { sequence: at } if at == sequence),
                "{value}: {found:?}"
            );
        }
        let short = decoded(b"short", b"{}");
        assert!(matches!(short, Decoded::Unreadable { sequence: None }));
    }
}
