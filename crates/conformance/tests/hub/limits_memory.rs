//! What the streams and bodies of clients may occupy in memory (`docs/limits.md`).

use http::StatusCode;
use talaria_conformance::client::{form, target};
use talaria_conformance::frames::{Frames, kind};
use talaria_conformance::hub::Hub;
use talaria_conformance::token::{Matcher, exact, pattern};
use talaria_conformance::{HUB_PATH, raw, within};
use tokio::net::TcpStream;

/// The streams of one HTTP/2 connection may not select more than a connection may have, however few
/// bytes that takes to say; another connection, and the hub, are not concerned.
#[tokio::test]
async fn one_connection_does_not_fill_the_memory() {
    let hub = Hub::start("anonymous\ntransport memory\nmax_matcher_memory_per_connection 200KiB");
    let mut frames = Frames::connect(hub.address, 65_535).await;
    for number in 0..100_u32 {
        let matcher = |part: u32| pattern(format!("/{number}/{part}/:a{{/:b}}?{{/:c}}?"));
        let matchers: Vec<_> = (0..64).map(matcher).collect();
        let parameters: Vec<_> = matchers.iter().map(Matcher::parameter).collect();
        let path = target(&parameters);
        let fields = [
            (":method", "GET"),
            (":scheme", "http"),
            (":authority", hub.host.as_str()),
            (":path", &path),
        ];
        frames.output.request(1 + 2 * number, &fields).await;
    }
    let (mut accepted, mut refused) = (0, 0);
    while accepted + refused < 100 {
        let frame = within("a head", frames.input.next())
            .await
            .unwrap()
            .unwrap();
        match frame.payload.first() {
            // 200, of the static table.
            Some(0x88) if frame.kind == kind::HEADERS => accepted += 1,
            _ if frame.kind == kind::HEADERS => refused += 1,
            _ => {}
        }
    }
    // 64 patterns of half a KiB or more.
    assert!((1..10).contains(&accepted), "{accepted} streams");
    hub.client().subscribe(&[pattern("/a/:b")]).await;
}

/// Half-sent bodies of anonymous clients do not stand in the way of publishers, not even at the same
/// address, nor of subscribers.
#[tokio::test]
async fn half_sent_bodies_leave_room_for_publishers() {
    let hub = Hub::start(
        "anonymous\ntransport memory\nmax_body_memory 1MiB\nmax_request_body_size 300KiB",
    );
    let begun = format!(
        "QUERY {HUB_PATH} HTTP/1.1\r\nhost: {}\r\ncontent-type: application/x-www-form-urlencoded\r\ncontent-length: 60000\r\nexpect: 100-continue\r\n\r\n",
        hub.host
    );
    // A client that is told to continue holds what it declares.
    let mut half = Vec::new();
    loop {
        let mut stream = TcpStream::connect(hub.address).await.unwrap();
        let head = raw::begin(&mut stream, begun.as_bytes()).await;
        if raw::status(&head) == 429 {
            break;
        }
        assert_eq!(raw::status(&head), 100);
        half.push(stream);
        assert!(half.len() < 10, "more than a quarter");
    }
    let body = form(&[("match", &"a".repeat(60_000))]);
    let query = || async {
        let client = hub.client().form();
        client.send("QUERY", HUB_PATH, body.clone()).await
    };
    let answer = query().await;
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(
        answer.text.contains("bytes of request bodies"),
        "{}",
        answer.text
    );
    assert_eq!(answer.header("retry-after"), "1");
    let mut stream = hub.client().subscribe(&[exact("a")]).await;
    let data = "d".repeat(200_000);
    for _ in 0..3 {
        hub.publisher()
            .published(&[("topic", "a"), ("data", &data)])
            .await;
        assert_eq!(stream.data().await.len(), data.len());
    }
    drop(half);
    let again = async { while query().await.status == StatusCode::TOO_MANY_REQUESTS {} };
    within("room", again).await;
}
