//! How fast clients may connect, publish and subscribe, and what an issuer's publishers may publish
//! (`docs/limits.md`).

use std::net::Ipv4Addr;

use http::StatusCode;
use talaria_conformance::client::{Answer, Client, target};
use talaria_conformance::event::Item;
use talaria_conformance::hub::{Hub, PUBLISHER_KEY};
use talaria_conformance::token::{Token, exact};
use talaria_conformance::{HUB_PATH, PATIENCE, raw};

/// A client at `127.0.0.<last>`.
fn at(hub: &Hub, last: u8) -> Client {
    hub.client().from(Ipv4Addr::new(127, 0, 0, last))
}

/// A publisher with its own token subject.
fn publisher(hub: &Hub, client: Client, subject: &str) -> Client {
    let token = Token::new(&hub.audience)
        .claim("sub", subject.into())
        .grant("publish", &[exact("*")]);
    client.bearer(&hub.sign_as_publisher(&token))
}

const UPDATE: [(&str, &str); 2] = [("topic", "a"), ("data", "1")];

/// Checks a refusal: its status, when to come again, and the limit that its sentence and the log name.
fn refused(hub: &Hub, from: usize, answer: &Answer, limit: &str) {
    assert_eq!(
        answer.status,
        StatusCode::TOO_MANY_REQUESTS,
        "{}",
        answer.text
    );
    assert!(answer.text.contains(limit), "{}", answer.text);
    let seconds: u64 = answer.header("retry-after").parse().unwrap();
    assert!(seconds > 0);
    logged(hub, from, limit);
}

/// Waits for the log line of a limit.
fn logged(hub: &Hub, from: usize, limit: &str) {
    let limit = format!("limit=\"{limit}\"");
    let found = hub
        .log
        .find(from, PATIENCE, |line| line.contains(&limit).then_some(()));
    found.unwrap_or_else(|said| panic!("no {limit} in {said}"));
}

/// Each rate of publishing lets through what may come at once, and refuses the next one until its time.
/// Clients that it does not concern go on.
#[tokio::test]
async fn publishes_are_bounded() {
    for (name, is_of_subject, has_others) in [
        ("max_publish_rate_per_subject", true, true),
        ("max_publish_rate_per_address", false, true),
        ("max_publish_rate", false, false),
    ] {
        let hub = Hub::start(&format!("anonymous\ntransport memory\n{name} 1/h 3"));
        let ann = |last| publisher(&hub, at(&hub, last), "ann");
        let bob = |last| publisher(&hub, at(&hub, last), "bob");
        for number in 0..3 {
            let answer = ann(1).publish(&UPDATE).await;
            assert_eq!(answer.status, 200, "{name} {number}: {}", answer.text);
        }
        let from = hub.log.len();
        let answer = ann(1).publish(&UPDATE).await;
        refused(&hub, from, &answer, name);
        assert!(
            answer.text.contains("1/h with 3 at once"),
            "{}",
            answer.text
        );
        let seconds: u64 = answer.header("retry-after").parse().unwrap();
        assert!((3000..=3601).contains(&seconds), "{seconds}");
        // The subject is the same at another address, the address is the same for another subject.
        let (same, other) = if is_of_subject {
            (ann(2), bob(1))
        } else {
            (bob(1), ann(2))
        };
        assert_eq!(same.publish(&UPDATE).await.status, 429, "{name}");
        let status = other.publish(&UPDATE).await.status;
        assert_eq!(status == 200, has_others, "{name}");
        // Who may not publish is told that first, and no stream is concerned.
        assert_eq!(hub.client().publish(&UPDATE).await.status, 401);
        drop(hub.client().subscribe(&[exact("a")]).await);
    }
}

/// Each line of a batch is an update, and they are published together; what comes next waits for them.
#[tokio::test]
async fn a_batch_counts_its_updates() {
    let hub = Hub::start("anonymous\ntransport memory\nmax_publish_rate_per_subject 1/h 10");
    let batch = "{\"topic\":\"a\",\"data\":\"1\"}\n".repeat(10);
    let ann = publisher(&hub, hub.client(), "ann").header("content-type", "application/x-ndjson");
    let answer = ann.send("POST", HUB_PATH, batch.clone()).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.text.matches("\"status\":200").count(), 10);
    let from = hub.log.len();
    let answer = ann.send("POST", HUB_PATH, batch).await;
    refused(&hub, from, &answer, "max_publish_rate_per_subject");
}

