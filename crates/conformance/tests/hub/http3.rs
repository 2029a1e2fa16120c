//! HTTP/3: everything that works over HTTP/2, with the same limits and endings.

mod attacks;
pub mod client;
mod departures;
mod endings;
mod offers;

use talaria_conformance::client::form;
use talaria_conformance::token::{Token, exact};
use talaria_conformance::{HUB_PATH, within};

use self::client::Secure;

/// "The connection SHOULD use HTTP version 2 or higher": publish and subscribe, also resuming and by QUERY.
#[tokio::test]
async fn everything_works_over_http3() {
    let secure = Secure::start("");
    let mut client = secure.connect().await;
    let mut stream = client.subscribe("a", &[]).await;
    assert!(!stream.headers.contains_key("connection"));
    let token = secure.publisher_token();
    let first = client.publish(&token, "a", "1").await;
    assert!(first.starts_with("urn:uuid:"), "{first}");
    client.publish(&token, "a", "2").await;
    assert_eq!(stream.data().await, "1");
    assert_eq!(stream.data().await, "2");
    let mut resumed = client.subscribe("a", &[("last-event-id", &first)]).await;
    assert_eq!(resumed.data().await, "2");
    let fields = [("content-type", "application/x-www-form-urlencoded")];
    let body = form(&[("match", "a"), ("last_event_id", &first)]);
    let mut queried = client
        .open("QUERY", HUB_PATH, &fields, &body)
        .await
        .unwrap();
    assert_eq!(queried.recv_response().await.unwrap().status(), 200);
    // A private update reaches whom its token admits.
    let url = secure.url(HUB_PATH);
    let grant = Token::new(&url).grant("subscribe", &[exact("a")]);
    let bearer = format!("Bearer {}", secure.hub.sign_as_subscriber(&grant));
    let mut private = client.subscribe("a", &[("authorization", &bearer)]).await;
    let publisher = format!("Bearer {token}");
    let fields = [fields[0], ("authorization", publisher.as_str())];
    let body = form(&[("topic", "a"), ("data", "3"), ("private", "on")]);
    assert_eq!(
        client.ask("POST", HUB_PATH, &fields, &body).await.status,
        200
    );
    client.publish(&token, "a", "4").await;
    assert_eq!(private.data().await, "3");
    assert_eq!(stream.data().await, "4");
}

/// The ordinary refusals, and `HEAD`, which has no body.
#[tokio::test]
async fn answers_are_those_of_http2() {
    let secure = Secure::start("max_request_body_size 10KiB");
    let mut client = secure.connect().await;
    let page = client.ask("GET", "/robots.txt", &[], "").await;
    assert_eq!((page.status.as_u16(), page.text.is_empty()), (200, false));
    assert!(page.headers.contains_key("date"));
    let head = client.ask("HEAD", "/robots.txt", &[], "").await;
    assert_eq!((head.status.as_u16(), head.text.as_str()), (200, ""));
    let length = head.headers["content-length"].to_str().unwrap();
    assert_eq!(length, page.text.len().to_string());
    assert_eq!(client.ask("GET", "/missing", &[], "").await.status, 404);
    assert_eq!(client.ask("DELETE", HUB_PATH, &[], "").await.status, 405);
    assert_eq!(
        client.ask("POST", HUB_PATH, &[], "topic=a").await.status,
        401
    );
    assert_eq!(client.ask("GET", "/healthz", &[], "").await.status, 200);
    let bearer = format!("Bearer {}", secure.publisher_token());
    let fields = [
        ("authorization", bearer.as_str()),
        ("content-type", "application/x-www-form-urlencoded"),
    ];
    let long = form(&[("topic", "a"), ("data", &"x".repeat(11_000))]);
    assert_eq!(
        client.ask("POST", HUB_PATH, &fields, &long).await.status,
        413
    );
    let wrong = [fields[0], fields[1], ("content-length", "1000")];
    let short = client.ask("POST", HUB_PATH, &wrong, "topic=a").await;
    assert_eq!(short.status, 400, "{}", short.text);
    // The next request is answered on the same connection.
    client.publish(&secure.publisher_token(), "a", "1").await;
}

