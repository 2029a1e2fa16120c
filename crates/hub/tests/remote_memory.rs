//! What the subscriptions of other nodes cost: at most 1 KiB each. It is measured in a separate process.

#![cfg(target_os = "linux")]
#![allow(clippy::expect_used, reason = "a test fails by panicking")]

use std::sync::{Arc, OnceLock};

use serde_json::json;
use talaria_hub::Hub;
use talaria_hub::access::Issuers;
use talaria_protocol::Update;
use talaria_transport::{
    Admit, AppendError, Appended, Bounds, Frame, Lookup, Nodes, Page, Pending, Position, ReadError,
    Ring, Route, Transport, Unavailable,
};

const SUBSCRIPTIONS: u64 = 10_000;
const MOST_BYTES: u64 = 1_024;

/// A log of several processes, whose groups the test routes. Its ring holds the newest group only.
struct Routed {
    ring: Arc<Ring>,
    route: OnceLock<Arc<dyn Route>>,
}

impl Nodes for Routed {
    fn orphans(&self) -> Pending<'_, Vec<Update>> {
        Box::pin(std::future::pending())
    }
}

impl Transport for Routed {
    fn ring(&self) -> &Arc<Ring> {
        &self.ring
    }

    fn start(&self, route: Arc<dyn Route>) {
        assert!(self.route.set(route).is_ok(), "it is started once");
    }

    fn append(&self, _: Update) -> Pending<'static, Result<Appended, AppendError>> {
        Box::pin(async { Err(AppendError::Refused("it only routes")) })
    }

    fn append_all(&self, _: Vec<Update>) -> Pending<'static, Result<Vec<Appended>, AppendError>> {
        Box::pin(async { Err(AppendError::Refused("it only routes")) })
    }

    fn nodes(&self) -> Option<&dyn Nodes> {
        Some(self)
    }

    fn read(
        &self,
        from: Position,
        _: Position,
        _: usize,
        _: Arc<dyn Admit>,
    ) -> Pending<'_, Result<Page, ReadError>> {
        Box::pin(async move { Err(ReadError::Passed(from)) })
    }

    fn position_of<'a>(&'a self, _: &'a str) -> Pending<'a, Result<Lookup, Unavailable>> {
        Box::pin(async { Ok(Lookup::Unknown) })
    }

    fn bounds(&self) -> Bounds {
        Bounds::default()
    }

    fn newest_id(&self) -> Option<String> {
        None
    }
}

/// The event of a subscription like those that applications have.
fn event(number: u64, active: bool) -> Update {
    let subscriber = format!("urn:uuid:f81d4fae-7dec-11d0-a765-{number:012}");
    let text = format!("https://example.com/books/{number}/comments");
    let path = "/.well-known/mercure/subscriptions/exact";
    let [text_in_path, subscriber_in_path] =
        [&text, &subscriber].map(|part| part.replace(':', "%3A").replace('/', "%2F"));
    let topic = format!("{path}/{text_in_path}/{subscriber_in_path}");
    let document = json!({
        "id": topic,
        "type": "subscription",
        "subscriber": subscriber,
        "match": text,
        "match_type": "exact",
        "active": active,
        "payload": { "user": format!("reader-{number}@example.com"), "name": "A. Reader", "roles": ["author", "editor"] },
    });
    Update {
        topics: vec![topic],
        data: format!("{document:#}"),
        event_type: Some("mercure".to_owned()),
        private: true,
        by_hub: true,
        ..Update::default()
    }
}

/// The memory of this process, in bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("its status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = line.and_then(|line| line.trim().strip_suffix("kB"));
    kibibytes
        .expect("VmRSS")
        .trim()
        .parse::<u64>()
        .expect("a number")
        * 1_024
}

/// Routes an event, and then an update, which takes the place of the event in the ring.
fn route(log: &Routed, position: &mut u64, event: Update) {
    let plain = Update::new("t", "");
    for update in [event, plain] {
        *position += 1;
        let frame = Frame::new(Position(*position), position.to_string(), update);
        let route = log.route.get().expect("the hub has started it");
        route.route(&[Arc::new(frame)], &mut || {});
    }
}

#[test]
fn a_subscription_of_another_node_takes_at_most_a_kibibyte() {
    let log = Arc::new(Routed {
        ring: Arc::new(Ring::new(1, Position::ORIGIN)),
        route: OnceLock::new(),
    });
    let hub = Hub::builder(Issuers::default())
        .configure(|options| options.subscriptions = true)
        .transport(Arc::clone(&log) as _)
        .build()
        .expect("a hub");
    let mut position = 0;
    // What routing itself needs is there before the measurement.
    for active in [true, false] {
        for number in 0..100 {
            route(&log, &mut position, event(number, active));
        }
    }
    let before = resident();
    for number in 0..SUBSCRIPTIONS {
        route(&log, &mut position, event(number, true));
    }
    let each = resident().saturating_sub(before) / SUBSCRIPTIONS;
    println!("{each} bytes for each of {SUBSCRIPTIONS} subscriptions");
    // Else they were not kept.
    assert!(each > 200, "{each} bytes each");
    assert!(each <= MOST_BYTES, "{each} bytes each");
    drop(hub);
}