/// Streams that are opened too fast are refused in the form from which browsers come back.
#[tokio::test]
async fn new_streams_are_bounded() {
    for name in ["max_stream_rate_per_address", "max_stream_rate"] {
        let hub = Hub::start(&format!("anonymous\ntransport memory\n{name} 1/h 2"));
        let mut first = hub.client().subscribe(&[exact("a")]).await;
        drop(hub.client().subscribe(&[exact("a")]).await);
        let from = hub.log.len();
        let answer = hub.client().get(&target(&[("match", "a")])).await;
        refused(&hub, from, &answer, name);
        let browser = hub.client().header("accept", "text/event-stream");
        let mut ended = browser.subscribe(&[exact("a")]).await;
        let Item::Comment(why) = ended.item().await else {
            panic!("no reason");
        };
        assert!(why.contains(name), "{why}");
        let Item::Retry(milliseconds) = ended.item().await else {
            panic!("no time to wait");
        };
        assert!((2_000..=5_000).contains(&milliseconds));
        assert_eq!(ended.end().await, [""; 0]);
        // Who is there stays, and publishers go on.
        hub.publisher().published(&UPDATE).await;
        assert_eq!(first.data().await, "1", "{name}");
        if name.ends_with("address") {
            drop(at(&hub, 2).subscribe(&[exact("a")]).await);
        }
    }
    let hub = Hub::start("transport memory\nmax_stream_rate_per_subject 1/h");
    let ann = hub.subscriber(&[exact("a")]);
    drop(ann.subscribe(&[exact("a")]).await);
    let answer = ann.get(&target(&[("match", "a")])).await;
    refused(&hub, 0, &answer, "max_stream_rate_per_subject");
    drop(hub.subscriber(&[exact("a")]).subscribe(&[exact("a")]).await);
}

/// Connections that come too fast from one address get one answer; health checks, browsers, other addresses and
/// trusted proxies are served.
#[tokio::test]
async fn new_connections_are_bounded() {
    let hub = Hub::start(
        "anonymous\ntransport memory\nmax_connection_rate_per_address 1/h 3\ntrusted_proxies 127.0.0.3",
    );
    let client = at(&hub, 1);
    let mut stream = client.subscribe(&[exact("a")]).await;
    for _ in 0..2 {
        assert_eq!(client.get("/healthz").await.status, 200);
    }
    let from = hub.log.len();
    let answer = client.get("/robots.txt").await;
    refused(&hub, from, &answer, "max_connection_rate_per_address");
    assert_eq!(client.get("/healthz").await.status, 200);
    let browser = client.clone().header("accept", "text/event-stream");
    let mut ended = browser.subscribe(&[exact("a")]).await;
    let Item::Comment(why) = ended.item().await else {
        panic!("no reason");
    };
    assert!(why.contains("max_connection_rate_per_address"), "{why}");
    assert!(matches!(ended.item().await, Item::Retry(_)));
    assert_eq!(ended.end().await, [""; 0]);
    for _ in 0..10 {
        assert_eq!(at(&hub, 3).get("/healthz").await.status, 200);
    }
    let update = publisher(&hub, at(&hub, 2), "ann").publish(&UPDATE).await;
    assert_eq!(update.status, 200);
    assert_eq!(stream.data().await, "1");
}

/// With a rate for all alone, a client that takes all it can leaves a fifth to others.
#[tokio::test]
async fn the_rate_of_all_leaves_something_to_others() {
    let hub = Hub::start("anonymous\ntransport memory\nmax_connection_rate 1/h 100");
    let mut passed = 0;
    while at(&hub, 1).get("/robots.txt").await.status != 429 {
        passed += 1;
        assert!(passed < 100);
    }
    assert!(passed >= 80, "{passed}");
    let answer = at(&hub, 1).get("/robots.txt").await;
    assert!(
        answer.text.contains("(max_connection_rate)"),
        "{}",
        answer.text
    );
    for last in 2..10 {
        let answer = at(&hub, last).get("/robots.txt").await;
        assert_eq!(answer.status, 200, "{last}");
    }
    logged(&hub, 0, "max_connection_rate");
}

