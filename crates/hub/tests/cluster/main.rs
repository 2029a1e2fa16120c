//! Several hubs on one log, as processes that share a server: one list of subscriptions, true on each of them, and
//! publishes that are recognised whichever hub they are repeated at.

#![allow(clippy::expect_used, reason = "a test fails by panicking")]

mod log;
mod node;
mod orphans;
mod outages;
mod presence;
mod repeats;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use talaria_hub::access::{Algorithm, Issuer, Issuers, SigningKey, VerificationKey};
use talaria_hub::clock::{Clock, SystemClock};
use talaria_hub::{Hub, HubOptions, Rule};
use talaria_protocol::event;
use talaria_transport::Position;
use tokio::time::timeout;

use self::log::Cluster;
use self::node::Node;

/// Far beyond what anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);
const API: &str = "/.well-known/mercure/subscriptions";
const SECRET: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const ISSUER: &str = "https://application.example";

/// A hub on a node, which announces all subscriptions, as fast as they come.
fn hub(node: &Node) -> Hub {
    hub_with(node, |_| {})
}

fn hub_with(node: &Node, change: impl FnOnce(&mut HubOptions)) -> Hub {
    hub_at(node, Arc::new(SystemClock), change)
}

fn hub_at(node: &Node, clock: Arc<dyn Clock>, change: impl FnOnce(&mut HubOptions)) -> Hub {
    let key = VerificationKey::from_secret(SECRET, Algorithm::HS256).expect("a key");
    let issuers = Issuers::new([Issuer::new(ISSUER).publisher(key.clone()).subscriber(key)]);
    Hub::builder(issuers.expect("an issuer"))
        .anonymous()
        .configure(|options| {
            options.subscriptions = true;
            options.presence.bytes_per_second = 0;
            options.rule = Rule::Compatible;
            change(options);
        })
        .transport(Arc::new(node.clone()))
        .clock(clock)
        .build()
        .expect("a hub")
}

/// A node and its hub.
fn enter(cluster: &Cluster) -> (Node, Hub) {
    let node = Node::enter(cluster);
    let hub = hub(&node);
    (node, hub)
}

/// When tokens expire, in seconds since 1970.
const EXPIRY: u64 = 4_000_000_000;

/// A token of this subject that grants everything, with a payload.
fn token(subject: &str, payload: &Value) -> String {
    let claims = json!({
        "iss": ISSUER,
        "sub": subject,
        "aud": "http://hub.example/.well-known/mercure",
        "exp": EXPIRY,
        "authorization_details": [{
            "type": "https://mercure.rocks/authorization-detail",
            "actions": ["publish", "subscribe"],
            "topics": [{ "match": "*" }],
            "payload": payload,
        }],
    });
    SigningKey::from_secret(SECRET, Algorithm::HS256)
        .and_then(|key| key.sign(&claims))
        .expect("a token")
}

async fn ask(hub: &Hub, request: http::request::Builder, body: impl Into<Body>) -> Response<Body> {
    let request = request.header("host", "hub.example").body(body.into());
    let answer = timeout(PATIENCE, hub.handle(request.expect("a request")));
    answer.await.expect("an answer in time")
}

/// An open stream of a subscriber with this query, once its head is there. It ends when it is dropped.
async fn subscribe_with(hub: &Hub, query: &str, token: Option<&str>) -> Response<Body> {
    let mut request = Request::get(format!("/.well-known/mercure?{query}"));
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let head = ask(hub, request, Body::empty()).await;
    assert_eq!(head.status(), StatusCode::OK);
    head
}

async fn subscribe(hub: &Hub, name: &str) -> Response<Body> {
    subscribe_with(hub, &format!("match={name}"), None).await
}

/// What a path of the subscription API answers.
async fn get(hub: &Hub, path: &str) -> (StatusCode, String) {
    let token = token("reader", &Value::Null);
    let request = Request::get(path).header("authorization", format!("Bearer {token}"));
    let answer = ask(hub, request, Body::empty()).await;
    let status = answer.status();
    let body = answer.into_body().collect().await.expect("a body");
    let body = String::from_utf8(body.to_bytes().to_vec());
    (status, body.expect("UTF-8"))
}

/// The text of the matcher of a subscription.
fn matcher(document: &Value) -> String {
    let text = document.get("match").or_else(|| document.get("topic"));
    text.and_then(Value::as_str).expect("a string").to_owned()
}

/// The matchers of the listed subscriptions, sorted.
async fn list(hub: &Hub) -> Vec<String> {
    let list: Value = serde_json::from_str(&get(hub, API).await.1).expect("JSON");
    let list = list["subscriptions"].as_array().expect("an array").iter();
    let mut names: Vec<_> = list.map(matcher).collect();
    names.sort();
    names
}

/// What the log says of each subscription, in order, with its matcher. `true` is a beginning.
fn said(cluster: &Cluster) -> BTreeMap<String, (String, Vec<bool>)> {
    let ring = cluster.ring();
    let frames = ring.page(Position::ORIGIN, cluster.head(), usize::MAX);
    let mut said: BTreeMap<String, (String, Vec<bool>)> = BTreeMap::new();
    for frame in frames.expect("the ring holds all") {
        if !frame.by_hub {
            continue;
        }
        let (update, _) = event::decode_update(&frame.bytes).expect("an event");
        let document: Value = serde_json::from_str(&update.data).expect("JSON");
        let name = matcher(&document);
        let of_one = said.entry(frame.topics[0].to_string()).or_default();
        *of_one = (name, std::mem::take(&mut of_one.1));
        of_one
            .1
            .push(document["active"].as_bool().expect("a boolean"));
    }
    said
}

/// What the log says of each matcher.
fn said_of(cluster: &Cluster) -> BTreeMap<String, Vec<bool>> {
    said(cluster).into_values().collect()
}

fn expected<const N: usize>(said: [(&str, &[bool]); N]) -> BTreeMap<String, Vec<bool>> {
    BTreeMap::from(said.map(|(name, said)| (name.to_owned(), said.to_vec())))
}

/// Waits until `holds`, which it checks whenever something happens in the log.
async fn until(cluster: &Cluster, what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let mut happened = cluster.happened();
    let looking = async {
        while !holds().await {
            // Some changes follow what happens in the log without a sign, so it checks again after a while.
            _ = timeout(Duration::from_millis(20), happened.changed()).await;
        }
    };
    let looked = timeout(PATIENCE, looking).await;
    assert!(
        looked.is_ok(),
        "waited in vain for {what}: {:?}",
        said_of(cluster)
    );
}

/// Waits until the log says this, and no more, of each matcher.
async fn until_said(cluster: &Cluster, expected: &BTreeMap<String, Vec<bool>>) {
    let what = format!("{expected:?}");
    until(cluster, &what, async || said_of(cluster) == *expected).await;
}

/// Waits until each hub lists these matchers, and no others.
async fn until_listed(cluster: &Cluster, hubs: &[&Hub], expected: &[&str]) {
    for hub in hubs {
        let what = format!("the list {expected:?}");
        until(cluster, &what, async || list(hub).await == expected).await;
    }
}
