//! "Subscription": the response of an accepted subscription, and how it lives and ends.

use std::time::{Duration, Instant};

use talaria_conformance::event::Item;
use talaria_conformance::hub::Hub;
use talaria_conformance::token::{Token, exact, now_exactly};
use talaria_conformance::within_time;

/// B-353, B-320 to B-323: the header fields of a stream; no length, no `Link`.
#[tokio::test]
async fn the_head_says_what_it_is() {
    let hub = Hub::ordinary();
    let stream = hub.client().subscribe(&[exact("a")]).await;
    assert_eq!(stream.header("content-type"), "text/event-stream");
    assert!(
        stream.header("cache-control").contains("no-store"),
        "{:?}",
        stream.headers
    );
    assert_eq!(stream.header("x-accel-buffering"), "no");
    assert_eq!(stream.header("x-frame-options"), "DENY");
    assert_eq!(stream.header("x-content-type-options"), "nosniff");
    assert_eq!(stream.header("x-xss-protection"), "1; mode=block");
    assert_eq!(
        stream.header("content-security-policy"),
        "default-src 'self'"
    );
    assert_eq!(stream.header("content-length"), "");
    assert_eq!(
        stream.header("mercure-last-event-id"),
        "",
        "B-351: absent unless a cursor was sent"
    );
}

/// B-354: the first bytes are a comment, at once, before any event.
#[tokio::test]
async fn a_comment_comes_first() {
    let hub = Hub::ordinary();
    let start = hub.publisher().published(&[("topic", "urn:start")]).await;
    let mut live = hub.client().subscribe(&[exact("a")]).await;
    assert!(matches!(live.item().await, Item::Comment(_)));
    hub.publisher()
        .published(&[("topic", "a"), ("data", "1")])
        .await;
    let mut replayed = hub
        .client()
        .last_event_id(&start)
        .subscribe(&[exact("a")])
        .await;
    assert!(matches!(replayed.item().await, Item::Comment(_)));
    assert_eq!(replayed.data().await, "1");
}

/// "hubs SHOULD send an SSE comment line […] as a keep-alive" (B-355).
#[tokio::test]
async fn silence_is_filled_with_comments() {
    let hub = Hub::start("anonymous\ntransport memory\nheartbeat 1s");
    let mut stream = hub.client().subscribe(&[exact("a")]).await;
    stream.item().await;
    let start = Instant::now();
    for _ in 0..2 {
        assert!(matches!(stream.item().await, Item::Comment(_)));
    }
    let took = start.elapsed();
    assert!(
        took >= Duration::from_millis(1500),
        "two heartbeats of a second took {took:?}"
    );
}

/// "hubs SHOULD also impose a maximum connection lifetime": `write_timeout` ends a stream cleanly
/// (B-400), and nothing is lost over it.
#[tokio::test]
async fn rotation_ends_cleanly() {
    let hub = Hub::start("anonymous\ntransport memory\nwrite_timeout 1s");
    let mut stream = hub.client().subscribe(&[exact("a")]).await;
    let id = hub
        .publisher()
        .published(&[("topic", "a"), ("data", "1")])
        .await;
    assert_eq!(stream.end().await, ["1"]);
    hub.publisher()
        .published(&[("topic", "a"), ("data", "2")])
        .await;
    let mut next = hub
        .client()
        .last_event_id(&id)
        .subscribe(&[exact("a")])
        .await;
    assert_eq!(next.data().await, "2");
}

/// "the hub MUST close the connection no later than the token's `exp` time"; never before it
/// either (B-974, B-1041), and cleanly.
#[tokio::test]
async fn a_stream_ends_with_its_token() {
    let hub = Hub::ordinary();
    let exp = now_exactly().floor() + 3.0;
    let token = Token::new(&hub.audience).claim("exp", serde_json::json!(exp));
    let client = hub.client().bearer(&hub.sign_as_subscriber(&token));
    let mut stream = client.subscribe(&[exact("a")]).await;
    hub.publisher()
        .published(&[("topic", "a"), ("data", "1")])
        .await;
    let seen = within_time(Duration::from_secs(20), "the end at exp", stream.end()).await;
    let late = now_exactly() - exp;
    assert_eq!(seen, ["1"]);
    assert!((-0.6..2.0).contains(&late), "ended {late} s after exp");
    let (answer, _) = client
        .open("GET", "/.well-known/mercure?match=a", "".into())
        .await;
    assert_eq!(answer.status(), 401, "the token expired");
}
