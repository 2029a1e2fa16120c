//! How large a request's head may be, and how long it may take (B-300; RFC 9112, section 2.3; RFC
//! 9113, section 10.5.1).

use std::net::{IpAddr, Ipv4Addr};

use talaria_conformance::frames::{Frames, kind};
use talaria_conformance::hub::Hub;
use talaria_conformance::{HUB_PATH, raw, within};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const QUICK: &str = "anonymous\ntransport memory\nheader_timeout 1s";

/// Reads until the hub closes the connection.
async fn rest(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let _ = within("the end", stream.read_to_end(&mut answer)).await;
    String::from_utf8_lossy(&answer).into_owned()
}

async fn connect(hub: &Hub) -> TcpStream {
    TcpStream::connect(hub.address).await.expect("it accepts")
}

/// A head that does not end, whether it stops or goes on byte by byte, is answered 408, also the second one
/// of a connection; and a peer that says nothing at all is closed without a word.
#[tokio::test]
async fn slow_heads_end() {
    let hub = Hub::start(QUICK);
    let good = format!("GET /robots.txt HTTP/1.1\r\nHost: {}\r\n\r\n", hub.host);
    for (before, begun) in [
        ("", "G"),
        ("", "\r\n"),
        ("", "GET / HTTP/1.1\r\nHost: a\r\nx: "),
        (good.as_str(), "P"),
        (&good, "POST /.well-known/mercure HTTP/1.1\r\nHost: "),
    ] {
        let mut stream = connect(&hub).await;
        stream.write_all(before.as_bytes()).await.unwrap();
        stream.write_all(begun.as_bytes()).await.unwrap();
        let answer = rest(&mut stream).await;
        assert!(answer.contains("HTTP/1.1 408"), "{begun:?}: {answer}");
        assert!(answer.contains("header_timeout"), "{answer}");
    }
    let mut stream = connect(&hub).await;
    let (mut input, mut output) = stream.split();
    let mut answer = Vec::new();
    tokio::select! {
        read = within("the end", input.read_to_end(&mut answer)) => { let _ = read; }
        () = async {
            output.write_all(b"GET / HTTP/1.1\r\nx: ").await.unwrap();
            loop {
                let _ = output.write_all(b"a").await;
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        } => {}
    }
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.contains("HTTP/1.1 408"), "{answer}");
    assert_eq!(rest(&mut connect(&hub).await).await, "");
}

/// The time is that of a head: a connection that was answered may stay idle for longer.
#[tokio::test]
async fn idle_connections_have_more_time() {
    let hub = Hub::start(QUICK);
    let mut kept = hub.publisher().keep().await;
    kept.publish(&[("topic", "a")]).await;
    let mut slow = connect(&hub).await;
    slow.write_all(b"GET").await.unwrap();
    assert!(rest(&mut slow).await.contains("408"));
    kept.publish(&[("topic", "a")]).await;
}

/// Slow heads end over HTTP/2 too: a block without an end, frames that add nothing to it, and parts
/// of a frame's head.
#[tokio::test]
async fn slow_heads_end_over_http2() {
    let hub = Hub::start(QUICK);
    let head = b"\0\0\x01\x01\x01\0\0\0\x01\x82";
    let more = b"\0\0\0\x09\0\0\0\0\x01";
    for begun in [
        &head[..],
        &[&head[..], more].concat(),
        &head[..5],
        &head[..9],
        b"\0",
        &[&head[..], &more[..4]].concat(),
    ] {
        let mut frames = Frames::connect(hub.address, 65_535).await;
        frames.output.raw(begun).await;
        let code = end(&mut frames).await;
        assert_eq!(code, Some(11), "ENHANCE_YOUR_CALM after {begun:?}");
    }
}

/// The code of the GOAWAY that ends the connection.
async fn end(frames: &mut Frames) -> Option<u8> {
    let mut code = None;
    loop {
        match within("the end", frames.input.next()).await {
            Ok(Some(frame)) if frame.kind == kind::GOAWAY => code = frame.payload.get(7).copied(),
            Ok(Some(_)) => {}
            _ => return code,
        }
    }
}

/// A TLS handshake has the same time, whether it begins or not.
#[tokio::test]
async fn slow_handshakes_end() {
    let home = talaria_conformance::hub::Home::new();
    let name = format!("https://localhost:{}", talaria_conformance::free_port());
    let options = [(
        "GLOBAL_OPTIONS",
        "skip_install_trust\nauto_https disable_redirects",
    )];
    let hub = home.start(&name, QUICK, &options).expect("it starts");
    for begun in [&b""[..], b"\x16", b"\x16\x03\x01\x02\0\x01"] {
        let mut stream = connect(&hub).await;
        stream.write_all(begun).await.unwrap();
        rest(&mut stream).await;
    }
}

