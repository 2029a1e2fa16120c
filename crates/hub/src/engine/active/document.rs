//! The document of one subscription, in its event and in the subscription API.

use std::fmt::Write as _;
use std::io;
use std::sync::Arc;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use talaria_protocol::update::HUB_EVENT_TYPE;
use talaria_protocol::{Generation, Subscription, Update};

use super::standing::Standing;

/// The path below which the topics of subscription events and the subscription API are.
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
    /// The matcher that was asked for.
    pub(crate) subscription: Subscription,
    /// The identifier of the subscriber, which is one connection.
    pub(crate) subscriber: Arc<str>,
    payload: Option<Payload>,
    /// Whether it is shown as the JSON-LD document that clients of Mercure 0.x read (B-556).
    linked: bool,
    /// Of a subscription of this process: what the log is known to hold of it.
    standing: Standing,
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
        let topic = topic_of(&subscription, &subscriber);
        let linked = older && answers_older;
        Self::parsed(topic, subscription, subscriber, payload, linked)
    }

    /// A document as its event says.
    pub(super) fn parsed(
        topic: String,
        subscription: Subscription,
        subscriber: Arc<str>,
        payload: Option<Payload>,
        linked: bool,
    ) -> Self {
        Self {
            topic,
            subscription,
            subscriber,
            payload,
            linked,
            standing: Standing::default(),
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

    /// The bytes that one of its events takes in a log, or a few more.
    pub(crate) fn event_bytes(&self) -> usize {
        /// The names and values that every event has, with `data: ` and a line feed for each line; the
        /// fields `id` and `event` of the stream; and the head, id and checksum of a record.
        const FIXED: usize = 360;
        let payload = self.payload.as_ref().map_or(0, Payload::bytes);
        // The topic is stored as such and in the document.
        2 * self.topic.len()
            + quoted(&self.subscription.text).len()
            + quoted(&self.subscriber).len()
            + payload
            + FIXED
    }

    /// Notes that the event of its beginning (`active`) or of its end was routed. Returns whether it was begun until
    /// now.
    pub(crate) fn mark(&self, active: bool) -> bool {
        self.standing.set(active)
    }

    /// Notes that an append of its beginning (`active`) or of its end was acknowledged. What was routed since then
    /// counts more, except that an end is the last event of a subscription whose subscriber has left.
    pub(crate) fn acknowledge(&self, active: bool) {
        if active {
            self.standing.set_first(active);
        } else {
            self.standing.set(active);
        }
    }

    /// Notes that its subscriber has left.
    pub(crate) fn leave(&self) {
        self.standing.leave();
    }

    /// Notes that nothing more is appended for it.
    pub(super) fn settle(&self) {
        self.standing.settle();
    }

    /// Whether nothing more is appended for it.
    pub(super) fn is_settled(&self) -> bool {
        self.standing.is_settled()
    }

    /// Whether its beginning is the newest of its events that the log is known to hold.
    pub(crate) fn is_begun(&self) -> bool {
        self.standing.is_begun()
    }

    /// Whether its subscriber has left.
    pub(crate) fn is_gone(&self) -> bool {
        self.standing.is_gone()
    }

    /// The document as JSON, indented by `indent` spaces from its second line on. Its members and their
    /// order are those of the existing hub (B-533, B-556).
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
            members.push(("payload", payload.indented()));
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

/// The path that the topics of all subscribers with this matcher begin with.
pub(crate) fn collection_of(subscription: &Subscription) -> String {
    let mut path = NAMESPACE.to_owned();
    if subscription.generation() == Generation::V1 {
        _ = write!(path, "/{}", subscription.matcher_type.name());
    }
    let text = utf8_percent_encode(&subscription.text, ENCODED);
    _ = write!(path, "/{text}/");
    path
}

/// The `payload` of a token: what it says about its holder.
#[derive(Debug)]
pub(crate) enum Payload {
    /// That of a token, and its bytes in an event.
    Value(Arc<Value>, usize),
    /// As an event has it, with the indentation of the event.
    Written(Box<str>),
}

impl Payload {
    /// Measures a payload; `None` if it takes more than `most_bytes` bytes in an event. Indented it may be
    /// many times as long as in the token, so it is counted without being written out.
    pub(crate) fn measure(value: &Arc<Value>, most_bytes: usize) -> Option<Self> {
        let mut counter = Counter {
            bytes: 0,
            most_bytes,
        };
        serde_json::to_writer_pretty(&mut counter, &**value).ok()?;
        Some(Self::Value(Arc::clone(value), counter.bytes))
    }

    /// A payload that is written in an event.
    pub(super) fn written(text: &str) -> Self {
        Self::Written(text.into())
    }

    /// The bytes that it takes in an event.
    fn bytes(&self) -> usize {
        match self {
            Self::Value(_, bytes) => *bytes,
            Self::Written(text) => text.len(),
        }
    }

    /// Its text in an event.
    fn indented(&self) -> String {
        match self {
            Self::Value(value, _) => format!("{value:#}").replace('\n', "\n  "),
            Self::Written(text) => text.to_string(),
        }
    }
}

/// Counts the bytes of indented JSON as those of an event, and fails beyond `most_bytes`.
struct Counter {
    bytes: usize,
    most_bytes: usize,
}

impl io::Write for Counter {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        /// Each line is a field `data`, and is indented by two more spaces.
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

/// Where a document is shown, which decides on some of its members.
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
