//! How streams and connections end: readers that take nothing, tokens that expire, and the hub's stop.

use std::time::{Duration, Instant};

use h3::error::{Code, StreamError};
use serde_json::json;
use talaria_conformance::token::{Token, exact, now_exactly};
use talaria_conformance::{HUB_PATH, PATIENCE, count, within, within_time};

use super::client::{Secure, window};

/// The resident memory of the hub, in bytes.
fn resident(secure: &Secure) -> u64 {
    let path = format!("/proc/{}/status", secure.hub.pid());
    let status = std::fs::read_to_string(path).expect("the hub runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let words = line.expect("its memory").split_whitespace().next();
    1024 * words.unwrap().parse::<u64>().unwrap()
}

/// What a stream that waits for updates costs, and a connection with one (docs/limits.md).
#[tokio::test(flavor = "multi_thread")]
async fn idle_streams_take_little() {
    let secure = Secure::start("heartbeat 0s");
    // What the allocator and the library take once.
    let mut first = secure.connect().await;
    let mut streams = vec![first.subscribe("a", &[]).await];
    let mut clients = vec![first];
    let mut cost = Vec::new();
    for (connections, each) in [(count(20, 4), 200), (count(1000, 200), 1)] {
        let before = resident(&secure);
        for _ in 0..connections {
            let mut client = secure.connect().await;
            for _ in 0..each {
                streams.push(client.subscribe("a", &[]).await);
            }
            clients.push(client);
        }
        let grown = resident(&secure).saturating_sub(before);
        cost.push(grown / (connections * each));
    }
    println!(
        "idle over HTTP/3: {} bytes a stream, {} bytes a connection with one",
        cost[0], cost[1]
    );
    assert!(cost[0] < 64 * 1024 && cost[1] < 512 * 1024, "{cost:?}");
}

/// A stream whose client does not read is reset after `dispatch_timeout`, the connection and its other streams go
/// on, and what all of them hold is bounded. The client resumes.
#[tokio::test(flavor = "multi_thread")]
async fn readers_that_take_nothing_are_reset() {
    let secure = Secure::start("dispatch_timeout 1s\nwrite_timeout 0s");
    let mut client = secure.connect_with(window(2048)).await;
    let mut publisher = secure.connect().await;
    let token = secure.publisher_token();
    let first = publisher.publish(&token, "a", "0").await;
    let mut stalled = Vec::new();
    for _ in 0..20 {
        stalled.push(client.subscribe("a", &[]).await);
    }
    let mut other = client.subscribe("b", &[]).await;
    let before = resident(&secure);
    let data = "x".repeat(64 * 1024);
    for _ in 0..200 {
        publisher.publish(&token, "a", &data).await;
    }
    let grown = resident(&secure).saturating_sub(before);
    // The log in memory is most of it.
    assert!(grown < 100 << 20, "{grown} bytes");
    // A stream that is read before it is reset would be served again.
    let is_reset = |line: &str| line.contains("takes nothing of its stream");
    let log = &secure.hub.log;
    let mut seen = 0;
    for _ in &stalled {
        let told = log.find(seen, PATIENCE, |line| is_reset(line).then_some(()));
        told.expect("a line about each");
        let lines = log.since(seen);
        seen += 1 + lines.iter().position(|line| is_reset(line)).unwrap();
    }
    for stream in &mut stalled {
        assert_eq!(stream.reset().await, Code::H3_REQUEST_CANCELLED);
    }
    publisher.publish(&token, "b", "1").await;
    assert_eq!(other.data().await, "1");
    let mut resumed = client.subscribe("a", &[("last-event-id", &first)]).await;
    assert_eq!(resumed.data().await, data);
}

/// A slow reader is not one that takes nothing.
#[tokio::test(flavor = "multi_thread")]
async fn slow_readers_are_served() {
    let secure = Secure::start("dispatch_timeout 1s");
    let mut client = secure.connect_with(window(2048)).await;
    let mut stream = client.subscribe("a", &[]).await;
    let mut publisher = secure.connect().await;
    let data = "x".repeat(32 * 1024);
    publisher
        .publish(&secure.publisher_token(), "a", &data)
        .await;
    let began = Instant::now();
    let read = async {
        // Data come in pieces of the window; one is read every tenth of a second.
        let mut pieces = 0;
        while pieces < 16 {
            let data = stream.stream.recv_data().await.expect("the stream lives");
            assert!(data.is_some(), "it goes on");
            drop(data);
            pieces += 1;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    within_time(Duration::from_secs(60), "the data", read).await;
    assert!(began.elapsed() > Duration::from_secs(1));
}

/// "the hub MUST close the connection no later than the token's `exp` time": nothing leaves after it, although the
/// client gives a window again.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_leaves_after_exp() {
    let secure = Secure::start("dispatch_timeout 0s");
    let exp = now_exactly().floor() + 4.0;
    let token = Token::new(&secure.url(HUB_PATH))
        .grant("subscribe", &[exact("a")])
        .claim("exp", json!(exp));
    let bearer = format!("Bearer {}", secure.hub.sign_as_subscriber(&token));
    let fields = [("authorization", bearer.as_str())];
    let mut client = secure.connect_with(window(1024)).await;
    let mut stalled = client.subscribe("a", &fields).await;
    let mut ordinary = secure.connect().await;
    let mut clean = ordinary.subscribe("a", &fields).await;
    let long = "x".repeat(10_000);
    ordinary
        .publish(&secure.publisher_token(), "a", &long)
        .await;
    assert_eq!(clean.data().await, long);
    let end = within("the end", clean.next()).await;
    assert!(matches!(end, Ok(None)), "{end:?}");
    let late = now_exactly() - exp;
    assert!((-0.6..2.0).contains(&late), "ended {late} s after exp");
    // Whatever was on its way is less than the update.
    let rest = within("a reset", stalled.next()).await;
    assert!(
        matches!(rest, Err(StreamError::RemoteTerminate { .. })),
        "{rest:?}"
    );
}

/// The streams end at moments of the window, the connection says that it ends, and the code is 0.
#[tokio::test(flavor = "multi_thread")]
async fn a_stop_drains_streams() {
    let mut secure = Secure::start("drain_timeout 2s");
    let mut client = secure.connect().await;
    let mut streams = Vec::new();
    for _ in 0..100 {
        streams.push(client.subscribe("a", &[]).await);
    }
    let mut idle = secure.connect().await;
    // The hub ends a connection on which HTTP/3 has not begun without its code.
    drop(idle.open("GET", "/robots.txt", &[], "").await);
    client.publish(&secure.publisher_token(), "a", "last").await;
    secure.hub.terminate();
    let began = Instant::now();
    for stream in &mut streams {
        assert_eq!(stream.data().await, "last");
        let end = within("the end", stream.next()).await;
        assert!(matches!(end, Ok(None)), "{end:?}");
    }
    assert!(
        began.elapsed() > Duration::from_millis(500),
        "not all at once"
    );
    assert!(client.open("GET", "/robots.txt", &[], "").await.is_err());
    assert_eq!(
        super::client::closed(&idle.quic).await,
        Code::H3_NO_ERROR.value()
    );
    assert_eq!(
        super::client::closed(&client.quic).await,
        Code::H3_NO_ERROR.value()
    );
    assert_eq!(
        secure.hub.exit(Duration::from_secs(10)).await.code(),
        Some(0)
    );
}

/// Clients that are connected and ask nothing do not delay the exit.
#[tokio::test]
async fn idle_connections_do_not_delay_the_exit() {
    let mut secure = Secure::start("drain_timeout 60s");
    let mut client = secure.connect().await;
    client.ask("GET", "/robots.txt", &[], "").await;
    let began = Instant::now();
    secure.hub.terminate();
    assert_eq!(
        secure.hub.exit(Duration::from_secs(30)).await.code(),
        Some(0)
    );
    assert!(began.elapsed() < Duration::from_secs(10));
}

/// A client that hangs up frees what its stream held, so that another has its place.
#[tokio::test]
async fn a_stream_that_is_left_ends() {
    let secure = Secure::start("max_streams 1\nheartbeat 0s");
    let mut client = secure.connect().await;
    let only = client.subscribe("a", &[]).await;
    drop(only);
    let mut other = secure.connect().await;
    let path = format!("{HUB_PATH}?match=a");
    let again = async {
        loop {
            let stream = other.open("GET", &path, &[("accept", "*/*")], "").await;
            let head = stream.unwrap().recv_response().await.unwrap();
            match head.status().as_u16() {
                200 => return,
                status => assert_eq!(status, 429),
            }
        }
    };
    within("the place", again).await;
}
