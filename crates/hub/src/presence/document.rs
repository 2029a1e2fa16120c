//! The document of one subscription, in its event and in the subscription API.

use std::fmt::Write as _;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use talaria_protocol::update::HUB_EVENT_TYPE;
use talaria_protocol::{Generation, Subscription, Update};

/// Below it lie the topics of subscription events, and the subscription API.
pub(crate) const NAMESPACE: &str = "/.well-known/mercure/subscriptions";

/// Everything but the unreserved characters (RFC 6570, section 3.2.2).
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// One subscription of one subscriber.
#[derive(Debug)]
pub(crate) struct Document {
    /// The topic of its events, and its path in the API.
    pub(crate) topic: String,
    /// What was asked for.
    pub(crate) subscription: Subscription,
    /// Who asked: one connection.
    pub(crate) subscriber: Arc<str>,
    payload: Option<Payload>,
    /// Whether it is shown as the JSON-LD of Mercure 0.x (B-556).
    linked: bool,
    /// Whether the log is known to hold its end, and its beginning.
    stored: [AtomicBool; 2],
}

impl Document {
    /// `answers_older`: whether the hub answers 0.x clients in 0.x at all.
    pub(crate) fn new(
        subscription: Subscription,
        subscriber: Arc<str>,
        payload: Option<Payload>,
        answers_older: bool,
    ) -> Self {
        let older = subscription.generation() == Generation::V0;
        Self {
            topic: topic_of(&subscription, &subscriber),
            subscriber,
            payload,
            linked: older && answers_older,
            subscription,
            stored: Default::default(),
        }
    }

    /// The update that says that the subscription began or has ended.
    pub(crate) fn update(&self, active: bool) -> Update {
        Update {
            topics: vec![self.topic.clone()],
            data: self.json(active, 0, Context::Alone),
            // Clients of 0.x listen to messages without a type (B-642).
            event_type: (!self.linked).then(|| HUB_EVENT_TYPE.to_owned()),
            private: true,
            by_hub: true,
            ..Update::default()
        }
    }

    /// What one of its events takes in a log, in bytes, at least.
    pub(crate) fn event_bytes(&self) -> usize {
        /// The names and values that are always there, a line's `data: ` and line feed for each; the
        /// fields `id` and `event` of the stream; and a record's head, id and checksum.
        const FIXED: usize = 360;
        let payload = self.payload.as_ref().map_or(0, |payload| payload.bytes);
        // It is stored as the topic and in the document.
        2 * self.topic.len()
            + quoted(&self.subscription.text).len()
            + quoted(&self.subscriber).len()
            + payload
            + FIXED
    }

    /// Notes that the log holds its beginning (`active`) or its end: the append was acknowledged, or
    /// the event was routed.
    pub(crate) fn mark_stored(&self, active: bool) {
        self.stored[usize::from(active)].store(true, Ordering::Release);
    }

    /// Whether the log is known to hold its beginning (`active`) or its end.
    pub(crate) fn is_stored(&self, active: bool) -> bool {
        self.stored[usize::from(active)].load(Ordering::Acquire)
    }

    /// The document, indented by `indent` spaces from its second line on (B-533, B-556).
    pub(crate) fn json(&self, active: bool, indent: usize, context: Context<'_>) -> String {
        let mut members: Vec<(&str, String)> = Vec::new();
        if self.linked && context != Context::Listed {
            members.push(("@context", quoted("https://mercure.rocks/")));
        }
        members.push(("id", quoted(&self.topic)));
        let kind = if self.linked {
            "Subscription"
        } else {
            "subscription"
        };
        members.push(("type", quoted(kind)));
        members.push(("subscriber", quoted(&self.subscriber)));
        match self.subscription.generation() {
            Generation::V0 => members.push(("topic", quoted(&self.subscription.text))),
            Generation::V1 => {
                members.push(("match", quoted(&self.subscription.text)));
                let matcher_type = self.subscription.matcher_type.name();
                members.push(("match_type", quoted(matcher_type)));
            }
        }
        members.push(("active", active.to_string()));
        if let (true, Context::AnsweredAt(cursor)) = (self.linked, context) {
            members.push(("lastEventID", quoted(cursor)));
        }
        if let Some(payload) = &self.payload {
            let pretty = format!("{:#}", payload.value);
            members.push(("payload", pretty.replace('\n', "\n  ")));
        }
        let lines: Vec<String> = members
            .iter()
            .map(|(name, value)| format!("  \"{name}\": {value}"))
            .collect();
        let text = format!("{{\n{}\n}}", lines.join(",\n"));
        match indent {
            0 => text,
            indent => text.replace('\n', &format!("\n{}", " ".repeat(indent))),
        }
    }
}

/// The topic of a subscription's events, which is its path in the API.
pub(crate) fn topic_of(subscription: &Subscription, subscriber: &str) -> String {
    let mut topic = collection_of(subscription);
    // Writing to a string does not fail.
    _ = write!(topic, "{}", utf8_percent_encode(subscriber, ENCODED));
    topic
}

/// What the topics of all subscribers with this matcher begin with.
pub(crate) fn collection_of(subscription: &Subscription) -> String {
    let mut path = NAMESPACE.to_owned();
    if subscription.generation() == Generation::V1 {
        _ = write!(path, "/{}", subscription.matcher_type.name());
    }
    let text = utf8_percent_encode(&subscription.text, ENCODED);
    _ = write!(path, "/{text}/");
    path
}

/// What a token says about its holder.
#[derive(Debug)]
pub(crate) struct Payload {
    value: Arc<Value>,
    /// Its bytes in an event.
    bytes: usize,
}

impl Payload {
    /// `None` if it takes more than `most_bytes` bytes in an event. Indented it may be many times as long
    /// as in the token, so it is not written out to be measured.
    pub(crate) fn measure(value: &Arc<Value>, most_bytes: usize) -> Option<Self> {
        let mut counter = Counter {
            bytes: 0,
            most_bytes,
        };
        serde_json::to_writer_pretty(&mut counter, &**value).ok()?;
        Some(Self {
            value: Arc::clone(value),
            bytes: counter.bytes,
        })
    }
}

/// Counts the bytes of indented JSON as those of an event, and fails beyond `most_bytes`.
struct Counter {
    bytes: usize,
    most_bytes: usize,
}

impl io::Write for Counter {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        /// Each line is indented by two more, and is a field of its own.
        const LINE: usize = "data:   ".len();
        let lines = text.iter().filter(|byte| **byte == b'\n').count();
        self.bytes += text.len() + lines * LINE;
        if self.bytes > self.most_bytes {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Where a document stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Context<'a> {
    /// In an event.
    Alone,
    /// In a collection.
    Listed,
    /// As an answer of the API, with its cursor.
    AnsweredAt(&'a str),
}

/// A JSON string.
pub(crate) fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}
