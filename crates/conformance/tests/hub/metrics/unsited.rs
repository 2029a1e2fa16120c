//! What reaches no site, by reason: requests and connections that the program itself refuses.

use std::net::Ipv4Addr;

use quinn::TransportConfig;
use talaria_conformance::frames::Frames;
use talaria_conformance::hub::Home;
use talaria_conformance::{HUB_PATH, free_port, raw};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use super::{Scrape, start, until};
use crate::connections::{closed, silent};
use crate::http3::client;
use crate::running::{Running, caddyfile};

const REQUESTS: &str = "talaria_requests_refused_total";
const CONNECTIONS: &str = "talaria_connections_refused_total";

/// Waits until one was refused for a reason, and for the line of the log that names it.
async fn refused(hub: &Running, reason: &str) {
    until(hub, REQUESTS, &[("reason", reason)], 1.0).await;
    hub.logs(0, &format!("\"{reason}\""));
}

/// No reason is on the page that a test of this directory does not make happen.
#[tokio::test]
async fn each_reason_has_a_test() {
    let tests = [include_str!("unsited.rs"), include_str!("refusals.rs")].concat();
    let scrape = Scrape::of(&start("", "")).await;
    let reasons = |series: &str| -> Vec<String> {
        let of_series = scrape.0.lines().filter_map(|line| {
            let labels = line.strip_prefix(series)?.strip_prefix("{reason=\"")?;
            Some(labels.split_once('"')?.0.to_owned())
        });
        of_series.collect()
    };
    let (requests, connections) = (reasons(REQUESTS), reasons(CONNECTIONS));
    assert!(requests.len() > 20 && connections.len() > 5);
    let untested: Vec<String> = [requests, connections]
        .concat()
        .into_iter()
        .filter(|reason| !tests.contains(&format!("\"{reason}\"")))
        .collect();
    assert!(untested.is_empty(), "{untested:?}");
}

/// Bytes that are not a request of HTTP/1.1, or not one that can be understood.
#[tokio::test]
async fn what_cannot_be_read() {
    let hub = Running::start_debugging(&caddyfile("", ""));
    let long = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(65_535));
    let with = |fields: &str| format!("POST / HTTP/1.1\r\n{fields}\r\n\r\n");
    for (reason, status, request) in [
        (
            "tls_on_plain_port",
            400,
            "\u{16}\u{3}\u{1}\0\u{5}\u{1}\0\0\u{1}\0".to_owned(),
        ),
        (
            "proxy_protocol",
            400,
            "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n".to_owned(),
        ),
        ("target_too_long", 414, long),
        ("header_field", 400, with("Host: a\r\nno colon")),
        ("body_length", 400, with("Host: a\r\nContent-Length: x")),
        (
            "transfer_coding",
            501,
            with("Host: a\r\nTransfer-Encoding: gzip"),
        ),
        ("host_malformed", 400, with("Host: a b")),
        ("host_repeated", 400, with("Host: a\r\nHost: b")),
        ("host_user_information", 400, with("Host: name@a")),
    ] {
        let answer = raw::head(hub.address, request).await;
        assert_eq!(raw::status(&answer), status, "{reason}: {answer}");
        refused(&hub, reason).await;
    }
    let answer = raw::head(hub.address, b"GET / HTTP/1.1\r\nHost: \xe9\r\n\r\n").await;
    assert_eq!(raw::status(&answer), 400, "{answer}");
    refused(&hub, "host_unreadable").await;
}

/// Heads that are at fault for HTTP/2 and HTTP/3 (RFC 9113, section 8.2.2; RFC 9114, section 4.2).
#[tokio::test]
async fn what_later_versions_do_not_allow() {
    let hub = Running::start_debugging(&caddyfile("", ""));
    let host = hub.address.to_string();
    let mut frames = Frames::connect(hub.address, 65_535).await;
    for (stream, reason, field) in [
        (1, "malformed_for_http2", ("connection", "close")),
        (3, "host_contradicting", ("host", "other.example")),
    ] {
        let fields = [
            (":method", "GET"),
            (":scheme", "http"),
            (":authority", &*host),
            (":path", "/"),
            field,
        ];
        frames.output.request(stream, &fields).await;
        refused(&hub, reason).await;
    }

    let (hub, home_port) = secure("");
    let connected = client::connect(&hub.home, home_port, TransportConfig::default()).await;
    // `:method GET`, `:scheme https`, `:authority a`, `:path /`, and `connection: close`.
    let fields = b"\0\0\xd1\xd7\x50\x01a\xc1\x27\x03connection\x05close";
    let head = [&[1, u8::try_from(fields.len()).unwrap()], &fields[..]].concat();
    let _answer = connected.raw(&head, true).await;
    refused(&hub, "malformed_for_http3").await;
}

