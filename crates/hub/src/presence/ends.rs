//! Ends of subscriptions whose process has died, made of the events that began them.

use serde_json::{Value, json};
use talaria_protocol::Update;
use talaria_protocol::update::HUB_EVENT_TYPE;

/// How many ends are appended with one commit.
const AT_ONCE: usize = 256;
/// The bytes of these ends. One more end may exceed them.
const AT_ONCE_BYTES: usize = 1 << 20;

/// What a subscription event says.
pub(super) enum Event {
    /// A subscription has begun; this update ends it.
    Beginning(Update),
    End,
}

/// Reads a subscription event with this topic; `None` if it is malformed.
pub(super) fn read(topic: &str, event: Update) -> Option<Event> {
    let Ok(Value::Object(mut document)) = serde_json::from_str(&event.data) else {
        return None;
    };
    if document.get("active") != Some(&Value::Bool(true)) {
        return Some(Event::End);
    }
    document.insert("active".to_owned(), Value::Bool(false));
    let data = format!("{:#}", Value::Object(document));
    Some(Event::Beginning(end(topic, data, event.event_type)))
}

/// The update that ends the subscription with this topic, if nothing else is known of it.
pub(super) fn bare(topic: &str) -> Update {
    let document = json!({ "id": topic, "type": "subscription", "active": false });
    let data = format!("{document:#}");
    end(topic, data, Some(HUB_EVENT_TYPE.to_owned()))
}

fn end(topic: &str, data: String, event_type: Option<String>) -> Update {
    Update {
        topics: vec![topic.to_owned()],
        data,
        event_type,
        private: true,
        by_hub: true,
        ..Update::default()
    }
}

/// About how many bytes an end takes in memory, if its topic is held twice.
pub(super) fn size(end: &Update) -> usize {
    const FIXED: usize = 300;
    let topics: usize = end.topics.iter().map(String::len).sum();
    2 * topics + end.data.len() + FIXED
}

/// How many of these ends, from the first on, are appended with one commit.
pub(super) fn at_once<'a>(ends: impl Iterator<Item = &'a Update>) -> usize {
    let mut bytes = 0;
    let some = ends.take(AT_ONCE).take_while(|end| {
        let fits = bytes < AT_ONCE_BYTES;
        bytes += size(end);
        fits
    });
    some.count()
}
