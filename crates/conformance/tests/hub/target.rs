//! The request target (RFC 9112, section 3.2; RFC 9113, section 8.3.1): the existing hub takes every raw
//! byte but control characters, and so do we; a `#` is refused, because it may be data or begin a fragment.

use std::fmt::Write as _;

use talaria_conformance::frames::{Frames, kind};
use talaria_conformance::hub::Hub;
use talaria_conformance::raw;
use talaria_conformance::token::exact;
use talaria_conformance::{HUB_PATH, within};

/// Every byte that may be in a target, and DEL.
const BYTES: std::ops::RangeInclusive<u8> = 0x21..=0xff;

/// Sends a `HEAD` request for a target, and returns the status.
async fn http1(hub: &Hub, target: &[u8], token: &str) -> u16 {
    let fields = format!(
        " HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n",
        hub.host
    );
    let answer = raw::exchange(hub.address, &[b"HEAD ", target, fields.as_bytes()].concat()).await;
    raw::status(&answer)
}

/// Sends the same over HTTP/2, on a new connection.
async fn http2(hub: &Hub, target: &[u8], token: &str) -> u16 {
    let mut frames = Frames::connect(hub.address, 65_535).await;
    let bearer = format!("Bearer {token}");
    let fields: [(&str, &[u8]); 5] = [
        (":method", b"HEAD"),
        (":scheme", b"http"),
        (":authority", hub.host.as_bytes()),
        (":path", target),
        ("authorization", bearer.as_bytes()),
    ];
    frames.output.request(1, &fields).await;
    loop {
        let frame = within("the head", frames.input.next()).await;
        let frame = frame.expect("no reset").expect("the connection goes on");
        assert!(
            ![kind::RST_STREAM, kind::GOAWAY].contains(&frame.kind),
            "{frame:?} for {}",
            target.escape_ascii()
        );
        if frame.kind == kind::HEADERS {
            return frame.status();
        }
    }
}

/// Asks for each byte, raw and percent-encoded, between these two, and compares with what is
/// expected of both forms. A difference names the byte.
async fn matrix(directives: &str, over_http2: bool, prefix: &str, expected: fn(u8) -> [u16; 2]) {
    let hub = Hub::start(directives);
    let token = hub.subscriber_token(&[exact("*")]);
    let mut differences = String::new();
    for byte in BYTES {
        let raw = [prefix.as_bytes(), &[byte], b"y"].concat();
        let encoded = format!("{prefix}%{byte:02X}y").into_bytes();
        let mut statuses = [0; 2];
        for (target, status) in [raw, encoded].iter().zip(&mut statuses) {
            *status = match over_http2 {
                true => http2(&hub, target, &token).await,
                false => http1(&hub, target, &token).await,
            };
        }
        if statuses != expected(byte) {
            let expected = expected(byte);
            let _ = writeln!(
                differences,
                "{byte:#x}: {statuses:?} instead of {expected:?}"
            );
        }
    }
    assert_eq!(differences, "");
}

/// A matcher: what is not UTF-8 or a control character is refused by the hub, whatever its form.
fn in_query(byte: u8) -> [u16; 2] {
    match byte {
        b'#' => [400, 200],
        0x7f.. => [400, 400],
        _ => [200, 200],
    }
}

/// A segment of the subscription API, which is read percent-decoded.
fn in_path(byte: u8) -> [u16; 2] {
    match byte {
        b'#' | b'%' | 0x7f => [400, 200],
        // Another segment, of which there is none.
        b'/' => [404, 200],
        0x80.. => [400, 400],
        _ => [200, 200],
    }
}

/// A path that the hub does not serve.
fn elsewhere(byte: u8) -> [u16; 2] {
    match byte {
        b'#' | 0x7f => [400, 404],
        _ => [404, 404],
    }
}

const QUERY: &str = "/.well-known/mercure?match=x";
const PATH: &str = "/.well-known/mercure/subscriptions/exact/x";
const PLAIN: &str = "anonymous\ntransport memory";
const LISTING: &str = "anonymous\ntransport memory\nsubscriptions";

#[tokio::test]
async fn every_byte_in_a_query_over_http1() {
    matrix(PLAIN, false, QUERY, in_query).await;
}

#[tokio::test]
async fn every_byte_in_a_query_over_http2() {
    matrix(PLAIN, true, QUERY, in_query).await;
}

#[tokio::test]
async fn every_byte_in_a_path_over_http1() {
    matrix(LISTING, false, PATH, in_path).await;
    matrix(PLAIN, false, "/nowhere/x", elsewhere).await;
}

#[tokio::test]
async fn every_byte_in_a_path_over_http2() {
    matrix(LISTING, true, PATH, in_path).await;
    matrix(PLAIN, true, "/nowhere/x", elsewhere).await;
}

