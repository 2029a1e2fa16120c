//! Publishes whose body is refused: it breaks off, does not come, or holds too much.

use std::fmt::Write as _;
use std::time::Duration;

use talaria_conformance::client::Client;
use talaria_conformance::hub::PUBLISHER_KEY;
use talaria_conformance::token::{Token, exact};
use talaria_conformance::{HUB_PATH, raw, within_time};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::refusals::{modern, refused};
use super::{audience, publisher, until};
use crate::running::{Running, caddyfile};

/// A publish, up to the end of its head, whose body is framed by `field`.
fn head(hub: &Running, field: &str) -> String {
    let token = Token::new(&audience(hub)).grant("publish", &[exact("*")]);
    format!(
        "POST {HUB_PATH} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\n{field}\r\n\r\n",
        hub.address,
        token.sign(PUBLISHER_KEY)
    )
}

/// What comes after the beginning of a body is not a part of one.
#[tokio::test]
async fn a_body_breaks_off() {
    let hub = Running::start_debugging(&caddyfile("", ""));
    let request = head(&hub, "Transfer-Encoding: chunked") + "7\r\ntopic=a\r\nnot a length\r\n";
    let answer = raw::exchange(hub.address, request.as_bytes()).await;
    assert_eq!(raw::status(&answer), 400, "{answer}");
    refused(&hub, "body_broken").await;
}

/// The rest of a body does not come, for a minute.
#[tokio::test]
async fn a_body_stops() {
    let hub = Running::start_debugging(&caddyfile("", ""));
    let (mut socket, _) = hub.client().connect().await.unwrap();
    let request = head(&hub, "Content-Length: 14") + "topic=a";
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let end = within_time(Duration::from_secs(90), "the refusal", async {
        while !answer.ends_with(b"\r\n\r\n") && socket.read_buf(&mut answer).await.unwrap() > 0 {}
    });
    end.await;
    let answer = String::from_utf8(answer).unwrap();
    assert_eq!(raw::status(&answer), 408, "{answer}");
    refused(&hub, "body_timeout").await;
}

/// Fields, topics and updates beyond their bounds.
#[tokio::test]
async fn a_body_holds_too_much() {
    let hub = Running::start_debugging(&caddyfile("", ""));
    let long = "x".repeat(100_000);
    let answer = publisher(&hub)
        .publish(&[("topic", "a"), ("type", &long)])
        .await;
    assert_eq!(answer.status, 413);
    refused(&hub, "too_large").await;
    let lines = publisher(&hub).header("content-type", "application/x-ndjson");
    let mut batch = String::new();
    for number in 0..10_001 {
        writeln!(batch, "{{\"topic\":\"{number}\"}}").unwrap();
    }
    assert_eq!(lines.send("POST", HUB_PATH, batch).await.status, 413);
    refused(&hub, "too_many_updates").await;

    let text = modern("").replace(
        "issuer https://localhost {",
        "issuer https://localhost {\nmax_publish_topics 2",
    );
    let hub = Running::start(&text, &[]);
    let wordy = [("topic", "a"), ("topic", "b"), ("topic", "c")];
    let client: Client = publisher(&hub);
    assert_eq!(client.publish(&wordy).await.status, 413);
    refused(&hub, "too_many_topics").await;
    let limit = [("limit", "max_publish_topics")];
    until(&hub, "talaria_limit_refusals_total", &limit, 1.0).await;
}
