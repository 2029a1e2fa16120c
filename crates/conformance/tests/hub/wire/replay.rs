//! Replays recorded requests against a hub, and compares the answers.

use std::collections::BTreeSet;

use http::{HeaderMap, Response};
use hyper::body::Incoming;
use serde_json::{Value, json};
use talaria_conformance::client::finish;
use talaria_conformance::hub::Hub;
use talaria_conformance::stream::EventStream;
use talaria_conformance::token::{DETAIL, Token, exact};

use super::page::{Exchange, Message};

pub const BOOK: &str = "https://example.com/books/1";

/// The fields that clients or browsers look at.
const FIELDS: [&str; 17] = [
    "accept",
    "accept-query",
    "access-control-allow-credentials",
    "access-control-allow-headers",
    "access-control-allow-methods",
    "access-control-allow-origin",
    "access-control-expose-headers",
    "allow",
    "cache-control",
    "etag",
    "last-event-id",
    "link",
    "location",
    "mercure-last-event-id",
    "retry-after",
    "www-authenticate",
    "x-accel-buffering",
];

/// Which generation a page's clients speak.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Speaks {
    Older,
    Modern,
}

/// A page that is replayed against a hub, and what differs so far.
pub struct Replay {
    pub hub: Hub,
    pub name: &'static str,
    pub speaks: Speaks,
    pub markers: usize,
    pub differences: BTreeSet<String>,
}

/// Random names made equal, and the hub's host.
pub fn normal(text: &str, host: &str) -> String {
    let mut text = text.replace(host, "HOST").replace("127.0.0.1:3400", "HOST");
    for prefix in ["urn:uuid:", "urn%3Auuid%3A"] {
        let mut from = 0;
        while let Some(at) = text[from..].find(prefix) {
            let start = from + at + prefix.len();
            if text.is_char_boundary(start + 36) && text.len() >= start + 36 {
                text.replace_range(start..start + 36, "UUID");
            }
            from = start;
        }
    }
    text
}

impl Replay {
    pub fn differs(&mut self, exchange: &Exchange, what: &str, theirs: &str, ours: &str) {
        if theirs != ours {
            eprintln!(
                "{} {} ({}): {what}\n  theirs: {theirs:?}\n  ours:   {ours:?}",
                self.name, exchange.number, exchange.title
            );
            self.differences
                .insert(format!("{} {} {what}", self.name, exchange.number));
        }
    }

    /// The recorded text with the tokens that its ‹words› stand for.
    pub fn filled(&self, text: &str) -> String {
        let mut text = text.replace("127.0.0.1:3400", &self.hub.host);
        for words in [
            "publisher token, all topics",
            "subscriber token, all topics",
            "token granting nothing",
            "token with a wrong signature",
            "expired token",
        ] {
            let name = format!("‹{words}›");
            if text.contains(&name) {
                text = text.replace(&name, &self.token(words));
            }
        }
        assert!(!text.contains('‹'), "{text}");
        text
    }

    pub fn token(&self, words: &str) -> String {
        let all = [exact("*")];
        let (publishes, subscribes) = match words {
            "token granting nothing" => (false, false),
            "subscriber token, all topics" => (false, true),
            _ => (true, false),
        };
        let list = |granted: bool| if granted { vec!["*"] } else { vec![] };
        let mut token = match self.speaks {
            Speaks::Older => {
                Token::older(json!({ "publish": list(publishes), "subscribe": list(subscribes) }))
            }
            Speaks::Modern => {
                let token = Token::new(&self.hub.audience);
                match (publishes, subscribes) {
                    (true, _) => token.grant("publish", &all),
                    (_, true) => token.grant("subscribe", &all),
                    _ => token.claim(
                        "authorization_details",
                        json!([{ "type": DETAIL, "actions": ["publish"], "topics": [] }]),
                    ),
                }
            }
        };
        match words {
            "expired token" => token = token.claim("exp", json!(1_000_000)),
            "token with a wrong signature" => {
                return token.sign("a key that no hub knows, of 32 bytes or more");
            }
            _ => {}
        }
        // One key for both roles, as where the pages were recorded.
        self.hub.sign_as_publisher(&token)
    }

    /// A subscriber of two topics, whose token has a payload.
    pub fn ann(&self) -> String {
        let payload = json!({ "user": "ann" });
        let token = match self.speaks {
            Speaks::Older => Token::older(json!({ "subscribe": ["*"], "payload": payload })),
            Speaks::Modern => Token::new(&self.hub.audience).claim(
                "authorization_details",
                json!([{
                    "type": DETAIL,
                    "actions": ["subscribe"],
                    "topics": [{ "match": "*" }],
                    "payload": payload,
                }]),
            ),
        };
        self.hub.sign_as_publisher(&token)
    }

    pub async fn ask(&self, request: &Message) -> (Response<Incoming>, std::net::SocketAddr) {
        let mut client = self.hub.client();
        for (name, value) in &request.fields {
            if !["host", "content-length"].contains(&name.as_str()) {
                client = client.header(name, &self.filled(value));
            }
        }
        let target = self.filled(request.target());
        client
            .open(request.word(0), &target, self.filled(&request.body).into())
            .await
    }

