//! Presence while a hub gets other options.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::body::Body;
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::Value;
use talaria_hub::{Hub, HubOptions, SubscribeOptions, Updates};
use tokio::time::timeout;

use crate::stream::Stream;
use crate::{PATIENCE, hub, options, subscribe};

const API: &str = "/.well-known/mercure/subscriptions";

fn with(subscriptions: bool) -> HubOptions {
    let mut options = options();
    options.subscriptions = subscriptions;
    // The list is read without a token.
    options.issuers = Default::default();
    options
}

/// The matchers of the active subscriptions; `None` if the hub does not list them.
async fn listed(hub: &Hub) -> Option<Vec<String>> {
    let request = Request::get(API)
        .header("host", crate::HOST)
        .body(Body::empty())
        .expect("a request");
    let answer = hub.handle(request).await;
    if answer.status() == StatusCode::NOT_FOUND {
        return None;
    }
    assert_eq!(answer.status(), StatusCode::OK);
    let body = answer.into_body().collect().await.expect("a body");
    let list: Value = serde_json::from_slice(&body.to_bytes()).expect("JSON");
    let list = list["subscriptions"].as_array().expect("an array").iter();
    let names = list.map(|one| one["match"].as_str().expect("a string").to_owned());
    let mut names: Vec<_> = names.collect();
    names.sort_unstable();
    Some(names)
}

/// The events that were published since the stream began, up to `count` of them: by matcher.
async fn events(updates: &mut Updates, count: usize) -> BTreeMap<String, Vec<bool>> {
    let mut events: BTreeMap<String, Vec<bool>> = BTreeMap::new();
    for _ in 0..count {
        let update = timeout(PATIENCE, updates.next()).await.expect("in time");
        let update = update.expect("an event");
        let document: Value = serde_json::from_str(&update.data).expect("JSON");
        let name = document["match"].as_str().expect("a string").to_owned();
        let active = document["active"].as_bool().expect("a boolean");
        events.entry(name).or_default().push(active);
    }
    events
}

async fn open(hub: &Hub, name: &str) -> Stream {
    Stream::of(subscribe(hub, &format!("match={name}"), None).await)
}

/// Turning it off and on again leaves no subscription behind, and ends none that is open: each has its
/// beginning and its end, once.
#[tokio::test]
async fn subscriptions_are_turned_on_and_off() {
    let off = hub(with(false));
    let pattern = format!("{API}/:type/:match/:subscriber");
    let all = SubscribeOptions::new().url_pattern(pattern).grant_all();
    let mut updates = off.subscribe(all).await.expect("a stream");
    let unannounced = open(&off, "before").await;
    let on = off.reconfigure(with(true));
    assert_eq!(listed(&off).await, None);
    assert_eq!(listed(&on).await, Some(vec![]));
    let first = open(&on, "first").await;
    let second = open(&on, "second").await;
    assert_eq!(
        listed(&on).await,
        Some(vec!["first".into(), "second".into()])
    );
    let off = on.reconfigure(with(false));
    let between = open(&off, "between").await;
    assert_eq!(listed(&off).await, None);
    drop((on, first));
    let on = off.reconfigure(with(true));
    let third = open(&on, "third").await;
    assert_eq!(
        listed(&on).await,
        Some(vec!["second".into(), "third".into()])
    );
    drop((unannounced, second, between, third));
    let said = events(&mut updates, 6).await;
    let expected = ["first", "second", "third"].map(|name| (name.to_owned(), vec![true, false]));
    assert_eq!(said, BTreeMap::from(expected));
    assert_eq!(listed(&on).await, Some(vec![]));
    drop(updates);
    on.drain(Duration::ZERO);
    assert!(timeout(PATIENCE, on.drained()).await.is_ok());
}

/// A stream that a configuration ends has the end of its subscription announced.
#[tokio::test]
async fn an_ended_stream_is_announced_as_ended() {
    let on = hub(with(true));
    let pattern = format!("{API}/:type/:match/:subscriber");
    let all = SubscribeOptions::new().url_pattern(pattern).grant_all();
    let mut updates = on.subscribe(all).await.expect("a stream");
    let mut stream = open(&on, "one").await;
    let mut closed = options();
    closed.subscriptions = true;
    closed.anonymous = false;
    let next = on.reconfigure(closed);
    use talaria_hub::clock::Clock as _;
    let end = stream.drive(talaria_hub::clock::SystemClock.now());
    assert_eq!(end, Some(talaria_hub::End::Revoked));
    drop(stream);
    let said = events(&mut updates, 2).await;
    assert_eq!(
        said,
        BTreeMap::from([("one".to_owned(), vec![true, false])])
    );
    assert_eq!(next.used().streams, 0);
}
