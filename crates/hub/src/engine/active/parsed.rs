//! Reads the document of a subscription from its event, which another process may have made.

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use talaria_protocol::{MatcherType, Subscription};

use super::document::{Document, Payload};

/// What a subscription event says.
#[derive(Debug)]
pub(super) struct Parsed {
    /// Whether the subscription has begun.
    pub(super) active: bool,
    /// The subscription, if the event describes one that this hub understands.
    pub(super) document: Option<Document>,
}

type Members<'a> = BTreeMap<String, &'a RawValue>;

/// Reads the data of an event with this topic; `None` if it does not say whether the subscription has begun. Members
/// that a later version may add are ignored.
pub(super) fn parse(topic: &str, data: &str) -> Option<Parsed> {
    let members: Members<'_> = serde_json::from_str(data).ok()?;
    let active = serde_json::from_str(members.get("active")?.get()).ok()?;
    let document = document(topic, &members);
    Some(Parsed { active, document })
}

fn document(topic: &str, members: &Members<'_>) -> Option<Document> {
    let text = |name| serde_json::from_str::<String>(members.get(name)?.get()).ok();
    if text("id")? != topic {
        return None;
    }
    let (matcher_type, text_of_matcher) = match text("topic") {
        Some(selector) => (MatcherType::Selector, selector),
        None => (
            MatcherType::from_name(&text("match_type")?)?,
            text("match")?,
        ),
    };
    let subscription = Subscription {
        matcher_type,
        text: text_of_matcher,
    };
    // Only the document of a 0.x client has a context.
    let linked = members.contains_key("@context");
    let payload = members.get("payload");
    Some(Document::parsed(
        topic.to_owned(),
        subscription,
        text("subscriber")?.into(),
        payload.map(|payload| Payload::written(payload.get())),
        linked,
    ))
}

#[cfg(not(talaria_loom))]
#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::*;
    use crate::engine::active::Context;

    const SUBSCRIBER: &str = "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6";

    fn made(matcher_type: MatcherType, text: &str, payload: Option<&Value>) -> Vec<Document> {
        let subscription = Subscription {
            matcher_type,
            text: text.to_owned(),
        };
        let payload = payload.cloned().map(Arc::new);
        let measured = |payload| Payload::measure(payload, usize::MAX).expect("no bound");
        let make = |answers_older| {
            let payload = payload.as_ref().map(measured);
            Document::new(
                subscription.clone(),
                SUBSCRIBER.into(),
                payload,
                answers_older,
            )
        };
        vec![make(false), make(true)]
    }

    /// What is read from an event is shown in the same bytes as by the node that announced it: in events, in lists and
    /// alone; of both generations, with and without a payload.
    #[test]
    fn a_parsed_document_is_shown_as_the_one_that_was_announced() {
        let nested = (0..100).fold(json!([1, 2.5, "\n"]), |inner, _| json!([inner, {}]));
        let payloads = [
            Value::Null,
            json!("line\r\nbreaks \u{2028} \u{0} \"\\"),
            json!({ "z": 0.1, "a": [1e300, 5e-324, -0.0, 18_446_744_073_709_551_615_u64], "": {} }),
            nested,
        ];
        let payloads = payloads.iter().map(Some).chain([None]);
        let texts = ["*", "https://example.com/é?\"\\/", "{x}"];
        let kinds = [
            MatcherType::Exact,
            MatcherType::UrlPattern,
            MatcherType::Selector,
        ];
        for payload in payloads {
            for document in kinds.into_iter().flat_map(|kind| {
                texts
                    .into_iter()
                    .flat_map(move |text| made(kind, text, payload))
            }) {
                let event = document.update(true);
                let parsed = parse(&event.topics[0], &event.data).expect("an event");
                assert!(parsed.active);
                let parsed = parsed.document.expect("a document");
                for (indent, context) in [
                    (0, Context::Alone),
                    (4, Context::Listed),
                    (0, Context::AnsweredAt("id")),
                ] {
                    let shown = parsed.json(true, indent, context);
                    assert_eq!(shown, document.json(true, indent, context));
                }
                assert_eq!(parsed.update(false), document.update(false));
                let end = document.update(false);
                let end = parse(&end.topics[0], &end.data).expect("an event");
                assert!(!end.active);
            }
        }
    }

    /// Members of a later version are ignored.
    #[test]
    fn unknown_members_are_ignored() {
        let document = &made(MatcherType::Exact, "t", None)[0];
        let mut members: Value = serde_json::from_str(&document.update(true).data).expect("JSON");
        members["later"] = json!({ "active": false });
        let parsed = parse(&document.topic, &members.to_string()).expect("an event");
        let parsed = parsed.document.expect("a document");
        assert_eq!(parsed.update(true), document.update(true));
    }

    /// A malformed event describes nothing, whatever is wrong with it.
    #[test]
    fn a_malformed_event_describes_nothing() {
        let document = &made(MatcherType::Exact, "t", None)[0];
        let well: Value = serde_json::from_str(&document.update(true).data).expect("JSON");
        let changed = |name: &str, value: Option<Value>| {
            let mut members = well.as_object().expect("an object").clone();
            members.remove(name);
            members.extend(value.map(|value| (name.to_owned(), value)));
            Value::Object(members).to_string()
        };
        let deep = "[".repeat(1_000_000);
        let malformed = [
            String::new(),
            "[]".to_owned(),
            "{}".to_owned(),
            "{\"active\": true".to_owned(),
            deep.clone(),
            format!("{{\"active\": true, \"payload\": {deep}"),
            changed("active", None),
            changed("active", Some(json!("true"))),
            changed("id", None),
            changed(
                "id",
                Some(json!("/.well-known/mercure/subscriptions/exact/t/other")),
            ),
            changed("subscriber", None),
            changed("subscriber", Some(json!(1))),
            changed("match", None),
            changed("match_type", None),
            changed("match_type", Some(json!("later"))),
            changed("topic", Some(json!(["t"]))).replace("\"match\"", "\"other\""),
        ];
        for data in malformed {
            let parsed = parse(&document.topic, &data);
            let document = parsed.and_then(|parsed| parsed.document);
            assert!(document.is_none(), "{}", &data[..data.len().min(200)]);
        }
    }
}