/// A raw byte means what its percent-encoded form means: the topic that it is part of.
#[tokio::test]
async fn a_raw_byte_is_part_of_the_topic() {
    let hub = Hub::ordinary();
    let topic = "https://example.com/a\"<b>`{c}|d^\\[e]\u{e9}\u{1f600}'";
    let target = format!("{HUB_PATH}?match={topic}");
    let mut stream = tokio::net::TcpStream::connect(hub.address)
        .await
        .expect("it accepts");
    let request = format!("GET {target} HTTP/1.1\r\nHost: {}\r\n\r\n", hub.host);
    let head = raw::begin(&mut stream, request.as_bytes()).await;
    assert_eq!(raw::status(&head), 200, "{head}");
    let mut frames = Frames::connect(hub.address, 65_535).await;
    let fields = [
        (":method", "GET"),
        (":scheme", "http"),
        (":authority", hub.host.as_str()),
        (":path", &target),
    ];
    frames.output.request(1, &fields).await;
    loop {
        let frame = within("the head", frames.input.next()).await;
        if frame.expect("no reset").expect("it goes on").kind == kind::HEADERS {
            break;
        }
    }
    hub.publisher()
        .published(&[("topic", topic), ("data", "found")])
        .await;
    raw::until(&mut stream, "data: found\n").await;
    let mut text = Vec::new();
    while !String::from_utf8_lossy(&text).contains("data: found\n") {
        let frame = within("the update", frames.input.next()).await;
        let frame = frame.expect("no reset").expect("it goes on");
        if frame.kind == kind::DATA {
            text.extend(frame.payload);
        }
    }
}

/// Streams of one HTTP/2 connection before, with and after such a target are all served.
#[tokio::test]
async fn a_raw_target_leaves_the_other_streams_alone() {
    let hub = Hub::ordinary();
    let mut frames = Frames::connect(hub.address, 65_535).await;
    let long = format!("{HUB_PATH}?match={}", "x".repeat(65_535));
    let targets: [&[u8]; 7] = [
        b"/robots.txt",
        b"/robots.txt?\"",
        b"/robots.txt?\xff",
        b"/robots.txt#",
        long.as_bytes(),
        b"robots.txt",
        b"/robots.txt",
    ];
    for (number, target) in (0_u32..).zip(targets) {
        let fields: [(&str, &[u8]); 4] = [
            (":method", b"GET"),
            (":scheme", b"http"),
            (":authority", hub.host.as_bytes()),
            (":path", target),
        ];
        // A head of several frames: HEADERS of 16 KiB at most, then CONTINUATION.
        frames.output.request(2 * number + 1, &fields).await;
    }
    let mut ended = 0;
    let mut texts = vec![Vec::new(); targets.len()];
    while ended < targets.len() {
        let frame = within("all answers", frames.input.next()).await;
        let frame = frame.expect("no reset").expect("the connection goes on");
        assert!(
            ![kind::RST_STREAM, kind::GOAWAY].contains(&frame.kind),
            "{frame:?}"
        );
        if frame.kind == kind::DATA {
            texts[frame.stream as usize / 2].extend_from_slice(&frame.payload);
        }
        ended += usize::from(frame.ends_stream());
    }
    let texts: Vec<_> = texts
        .iter()
        .map(|text| String::from_utf8_lossy(text))
        .collect();
    for (number, expected) in [
        (0, "User-agent"),
        (1, "User-agent"),
        (2, "User-agent"),
        (3, "%23"),
        (4, "65534"),
        (5, "begin it with /"),
        (6, "User-agent"),
    ] {
        assert!(texts[number].contains(expected), "{number}: {texts:?}");
    }
}

/// Requests that come one after the other, and in pieces, with bodies that look like request lines:
/// each is answered, and the bodies arrive as they were sent.
#[tokio::test]
async fn bodies_are_not_taken_for_targets() {
    let hub = Hub::ordinary();
    let mut stream = hub.client().subscribe(&[exact("a\"b")]).await;
    let trap = "\r\n\r\nGET /\"<\u{e9} HTTP/1.1\r\nHost: x\r\n\r\n";
    let data = format!("topic=a%22b&data={trap}").replace("\r\n", "%0D%0A");
    let host = &hub.host;
    let token = hub.publisher_token(&[exact("*")]);
    let post = format!(
        "POST {HUB_PATH}?\" HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    );
    // Raw, as no form encodes it: the trap stands in a field that is ignored.
    let body = format!("x={trap}&{data}");
    let (first, second) = body.split_at(body.find('<').expect("it has one"));
    let requests = [
        format!("{post}Content-Length: {}\r\n\r\n{body}", body.len()),
        format!("GET /robots.txt?\"> HTTP/1.1\r\nHost: {host}\r\n\r\n"),
        format!(
            "{post}Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{first}\r\n{:x};a=\"b\"\r\n{second}\r\n0\r\nTrailer: \"\r\n\r\n",
            first.len(),
            second.len()
        ),
        format!("\r\nGET /robots.txt?{{\"\u{e9}\"}} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"),
    ]
    .concat();
    for piece in [requests.len(), 1000, 7, 1] {
        let answers = raw::exchange_in_pieces(hub.address, requests.as_bytes(), piece).await;
        let statuses: Vec<_> = answers
            .match_indices("HTTP/1.1 ")
            .map(|(at, _)| &answers[at + 9..at + 12])
            .collect();
        assert_eq!(statuses, ["200"; 4], "in pieces of {piece}: {answers}");
        assert_eq!(answers.matches("User-agent").count(), 2, "{answers}");
        for _ in 0..2 {
            assert_eq!(stream.event().await.data, trap.replace("\r\n", "\n"));
        }
    }
}
