//! Presence on a log that delays, refuses or does not say what it stored.
//!
//! Each subscription is in the log as nothing (it left before its beginning was stored), as a
//! beginning, or as a beginning and an end, and the list follows the log (specification, "Active
//! Subscriptions").

#![allow(clippy::expect_used, reason = "a test fails by panicking")]

mod faulty;
mod forged;
mod outages;
mod outcomes;
mod rates;
mod restarts;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use faulty::{Faulty, Log};
use http::{Request, Response};
use http_body_util::BodyExt as _;
use serde_json::Value;
use talaria_hub::access::Issuers;
use talaria_hub::{Hub, PresenceOptions};
use talaria_protocol::Update;
use tokio::time::timeout;

/// Far beyond what anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);
const API: &str = "/.well-known/mercure/subscriptions";
/// The most appends in flight that the hub promises.
const IN_FLIGHT: usize = 2_048;

/// `all` under `./test --full`, else the bounded `few`.
fn count(all: usize, few: usize) -> usize {
    let full = std::env::var_os("TALARIA_FULL").is_some_and(|value| value != "0");
    if full { all } else { few }
}

/// The factor by which a wait may be longer with the counts of `./test --full`.
fn patient() -> u32 {
    if count(1, 0) == 1 { 5 } else { 1 }
}

/// A subscription event.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Event {
    id: String,
    /// The matcher.
    name: String,
    active: bool,
}

impl Event {
    fn of(update: &Update) -> Self {
        let document: Value = serde_json::from_str(&update.data).expect("JSON");
        let text = |member: &str| document[member].as_str().expect("a string").to_owned();
        Self {
            id: text("id"),
            name: text("match"),
            active: document["active"].as_bool().expect("a boolean"),
        }
    }
}

/// A hub that announces all subscriptions, as fast as they come.
fn hub(log: &Arc<Faulty>) -> Hub {
    let mut presence = PresenceOptions::default();
    presence.bytes_per_second = 0;
    hub_with(log, presence)
}

fn hub_with(log: &Arc<Faulty>, presence: PresenceOptions) -> Hub {
    Hub::builder(Issuers::default())
        .anonymous()
        .configure(|options| {
            options.subscriptions = true;
            options.presence = presence;
        })
        .transport(Arc::new(Log(Arc::clone(log))))
        .build()
        .expect("a hub")
}

/// An open stream of a subscriber of `name`, once its head is there. It ends when it is dropped.
async fn subscribe(hub: &Hub, name: &str) -> Response<Body> {
    let request = Request::get(format!("/.well-known/mercure?match={name}"))
        .header("host", "hub.example")
        .body(Body::empty())
        .expect("a request");
    let head = timeout(PATIENCE, hub.handle(request)).await;
    let head = head.expect("a head, whatever the log does");
    assert_eq!(head.status(), 200);
    head
}

/// The matchers of the listed subscriptions, and the cursor of the list.
async fn list(hub: &Hub) -> (BTreeSet<String>, String) {
    let request = Request::get(API)
        .header("host", "hub.example")
        .body(Body::empty())
        .expect("a request");
    let answer = hub.handle(request).await;
    assert_eq!(answer.status(), 200);
    let link = answer.headers()["link"].to_str().expect("text").to_owned();
    let (_, cursor) = link.split_once("last-event-id=\"").expect("a cursor");
    let cursor = cursor.split('"').next().expect("a quote").to_owned();
    let body = answer.into_body().collect().await.expect("a body");
    let list: Value = serde_json::from_slice(&body.to_bytes()).expect("JSON");
    let list = list["subscriptions"].as_array().expect("an array");
    let names = list.iter().map(|one| one["match"].as_str());
    let names = names.map(|name| name.expect("a string").to_owned());
    (names.collect(), cursor)
}

/// The events that the log holds of each subscriber of each matcher, in order.
async fn said(log: &Faulty) -> BTreeMap<String, Vec<bool>> {
    let mut said: BTreeMap<String, (String, Vec<bool>)> = BTreeMap::new();
    for event in log.events().await {
        let of_one = said
            .entry(event.id)
            .or_insert_with(|| (event.name, Vec::new()));
        of_one.1.push(event.active);
    }
    said.into_values().collect()
}

/// Waits until `holds`, which it checks whenever something happens in the log.
async fn until<F: Future<Output = bool>>(log: &Faulty, what: &str, mut holds: impl FnMut() -> F) {
    let mut happened = log.happened.subscribe();
    let looking = async {
        while !holds().await {
            // Some changes follow what happens in the log without a sign, so it checks again after a while.
            let look = happened.changed();
            _ = timeout(Duration::from_millis(20), look).await;
        }
    };
    let looked = timeout(PATIENCE * patient(), looking).await;
    assert!(looked.is_ok(), "waited in vain for: {what}");
}

/// Waits until the log holds these events of all subscribers, by matcher.
async fn until_said(log: &Faulty, expected: &BTreeMap<String, Vec<bool>>) {
    let mut last = BTreeMap::new();
    let mut happened = log.happened.subscribe();
    let looking = async {
        loop {
            last = said(log).await;
            if last == *expected {
                return;
            }
            _ = timeout(Duration::from_millis(20), happened.changed()).await;
        }
    };
    let looked = timeout(PATIENCE, looking).await;
    assert!(looked.is_ok(), "the log says {last:?}, not {expected:?}");
}

async fn until_listed(log: &Faulty, hub: &Hub, expected: &[&str]) {
    let expected: BTreeSet<String> = expected.iter().map(|name| (*name).to_owned()).collect();
    let listed = || async { list(hub).await.0 == expected };
    until(log, "the list", listed).await;
}
