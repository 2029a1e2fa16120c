//! The response of an accepted subscription, and how it lives and ends ("Subscription").

use std::time::{Duration, Instant};

use talaria_conformance::event::Item;
use talaria_conformance::hub::Hub;
use talaria_conformance::token::{Token, exact, now_exactly};
use talaria_conformance::{HUB_PATH, within_time};

/// The header fields of a stream; no length, no `Link` (B-353, B-320 to B-323).
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

/// No cache keeps what was answered to one client, and no proxy compresses it (RFC 9111, section
/// 5.2.2). Node's `compression` and Cloudflare hold the events of a stream back without `no-transform`.
#[tokio::test]
async fn nothing_may_be_stored_or_changed() {
    let hub = Hub::start("anonymous\ntransport memory\nsubscriptions");
    let check = |what: &str, value: &str| {
        let directives: Vec<_> = value.split(',').map(str::trim).collect();
        for directive in ["no-cache", "no-transform", "no-store", "private"] {
            assert!(directives.contains(&directive), "{what}: {value:?}");
        }
    };
    let stream = hub.client().subscribe(&[exact("a")]).await;
    check("GET", stream.header("cache-control"));
    let stream = hub.client().query(&[], &[("match", "a")]).await;
    check("QUERY", stream.header("cache-control"));
    let stream = hub.client().http2().subscribe(&[exact("a")]).await;
    check("HTTP/2", stream.header("cache-control"));
    let path = format!("{HUB_PATH}?match=a");
    let api = format!("{HUB_PATH}/subscriptions");
    let stranger = hub.publisher_token(&[exact("b")]);
    let (anyone, publisher) = (hub.client(), hub.publisher());
    let stranger = hub.client().bearer(&stranger);
    let batch = publisher
        .clone()
        .header("content-type", "application/x-ndjson");
    for (what, answer) in [
        ("HEAD", anyone.send("HEAD", &path, "").await),
        ("publish", publisher.publish(&[("topic", "a")]).await),
        (
            "batch",
            batch.send("POST", HUB_PATH, "{\"topic\":\"a\"}\n").await,
        ),
        ("400", anyone.get(HUB_PATH).await),
        ("401", anyone.publish(&[("topic", "a")]).await),
        ("403", stranger.publish(&[("topic", "a")]).await),
        ("404", anyone.get(&format!("{HUB_PATH}/")).await),
        ("405", anyone.send("DELETE", HUB_PATH, "").await),
        (
            "406",
            anyone
                .clone()
                .header("accept", "text/html")
                .get(&path)
                .await,
        ),
        ("health", anyone.get("/healthz").await),
        ("a list that is refused", anyone.get(&api).await),
    ] {
        check(what, answer.header("cache-control"));
    }
    let list = hub.subscriber(&[exact("*")]).get(&api).await;
    assert_eq!(
        list.header("cache-control"),
        "private, must-revalidate, no-transform"
    );
    let metadata = "/.well-known/oauth-protected-resource/.well-known/mercure";
    assert_eq!(anyone.get(metadata).await.header("cache-control"), "");
}

/// The first bytes are a comment, at once, before any event (B-354).
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
