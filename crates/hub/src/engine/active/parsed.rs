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