/// Connections beyond the bounds of the program, which are answered if they ask something.
#[tokio::test]
async fn connections_beyond_a_bound() {
    for (reason, bound, status) in [
        ("max_connections", "max_connections 10", 503),
        ("max_connection_rate", "max_connection_rate 1/h 4", 429),
        (
            "max_connection_rate_per_address",
            "max_connection_rate_per_address 1/h 4",
            429,
        ),
    ] {
        let hub = start("", bound);
        let mut streams = Vec::new();
        let refusal = loop {
            let client = hub.client();
            match client
                .try_subscribe(&[talaria_conformance::token::exact("a")])
                .await
            {
                Some(stream) => streams.push(stream),
                None => break client.get(&format!("{HUB_PATH}?match=a")).await.status,
            }
            assert!(streams.len() < 20, "{reason}: no refusal");
        };
        assert_eq!(refusal, status, "{reason}");
        for series in [REQUESTS, CONNECTIONS] {
            until(&hub, series, &[("reason", reason)], 2.0).await;
        }
    }
}

/// Heads that hold all the memory that they may.
#[tokio::test]
async fn heads_beyond_their_memory() {
    let hub = start("", "max_header_memory 1MiB");
    let half = format!("GET / HTTP/1.1\r\nHost: a\r\nx: {}", "a".repeat(100_000));
    let mut open = Vec::new();
    let reason = [("reason", "max_header_memory")];
    while Scrape::of(&hub).await.value(REQUESTS, &reason) == 0.0 {
        let mut stream = TcpStream::connect(hub.address).await.unwrap();
        let _ = stream.write_all(half.as_bytes()).await;
        open.push(stream);
        assert!(open.len() < 100, "no head is refused");
    }
    hub.logs(0, "\"max_header_memory\"");
}

/// Handshakes that fail, take too long, or are too many.
#[tokio::test]
async fn handshakes() {
    let (hub, _) = secure("header_timeout 1s\nmax_handshakes 10");
    let request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let answer = raw::exchange(hub.address, request).await;
    assert_eq!(raw::status(&answer), 400);
    refused(&hub, "plain_on_tls_port").await;
    let mut begun = Vec::new();
    for _ in 0..20 {
        let mut stream = silent(hub.address, Ipv4Addr::LOCALHOST.into()).await;
        let _ = stream.write_all(b"\x16").await;
        begun.push(stream);
    }
    for stream in &mut begun {
        closed(stream).await;
    }
    let scrape = Scrape::of(&hub).await;
    let count = |reason| scrape.value(CONNECTIONS, &[("reason", reason)]);
    let (full, late) = (count("max_handshakes"), count("handshake_timeout"));
    assert!(
        full >= 10.0 && late > 0.0 && full + late == 20.0,
        "{full} {late}"
    );
    // A record of TLS whose message is not one.
    let mut stream = silent(hub.address, Ipv4Addr::LOCALHOST.into()).await;
    stream
        .write_all(b"\x16\x03\x01\0\x05\xff\0\0\x01\0")
        .await
        .unwrap();
    closed(&mut stream).await;
    until(&hub, CONNECTIONS, &[("reason", "handshake_failed")], 1.0).await;
}

/// The admin listener answers no client that names another host.
#[tokio::test]
async fn strangers_at_the_admin_listener() {
    let hub = start("", "");
    let answer = hub.admin().naming("other.example").get("/metrics").await;
    assert_eq!(answer.status, 403);
    refused(&hub, "admin_guard").await;
}

/// A hub on a port of HTTPS alone, and this port.
fn secure(directives: &str) -> (Running, u16) {
    let port = free_port();
    let text = caddyfile(
        "skip_install_trust\nauto_https disable_redirects",
        directives,
    );
    let site = format!("https://localhost:{port}");
    let home = Home::new();
    let file = home.path().join("Caddyfile");
    std::fs::write(file, text.replace("http://127.0.0.1:0", &site)).unwrap();
    (Running::start_with(home, &[], "debug"), port)
}