/// A head may have 128 KiB with its target, and `max_header_size` and `max_header_fields` change
/// the bounds.
#[tokio::test]
async fn heads_have_the_configured_size() {
    for (directive, length, fields, status) in [
        ("", 120_000, 90, 200),
        ("", 132_000, 1, 431),
        ("", 1_000_000, 1, 431),
        ("", 1, 101, 431),
        ("max_header_size 1MiB", 1_000_000, 1, 200),
        ("max_header_size 8KiB", 9_000, 1, 431),
        ("max_header_fields 500", 1, 490, 200),
        ("max_header_fields 500", 1, 510, 431),
        ("max_header_fields 10", 1, 11, 431),
    ] {
        let hub = Hub::start(&format!("anonymous\ntransport memory\n{directive}"));
        let field = "a".repeat(length);
        let mut client = hub.client().header("x", &field);
        for number in 1..fields {
            client = client.header(&format!("y{number}"), "z");
        }
        for client in [client.clone(), client.http2()] {
            let answer = client.get("/robots.txt").await;
            assert_eq!(answer.status, status, "{directive} {length} {fields}");
            let names = answer.text.contains("max_header_size");
            assert_eq!(names, status == 431, "{}", answer.text);
        }
    }
}

/// The memory of all heads together is bounded: one address has no more than its share, another one
/// is served, and freed memory is available again.
#[tokio::test]
async fn heads_have_a_bound_together() {
    let hub = Hub::start("anonymous\ntransport memory\nmax_header_memory 4MiB");
    let begun = format!("GET / HTTP/1.1\r\nHost: a\r\nx: {}", "a".repeat(100_000));
    let mut open = Vec::new();
    for _ in 0..60 {
        let mut stream = connect(&hub).await;
        let _ = stream.write_all(begun.as_bytes()).await;
        open.push(stream);
    }
    // At most 3,355,443 bytes are held, so at least 26 have been refused.
    let mut refused = 0;
    for stream in &mut open {
        let mut answer = [0; 12];
        tokio::select! {
            biased;
            read = stream.read_exact(&mut answer) => {
                refused += usize::from(read.is_ok() && answer == *b"HTTP/1.1 503");
            }
            () = async {
                // Whatever was to be refused is by now.
                for _ in 0..5 {
                    hub.client().get("/robots.txt").await;
                }
            } => {}
        }
    }
    assert!((26..60).contains(&refused), "{refused}");
    // A two-hundredth of the bound is for each that has less.
    let large = "a".repeat(10_000);
    let other = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
    let answer = hub
        .client()
        .from(other)
        .header("x", &large)
        .get("/robots.txt")
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    drop(open);
    within("memory", async {
        let client = hub.client().header("x", &large);
        while client.get("/robots.txt").await.status != 200 {}
    })
    .await;
}

/// The hub refuses a body that declares too large a size, or that comes without a token, before it
/// asks for it.
#[tokio::test]
async fn the_hub_asks_for_no_body_that_it_refuses() {
    let hub = Hub::classic("anonymous\ntransport memory");
    let host = &hub.host;
    let token = hub.publisher_token(&[talaria_conformance::token::exact("*")]);
    let form = "Content-Type: application/x-www-form-urlencoded\r\nExpect: 100-continue\r\n";
    for (method, fields, status, names) in [
        (
            "POST",
            format!("Authorization: Bearer {token}\r\nContent-Length: 20000000\r\n"),
            413,
            "max_request_body_size",
        ),
        ("POST", "Content-Length: 10\r\n".to_owned(), 401, ""),
        (
            "QUERY",
            "Content-Length: 300000\r\n".to_owned(),
            413,
            "max_anonymous_body_size",
        ),
    ] {
        let request = format!(
            "{method} {HUB_PATH} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{form}{fields}\r\n"
        );
        let answer = raw::exchange(hub.address, request.as_bytes()).await;
        assert_eq!(raw::status(&answer), status, "{answer}");
        assert!(
            answer.contains(names) && !answer.contains("100 Continue"),
            "{answer}"
        );
    }
}

/// A `QUERY` without a token has 256 KiB, whatever `max_request_body_size` says; one with a token has that.
#[tokio::test]
async fn anonymous_queries_are_short() {
    let hub = Hub::classic("anonymous\ntransport memory");
    let bytes = |length: usize| format!("match=a&x={}", "b".repeat(length - 10));
    let token = hub.subscriber_token(&[talaria_conformance::token::exact("a")]);
    for (client, length, status) in [
        (hub.client(), 256 * 1024, 200),
        (hub.client(), 256 * 1024 + 1, 413),
        (hub.client().http2(), 256 * 1024 + 1, 413),
        (hub.client().bearer(&token), 3 << 20, 200),
    ] {
        let client = client.form();
        let (answer, _) = client.open("QUERY", HUB_PATH, bytes(length).into()).await;
        assert_eq!(answer.status(), status, "{length}");
    }
}