/// Heads beyond the bounds are answered with 431, one that does not come with 408, malformed ones with 400.
#[tokio::test]
async fn heads_at_fault_are_answered() {
    let secure = Secure::start("max_header_size 8KiB\nmax_header_fields 20\nheader_timeout 500ms");
    let mut client = secure.connect().await;
    let many = client
        .ask("GET", "/robots.txt", &[("a", "b"); 21], "")
        .await;
    assert_eq!(many.status, 431);
    // HEADERS of 9,000 bytes, which need not come.
    let long = client.raw(b"\x01\x63\x28", false).await.unwrap();
    for text in [many.text, String::from_utf8_lossy(&long).into_owned()] {
        assert!(text.contains("raise max_header_size"), "{text}");
    }
    // HEADERS of 64 bytes, of which two come.
    let late = client.raw(b"\x01\x40\x40\0\0", false).await.unwrap();
    let text = String::from_utf8_lossy(&late);
    assert!(text.contains("did not come within 0.5 s"), "{text}");
    // `:method GET`, `:scheme https`, `:authority a`, and a path with a fragment.
    let fragment = b"\x01\x0d\0\0\xd1\xd7\x50\x01a\x51\x04/a#b";
    let text = client.raw(fragment, true).await.unwrap();
    let text = String::from_utf8_lossy(&text);
    assert!(text.contains("raw #"), "{text}");
    let told = |reason: &'static str| {
        move |line: &str| line.contains(&format!("reason=\"{reason}\"")).then_some(())
    };
    for reason in ["head_too_large", "head_timeout", "fragment"] {
        let found = secure
            .hub
            .log
            .find(0, talaria_conformance::PATIENCE, told(reason));
        found.unwrap_or_else(|said| panic!("no {reason}: {said}"));
    }
    assert_eq!(client.ask("GET", "/robots.txt", &[], "").await.status, 200);
}

/// 200 streams of one connection, and the 201st on another, each get what is published.
#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_streams_share_a_connection() {
    let secure = Secure::start("");
    let mut client = secure.connect().await;
    let mut streams = Vec::new();
    for _ in 0..200 {
        streams.push(client.subscribe("a", &[]).await);
    }
    let mut other = secure.connect().await;
    streams.push(other.subscribe("a", &[]).await);
    let token = secure.publisher_token();
    for data in ["1", "2"] {
        client.publish(&token, "a", data).await;
        for stream in &mut streams {
            assert_eq!(stream.data().await, data);
        }
    }
}

/// A client whose port changes, as behind a NAT or on another network, keeps its streams.
#[tokio::test(flavor = "multi_thread")]
async fn streams_survive_another_port() {
    let secure = Secure::start("");
    let mut client = secure.connect().await;
    let mut publisher = secure.connect().await;
    let token = secure.publisher_token();
    let mut streams = Vec::new();
    for _ in 0..20 {
        streams.push(client.subscribe("a", &[]).await);
    }
    for round in 0..5 {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        client.endpoint.rebind(socket).unwrap();
        assert_eq!(client.endpoint.local_addr().unwrap().port(), port);
        // The hub knows the new port once something comes from there.
        if round % 2 == 0 {
            client.publish(&token, "a", "own").await;
        } else {
            publisher.publish(&token, "a", "own").await;
        }
        for stream in &mut streams {
            assert_eq!(stream.data().await, "own");
        }
    }
}

/// A connection has as many streams as it may; a further one waits until one has ended.
#[tokio::test]
async fn streams_of_a_connection_are_bounded() {
    let secure = Secure::start("max_streams_per_connection 3");
    let mut client = secure.connect().await;
    let mut streams = Vec::new();
    for _ in 0..3 {
        streams.push(client.subscribe("a", &[]).await);
    }
    let quic = client.quic.clone();
    let mut fourth = std::pin::pin!(quic.open_bi());
    let answer = std::future::poll_fn(|context| {
        use std::future::Future as _;
        std::task::Poll::Ready(fourth.as_mut().poll(context).is_pending())
    });
    assert!(answer.await, "a fourth stream");
    drop(streams.pop());
    within("room for a stream", fourth).await.unwrap();
}