/// Connections of a trusted proxy count for all clients, but are not held to the share of one.
#[tokio::test]
async fn proxies_have_more_than_a_share() {
    let hub = Hub::start(
        "anonymous\ntransport memory\nmax_connection_rate 1/h 100\ntrusted_proxies 127.0.0.3",
    );
    let mut passed = 0;
    while at(&hub, 3).get("/robots.txt").await.status == 200 {
        passed += 1;
        assert!(passed <= 100);
    }
    assert!(passed > 90, "{passed}");
    assert_eq!(at(&hub, 1).get("/robots.txt").await.status, 429);
}

/// The publishers of an issuer may have tighter limits than others, in a batch as well.
#[tokio::test]
async fn an_issuer_bounds_its_publishers() {
    let issuer = |name: &str, limits: &str| {
        format!(
            "issuer https://{name}.example {{\n{limits}\npublisher {{\njwt \"{PUBLISHER_KEY}\"\n}}\n}}"
        )
    };
    let hub = Hub::start(&format!(
        "anonymous\ntransport memory\nmax_request_body_size 10KiB\n{}\n{}",
        issuer("tight", "max_publish_size 200\nmax_publish_topics 2"),
        issuer("wide", "max_publish_size 1MiB"),
    ));
    let of = |name: &str| {
        let token = Token::new(&hub.audience)
            .claim("iss", format!("https://{name}.example").into())
            .grant("publish", &[exact("*")]);
        hub.client().bearer(&hub.sign_as_publisher(&token))
    };
    let long = "x".repeat(300);
    let too_long = "x".repeat(11_000);
    let large = [("topic", "a"), ("data", long.as_str())];
    let larger = [("topic", "a"), ("data", too_long.as_str())];
    let wordy = [("topic", "a"), ("topic", "b"), ("topic", "c")];
    let (tight, wide) = (of("tight"), of("wide"));
    for fields in [&UPDATE[..], &wordy[..2]] {
        assert_eq!(tight.publish(fields).await.status, 200);
    }
    for (fields, limit) in [
        (&large[..], "max_publish_size"),
        (&wordy[..], "max_publish_topics"),
    ] {
        let from = hub.log.len();
        let answer = tight.publish(fields).await;
        assert_eq!(answer.status, 413);
        assert!(
            answer.text.contains(&format!("raise {limit}\n")),
            "{}",
            answer.text
        );
        logged(&hub, from, limit);
        assert_eq!(wide.publish(fields).await.status, 200);
    }
    // An issuer does not widen what the hub takes.
    let answer = wide.publish(&larger).await;
    assert_eq!(answer.status, 413);
    assert!(
        answer.text.contains("max_request_body_size"),
        "{}",
        answer.text
    );
    let batch = format!(
        "{{\"topic\":\"a\",\"data\":\"{long}\"}}\n{{\"topic\":\"a\"}}\n{{\"topic\":[\"a\",\"b\",\"c\"]}}\n"
    );
    let answer = tight
        .header("content-type", "application/x-ndjson")
        .send("POST", HUB_PATH, batch)
        .await;
    let status: Vec<_> = answer
        .text
        .lines()
        .map(|line| line.contains("\"status\":200"))
        .collect();
    assert_eq!(status, [false, true, false], "{}", answer.text);
}

/// A health check does not wait because connections come too fast.
#[tokio::test]
async fn health_is_answered_beyond_the_rate() {
    let hub = Hub::start("anonymous\ntransport memory\nmax_connection_rate 1/h 10");
    for _ in 0..30 {
        let head = raw::head(hub.address, "GET /healthz HTTP/1.0\r\n\r\n").await;
        assert_eq!(raw::status(&head), 200);
    }
}
