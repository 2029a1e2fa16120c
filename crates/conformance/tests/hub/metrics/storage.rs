//! Requests that are refused for what the log cannot do, or because the hub stops.

use std::fs::{self, File};
use std::path::PathBuf;

use rustix::process::Signal;
use talaria_conformance::client::{form, target};
use talaria_conformance::hub::{Home, SUBSCRIBER_KEY};
use talaria_conformance::token::exact;
use talaria_conformance::{HUB_PATH, raw};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use super::refusals::refused;
use super::{publisher, until};
use crate::running::{Running, caddyfile};

const TOPIC: [(&str, &str); 1] = [("topic", "a")];

fn text(directives: &str) -> String {
    let keys = format!("subscriber_jwt \"{SUBSCRIBER_KEY}\"\n{directives}");
    caddyfile("", &keys)
}

fn history() -> String {
    text("").replace("transport memory", "transport bolt")
}

/// The files of the history with one of these extensions.
fn files(hub: &Running, extensions: &[&str]) -> Vec<PathBuf> {
    let folder = hub.home.path().join("data/caddy/mercure.db.talaria");
    let all = fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path());
    let of = |path: &PathBuf| {
        let kind = path.extension().unwrap_or_default();
        extensions.iter().any(|wanted| kind == *wanted)
    };
    let found: Vec<PathBuf> = all.filter(of).collect();
    assert!(!found.is_empty());
    found
}

/// A disk that is full stores nothing; the publisher is told so.
#[tokio::test]
async fn the_disk_is_full() {
    let hub = Running::start(&history(), &[]);
    publisher(&hub).published(&TOPIC).await;
    hub.disk_is_full(true);
    assert_eq!(publisher(&hub).publish(&TOPIC).await.status, 503);
    refused(&hub, "not_stored").await;
    until(&hub, "talaria_hub_healthy", &[], 0.0).await;
    hub.disk_is_full(false);
    until(&hub, "talaria_hub_healthy", &[], 1.0).await;
    publisher(&hub).published(&TOPIC).await;
}

/// A write fails, and the log cannot be brought back to what was committed before: whether the update comes back is
/// unknown, and its publisher gets no answer.
#[tokio::test]
async fn the_outcome_is_unknown() {
    let hub = Running::start(&history(), &[]);
    publisher(&hub).published(&TOPIC).await;
    hub.disk_is_full(true);
    // The segment is shorter than what was committed, and may not grow to it again.
    for path in files(&hub, &["segment"]) {
        let file = File::options().write(true).open(path).unwrap();
        file.set_len(1).unwrap();
    }
    let client = publisher(&hub).form();
    let answer = client.try_send("POST", HUB_PATH, form(&TOPIC)).await;
    assert!(answer.is_none(), "{answer:?}");
    refused(&hub, "unknown_outcome").await;
}

/// A reader asks for what came after an update, and the files that say where that is are gone.
#[tokio::test]
async fn the_log_cannot_be_read() {
    const CHOSEN: &str = "urn:chosen";
    let mut hub = Running::start(&history(), &[]);
    publisher(&hub)
        .published(&[("topic", "a"), ("id", CHOSEN)])
        .await;
    // What is older than the newest segment is not kept in memory across a restart.
    for _ in 0..2 {
        publisher(&hub).published(&TOPIC).await;
        hub.signal(Signal::TERM);
        hub.exit().await;
        let home = std::mem::replace(&mut hub.home, Home::new());
        hub = Running::start_with(home, &[], "debug");
    }
    for path in files(&hub, &["segment", "index"]) {
        fs::remove_file(path).unwrap();
    }
    let client = hub.client().last_event_id(CHOSEN);
    let answer = client.get(&target(&[("match", "a")])).await;
    assert_eq!(answer.status, 503, "{}", answer.text);
    refused(&hub, "unavailable").await;
}

/// Sends the head of a `QUERY`, and waits until the hub wants its body.
async fn begun(hub: &Running) -> TcpStream {
    let (mut socket, _) = hub.client().connect().await.unwrap();
    let head = format!(
        "QUERY {HUB_PATH} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Content-Length: 7\r\nExpect: 100-continue\r\n\r\n",
        hub.address
    );
    let answer = raw::begin(&mut socket, head.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 100"), "{answer}");
    socket
}

/// The hub stops while the body of a subscription comes.
#[tokio::test]
async fn the_hub_stops() {
    let hub = Running::start_debugging(&text("drain_timeout 10s"));
    let mut streams = Vec::new();
    for _ in 0..50 {
        streams.push(hub.client().subscribe(&[exact("a")]).await);
    }
    let mut late = begun(&hub).await;
    // It keeps the hub from being done before it was asked for its numbers.
    let _later = begun(&hub).await;
    hub.signal(Signal::TERM);
    hub.logs(0, "reason=\"drained\"");
    late.write_all(b"match=a").await.unwrap();
    let answer = raw::begin(&mut late, b"").await;
    assert_eq!(raw::status(&answer), 503, "{answer}");
    refused(&hub, "draining").await;
}
