//! The example application: what it publishes from its own code reaches a page that is open.

#![allow(clippy::expect_used, reason = "a test fails by panicking")]

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use talaria_hub::Hub;
use talaria_hub::access::Issuers;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

#[path = "../examples/axum.rs"]
#[allow(dead_code, reason = "the test serves another port than its `main`")]
mod example;

/// Far beyond what anything here takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// Sends a request without a body.
async fn send(address: SocketAddr, request: &str) -> TcpStream {
    let mut socket = TcpStream::connect(address).await.expect("a connection");
    let head = format!("{request} HTTP/1.1\r\nHost: {address}\r\nContent-Length: 0\r\n\r\n");
    socket.write_all(head.as_bytes()).await.expect("a request");
    socket
}

/// What comes until a text has come.
async fn read_until(socket: &mut TcpStream, text: &str) -> String {
    let mut received = String::new();
    while !received.contains(text) {
        let mut bytes = [0; 4096];
        let read = timeout(PATIENCE, socket.read(&mut bytes)).await;
        let count = read.expect("bytes in time").expect("an open connection");
        assert!(count > 0, "ended before {text:?}: {received}");
        received.push_str(&String::from_utf8_lossy(&bytes[..count]));
    }
    received
}

#[tokio::test]
async fn a_click_reaches_the_open_pages() {
    let hub = Hub::builder(Issuers::default()).build().expect("a hub");
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .expect("a port");
    let address = listener.local_addr().expect("an address");
    let application = example::application(&hub);
    tokio::spawn(async move { axum::serve(listener, application).await });

    let page = read_until(&mut send(address, "GET /").await, "</script>").await;
    let (_, source) = page
        .split_once("new EventSource(\"")
        .expect("an EventSource");
    let (url, _) = source.split_once('"').expect("its URL");
    let mut stream = send(address, &format!("GET {url}")).await;
    let head = read_until(&mut stream, ":\n").await;
    assert!(
        head.starts_with("HTTP/1.1 200 ") && head.contains("text/event-stream"),
        "{head}"
    );
    for count in ["1", "2"] {
        let answer = read_until(&mut send(address, "POST /clicks").await, "\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        read_until(&mut stream, &format!("data: {count}\n\n")).await;
    }
}
