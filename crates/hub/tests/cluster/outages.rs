//! The server that keeps the log is away for a while.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::body::Body;
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::Value;
use talaria_hub::clock::{Clock, SystemClock, UnixTime};
use talaria_hub::{SubscribeError, SubscribeOptions};
use talaria_protocol::Update;
use tokio::time::timeout;

use super::log::Cluster;
use super::node::Fate;
use super::node::Node;
use super::{
    EXPIRY, PATIENCE, ask, enter, expected, hub_at, hub_with, list, said_of, subscribe, token,
    until_listed, until_said,
};

/// While the server is away heads do not wait, although nothing answers the appends. What is still open is announced
/// when it is back, and what was there before is neither ended nor announced again.
#[tokio::test]
async fn heads_leave_at_once_and_are_announced_later() {
    let cluster = Cluster::new();
    let (node, a) = enter(&cluster);
    let (_, b) = enter(&cluster);
    let _before = subscribe(&a, "before").await;
    cluster.be_away(true);
    node.plan(|_| Fate::Stall);
    let head = subscribe(&a, "meanwhile");
    tokio::pin!(head);
    let turns = async {
        for _ in 0..1_000 {
            tokio::task::yield_now().await;
        }
    };
    let _meanwhile = tokio::select! {
        biased;
        head = &mut head => head,
        () = turns => panic!("the head waits for the log"),
    };
    assert_eq!(list(&a).await, ["before"]);
    assert_eq!(list(&b).await, ["before"]);
}

/// Subscriptions of the time without the server are announced when it is back, except those that have left.
#[tokio::test(flavor = "multi_thread")]
async fn what_came_meanwhile_is_announced_when_the_server_is_back() {
    let cluster = Cluster::new();
    let (_, a) = enter(&cluster);
    let (_, b) = enter(&cluster);
    let before = subscribe(&a, "before").await;
    let leaves = subscribe(&a, "leaves").await;
    cluster.be_away(true);
    let _stays = subscribe(&a, "stays").await;
    drop(subscribe(&a, "passes").await);
    drop(leaves);
    assert_eq!(list(&b).await, ["before", "leaves"]);
    cluster.be_away(false);
    let after = expected([
        ("before", &[true]),
        ("leaves", &[true, false]),
        ("stays", &[true]),
    ]);
    until_said(&cluster, &after).await;
    until_listed(&cluster, &[&a, &b], &["before", "stays"]).await;
    drop(before);
    until_listed(&cluster, &[&a, &b], &["stays"]).await;
    assert!(!said_of(&cluster).contains_key("passes"));
}

/// A client that resumes while the server is away is told to come back: a browser by a stream, since it gives up after
/// any other status, another client by 503, the application by an error.
#[tokio::test(flavor = "multi_thread")]
async fn who_resumes_is_told_to_come_back() {
    let cluster = Cluster::new();
    let (_, a) = enter(&cluster);
    let id = a
        .publish(Update::new("t", "1"))
        .await
        .expect("it is stored");
    cluster.be_away(true);
    let request = |accept: &str| {
        Request::get("/.well-known/mercure?match=t")
            .header("last-event-id", &id)
            .header("accept", accept)
    };
    let browser = ask(&a, request("text/event-stream"), Body::empty()).await;
    assert_eq!(browser.status(), StatusCode::OK);
    assert_eq!(browser.headers()["mercure-last-event-id"], id.as_str());
    let text = browser.into_body().collect().await.expect("its end");
    let text = String::from_utf8(text.to_bytes().to_vec()).expect("UTF-8");
    assert!(
        text.contains("retry: ") && !text.contains("data:"),
        "{text}"
    );
    let other = ask(&a, request("*/*"), Body::empty()).await;
    assert_eq!(other.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(other.headers().contains_key("retry-after"));
    let options = SubscribeOptions::new().topic("t").resume_after(&*id);
    let refused = a.subscribe(options).await.expect_err("it is away");
    assert_eq!(refused, SubscribeError::Unavailable);
    // A live stream opens, since it needs no look-up.
    subscribe(&a, "t").await;
}

/// A stream waits for a page that the server owes it and goes on when it is back, with heartbeats in between.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_is_awaited_while_the_stream_stays_open() {
    let cluster = Cluster::new();
    let (_, a) = enter(&cluster);
    a.publish(Update::new("t", "old"))
        .await
        .expect("it is stored");
    // What it did not see itself is not in its ring.
    let late = hub_with(&Node::enter(&cluster), |options| {
        options.heartbeat = Some(Duration::from_millis(10));
    });
    cluster.be_away(true);
    let request = Request::get("/.well-known/mercure?match=t&last_event_id=earliest");
    let mut stream = ask(&late, request, Body::empty()).await.into_body();
    let mut next = async || {
        let frame = timeout(PATIENCE, stream.frame()).await.expect("in time");
        let data = frame.expect("no end").expect("no error").into_data();
        String::from_utf8(data.expect("data").to_vec()).expect("UTF-8")
    };
    for _ in 0..3 {
        assert_eq!(next().await, ":\n");
    }
    cluster.be_away(false);
    let update = loop {
        let text = next().await;
        if text != ":\n" {
            break text;
        }
    };
    assert!(update.contains("data: old"), "{update}");
}

/// A clock that the test sets.
struct Hand {
    begun: Instant,
    passed: AtomicU64,
}

/// How long before the expiry of tokens that clock begins.
const BEFORE: u64 = 600;

impl Clock for Hand {
    fn now(&self) -> Instant {
        self.begun + Duration::from_secs(self.passed.load(Ordering::Relaxed))
    }

    fn unix_time(&self) -> UnixTime {
        let seconds = EXPIRY - BEFORE + self.passed.load(Ordering::Relaxed);
        UnixTime::from_seconds(seconds as f64)
    }
}

/// The deadlines of a stream go on while it waits for a page: it ends when its token expires, when its connection's
/// lifetime is over, and when the hub stops, although the server stays away.
#[tokio::test]
async fn deadlines_go_on_while_a_page_is_awaited() {
    let (expires, rotates, stops) = (BEFORE + 1, BEFORE / 2, 1);
    for passes in [expires, rotates, stops] {
        let cluster = Cluster::new();
        let (_, a) = enter(&cluster);
        a.publish(Update::new("t", "old"))
            .await
            .expect("it is stored");
        let clock = Arc::new(Hand {
            begun: SystemClock.now(),
            passed: AtomicU64::new(0),
        });
        let late = hub_at(&Node::enter(&cluster), Arc::clone(&clock) as _, |options| {
            let lifetime = (passes == rotates).then(|| Duration::from_secs(rotates));
            options.write_timeout = lifetime;
            options.heartbeat = None;
            options.subscriptions = false;
        });
        cluster.be_away(true);
        let request = Request::get("/.well-known/mercure?match=t&last_event_id=earliest");
        let token = token("reader", &Value::Null);
        let request = request.header("authorization", format!("Bearer {token}"));
        let mut stream = ask(&late, request, Body::empty()).await.into_body();
        let opening = stream.frame().await.expect("the opening comment");
        assert_eq!(opening.expect("no error").into_data().expect("data"), ":\n");
        // The second look asks for the page.
        for _ in 0..2 {
            tokio::select! {
                biased;
                early = stream.frame() => panic!("{early:?} before the page and the deadline"),
                () = std::future::ready(()) => {}
            }
        }
        if passes == stops {
            late.drain(Duration::ZERO);
        }
        clock.passed.store(passes, Ordering::Relaxed);
        let end = timeout(PATIENCE, stream.frame()).await;
        assert!(end.expect("an end in time").is_none(), "after {passes} s");
    }
}