    /// Compares heads.
    pub fn compare_head(&mut self, exchange: &Exchange, status: u16, headers: &HeaderMap) {
        self.differs(
            exchange,
            "status",
            exchange.answer.word(1),
            &status.to_string(),
        );
        let host = self.hub.host.clone();
        let ours = |name: &str| {
            let values = headers.get_all(name).iter();
            let values: Vec<_> = values
                .map(|value| String::from_utf8_lossy(value.as_bytes()))
                .collect();
            normal(&values.join(", "), &host)
        };
        let essence = |value: &str| value.split(';').next().unwrap_or_default().to_owned();
        let theirs = essence(exchange.answer.field("content-type"));
        self.differs(
            exchange,
            "media type",
            &theirs,
            &essence(&ours("content-type")),
        );
        for name in FIELDS {
            // Lists with and without spaces are the same lists.
            let list = |text: &str| text.replace(", ", ",");
            let theirs = normal(exchange.answer.field(name), &host);
            self.differs(exchange, name, &list(&theirs), &list(&ours(name)));
        }
    }

    pub async fn replay(&mut self, exchange: &Exchange) {
        let (answer, local) = self.ask(&exchange.request).await;
        let status = answer.status().as_u16();
        self.compare_head(exchange, status, &answer.headers().clone());
        let streams = answer
            .headers()
            .get("content-type")
            .is_some_and(|value| value == "text/event-stream");
        if streams && exchange.request.word(0) != "HEAD" {
            let stream = EventStream::new(answer, local);
            self.compare_stream(exchange, stream).await;
            return;
        }
        let answer = finish(answer).await;
        let host = &self.hub.host;
        if status == 200 {
            let (theirs, ours) = (exchange.answer.body.trim(), answer.text.trim());
            let document = |text: &str| serde_json::from_str::<Value>(text).ok();
            match (document(theirs), document(ours)) {
                (Some(theirs), Some(ours)) => {
                    let shown = |value: &Value| normal(&value.to_string(), host);
                    let (theirs, ours) = (shown(&sorted(theirs)), shown(&sorted(ours)));
                    self.differs(exchange, "document", &theirs, &ours);
                }
                _ if theirs.starts_with('<') => {}
                _ => {
                    let (theirs, ours) = (normal(theirs, host), normal(ours, host));
                    self.differs(exchange, "body", &theirs.replace('\t', ""), &ours);
                }
            }
        }
    }

    pub async fn publish(&self, fields: &[(&str, &str)]) {
        let token = self.token("publisher token, all topics");
        self.hub.client().bearer(&token).published(fields).await;
    }

    /// Reads what comes, up to a marker that is published after it.
    async fn compare_stream(&mut self, exchange: &Exchange, mut stream: EventStream) {
        if exchange.title.contains("then four publications") {
            let lines = "line1\nline2\rline3\r\nline4";
            let first = [("topic", BOOK), ("data", lines), ("id", "urn:x:1")];
            self.publish(&[&first[..], &[("type", "note"), ("retry", "1500")]].concat())
                .await;
            self.publish(&[("topic", BOOK), ("id", "urn:x:2")]).await;
            let third = [("topic", BOOK), ("data", "private"), ("id", "urn:x:3")];
            self.publish(&[&third[..], &[("private", "on")]].concat())
                .await;
            let fourth = [("topic", "https://example.com/other"), ("topic", BOOK)];
            self.publish(&[&fourth[..], &[("data", "alternate"), ("id", "urn:x:4")]].concat())
                .await;
        } else if exchange.title.contains("a private publication") {
            let secret = [("topic", BOOK), ("data", "secret"), ("id", "urn:x:5")];
            self.publish(&[&secret[..], &[("private", "on")]].concat())
                .await;
        }
        let target = self.filled(exchange.request.target());
        let query = target.split_once('?').map_or("", |(_, query)| query);
        let topic = url::form_urlencoded::parse(query.as_bytes())
            .find(|(name, _)| name.starts_with("match") || name == "topic")
            .map_or(BOOK.to_owned(), |(_, topic)| topic.into_owned());
        let topic = match topic.as_str() {
            "*" => BOOK.to_owned(),
            text if text.contains("%7Bid") || text.contains("{id}") || text.contains(":id") => {
                BOOK.to_owned()
            }
            _ => topic,
        };
        self.markers += 1;
        let marker = format!("marker-{}", self.markers);
        self.publish(&[("topic", &topic), ("id", &marker)]).await;
        let mut ours = Vec::new();
        loop {
            let event = stream.event().await;
            if event.id == marker {
                break;
            }
            if event.id.starts_with("marker-") {
                continue;
            }
            let mut lines = Vec::new();
            if !event.event_type.is_empty() {
                lines.push(format!("event: {}", event.event_type));
            }
            lines.extend(event.retry.map(|retry| format!("retry: {retry}")));
            lines.push(format!("id: {}", event.id));
            lines.extend(
                event
                    .data
                    .split('\n')
                    .map(|line| format!("data: {line}").trim_end().to_owned()),
            );
            ours.push(normal(&lines.join("\n"), &self.hub.host));
        }
        let theirs: Vec<_> = exchange.answer.events();
        let theirs: Vec<_> = theirs
            .iter()
            .map(|event| {
                let lines: Vec<_> = event.lines().map(str::trim_end).collect();
                normal(&lines.join("\n"), &self.hub.host)
            })
            .collect();
        self.differs(exchange, "events", &theirs.join("\n\n"), &ours.join("\n\n"));
    }
}

/// A list's members in an order that does not depend on random names.
fn sorted(mut document: Value) -> Value {
    if let Some(members) = document["subscriptions"].as_array_mut() {
        members.sort_by_key(|member| format!("{}{}", member["match"], member["topic"]));
    }
    document
}
