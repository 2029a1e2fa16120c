//! Bodies: streamed, and delimited so that every server understands them alike.

use std::time::Duration;

use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use tokio::time::timeout;

use super::peers::*;
use super::*;

/// Both directions pass each part on before the next is there.
#[tokio::test]
async fn bodies_are_streamed() {
    let (address, mut connections) = server().await;
    let front = front_of(address).await;
    let mut client = connect(front).await;
    write(
        &mut client,
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n",
    )
    .await;
    let mut upstream = next(&mut connections).await;
    read_until(&mut upstream, "3\r\none\r\n").await;
    write(&mut client, "3\r\ntwo\r\n0\r\n\r\n").await;
    read_until(&mut upstream, "3\r\ntwo\r\n0\r\n\r\n").await;
    let head =
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
    write(&mut upstream, head).await;
    read_until(&mut client, "\r\n\r\n").await;
    for _ in 0..3 {
        write(&mut upstream, "9\r\ndata: 1\n\n\r\n").await;
        read_until(&mut client, "9\r\ndata: 1\n\n\r\n").await;
    }
}

/// When the program stops, event streams end as a whole body does, and so does the request to the upstream.
/// Other bodies go on.
#[tokio::test]
async fn event_streams_end_with_the_program() {
    let (address, mut connections) = server().await;
    let options = Options::default();
    let stopping = options.stopping.clone();
    let upstreams = Upstreams::new(vec![upstream(address)], options).unwrap();
    let front = front(upstreams, false).await;
    let mut clients = Vec::new();
    for media_type in ["Text/Event-Stream; charset=utf-8", "text/plain"] {
        let mut client = connect(front).await;
        let ask = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        write(&mut client, ask).await;
        let mut upstream = next(&mut connections).await;
        let head = format!("HTTP/1.1 200 OK\r\nContent-Type: {media_type}\r\n");
        let chunk = "Transfer-Encoding: chunked\r\n\r\n3\r\none\r\n";
        write(&mut upstream, &(head + chunk)).await;
        read_until(&mut client, "3\r\none\r\n").await;
        clients.push((client, upstream));
    }
    stopping.cancel();
    let (mut other, mut busy) = clients.pop().unwrap();
    let (mut client, mut upstream) = clients.pop().unwrap();
    assert_eq!(read_all(&mut client).await, "0\r\n\r\n");
    read_all(&mut upstream).await;
    write(&mut busy, "3\r\ntwo\r\n0\r\n\r\n").await;
    assert_eq!(read_all(&mut other).await, "3\r\ntwo\r\n0\r\n\r\n");
}

/// A client that waits for `100 Continue` gets it.
#[tokio::test]
async fn an_expectation_is_met() {
    let (address, mut connections) = server().await;
    let front = front_of(address).await;
    let mut client = connect(front).await;
    let head = "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n";
    write(&mut client, head).await;
    read_until(&mut client, "HTTP/1.1 100 Continue\r\n\r\n").await;
    write(&mut client, "body").await;
    let received = read_until(&mut next(&mut connections).await, "\r\n\r\nbody").await;
    assert!(received.contains("content-length: 4\r\n"), "{received}");
}

/// A request that two servers could understand as one or as two is refused (RFC 9112, section 6.1).
#[tokio::test]
async fn ambiguous_requests_are_refused() {
    let (address, mut connections) = server().await;
    let upstreams = upstreams(&[address]);
    let forwarded = Forwarded {
        peer: None,
        is_trusted: false,
        scheme: "http",
        host: "a".to_owned(),
    };
    for fields in [
        [(CONTENT_LENGTH, "4"), (TRANSFER_ENCODING, "chunked")],
        [(CONTENT_LENGTH, "4"), (CONTENT_LENGTH, "5")],
        [(TRANSFER_ENCODING, "chunked"), (TRANSFER_ENCODING, "x")],
    ] {
        let mut request = Request::post("/").body(Body::from("body")).unwrap();
        for (name, value) in fields {
            request.headers_mut().append(name, value.parse().unwrap());
        }
        let answer = upstreams.proxy(request, forwarded.clone(), |_| {}).await;
        assert_eq!(answer.status(), 400);
    }
    assert!(connections.try_recv().is_err());
}

/// Whatever framing a client tries, the upstream sees one request, with one length, and nothing after it.
#[tokio::test]
async fn no_request_is_smuggled() {
    const HIDDEN: &str = "GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n";
    const MOMENT: Duration = Duration::from_millis(300);
    let chunked = format!("0\r\n\r\n{HIDDEN}");
    let length = HIDDEN.len();
    for (fields, body) in [
        (
            "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n",
            &chunked[..],
        ),
        (
            "Transfer-Encoding: chunked\r\nContent-Length: 6\r\n",
            &chunked,
        ),
        (
            "Transfer-Encoding: xchunked\r\nContent-Length: 5\r\n",
            &chunked,
        ),
        (
            "Transfer-Encoding : chunked\r\nContent-Length: 5\r\n",
            &chunked,
        ),
        (
            "Transfer-Encoding: chunked\r\nConnection: transfer-encoding\r\n",
            &chunked,
        ),
        (
            &format!("Content-Length: 0\r\nContent-Length: {length}\r\n"),
            HIDDEN,
        ),
        (
            &format!("Content-Length: {length}\r\nConnection: content-length\r\n"),
            HIDDEN,
        ),
        (&format!("Content-Length: +{length}\r\n"), HIDDEN),
        (&format!("X: y\nContent-Length: {length}\r\n"), HIDDEN),
    ] {
        let (address, mut connections) = server().await;
        let mut client = connect(front_of(address).await).await;
        write(
            &mut client,
            &format!("POST /seen HTTP/1.1\r\nHost: a\r\n{fields}\r\n{body}"),
        )
        .await;
        let Ok(upstream) = timeout(MOMENT, connections.recv()).await else {
            let refused = read_for(&mut client, MOMENT).await;
            assert!(refused.starts_with("HTTP/1.1 400 "), "{fields}: {refused}");
            continue;
        };
        let mut upstream = upstream.unwrap();
        let seen = read_for(&mut upstream, MOMENT).await;
        let (head, rest) = seen.split_once("\r\n\r\n").unwrap();
        let head = head.to_ascii_lowercase();
        let has = |field: &str| head.contains(&format!("\r\n{field}"));
        if has("transfer-encoding: chunked") {
            assert!(!has("content-length:"), "{fields}: {seen}");
            assert_eq!(rest, "0\r\n\r\n", "{fields}: {seen}");
        } else {
            assert!(
                has(&format!("content-length: {}\r\n", rest.len()))
                    || has(&format!("content-length: {}", rest.len())),
                "{fields}: {seen}"
            );
            assert!(!has("transfer-encoding:"), "{fields}: {seen}");
        }
    }
}
