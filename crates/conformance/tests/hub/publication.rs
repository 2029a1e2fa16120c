//! The request, the order of its checks, and the answer ("Publication").

use talaria_conformance::client::{Client, form};
use talaria_conformance::hub::{Hub, ORDINARY};
use talaria_conformance::token::exact;
use talaria_conformance::{HUB_PATH, raw};

/// "On success, the hub MUST return a 200 (OK) HTTP status code, and the response body MUST be
/// the `id`", as `text/plain; charset=utf-8`.
#[tokio::test]
async fn success_is_200_with_the_id() {
    let hub = Hub::ordinary();
    let mut stream = hub.client().subscribe(&[exact("a")]).await;
    let answer = hub
        .publisher()
        .publish(&[("topic", "a"), ("unknown", "ignored")])
        .await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
    assert_eq!(stream.event().await.id, answer.text);
    for (name, value) in [
        ("x-frame-options", "DENY"),
        ("x-content-type-options", "nosniff"),
        ("x-xss-protection", "1; mode=block"),
    ] {
        assert_eq!(answer.header(name), value, "B-320 to B-323");
    }
}

/// The hub answers a missing token before it asks for the body.
#[tokio::test]
async fn a_token_comes_before_the_body() {
    let hub = Hub::ordinary();
    let head = raw::head(
        hub.address,
        &format!(
            "POST {HUB_PATH} HTTP/1.1\r\nHost: {}\r\nContent-Length: 900000\r\n\r\n",
            hub.host
        ),
    )
    .await;
    assert_eq!(raw::status(&head), 401, "{head}");
    assert!(
        head.to_ascii_lowercase()
            .contains("\r\nwww-authenticate: bearer"),
        "{head}"
    );
}

/// Any media type but the form gets 400, before the body is read.
#[tokio::test]
async fn the_body_must_be_a_form() {
    let hub = Hub::ordinary();
    for kind in [
        "application/json",
        "multipart/form-data; boundary=x",
        "text/plain",
        "nonsense",
    ] {
        let client = hub.publisher().header("content-type", kind);
        assert_eq!(
            client.publish(&[("topic", "a")]).await.status,
            400,
            "{kind}"
        );
    }
    assert_eq!(
        hub.publisher()
            .send("POST", HUB_PATH, "topic=a")
            .await
            .status,
        400,
        "none"
    );
    let client = hub.publisher().header(
        "content-type",
        "Application/X-WWW-Form-Urlencoded;charset=utf-8",
    );
    assert_eq!(client.publish(&[("topic", "a")]).await.status, 200);
}

/// "Requests exceeding any such limit MUST be rejected with a 413 "Content Too Large"".
#[tokio::test]
async fn what_is_too_large_is_413() {
    let hub = Hub::ordinary();
    let publisher = hub.publisher();
    let (fits, exceeds) = ("a".repeat(4096), "a".repeat(4097));
    for field in ["topic", "id", "type"] {
        let status = publisher
            .publish(&[("topic", "a"), (field, &fits)])
            .await
            .status;
        assert_eq!(status, 200, "4,096 bytes of {field}");
        let status = publisher
            .publish(&[("topic", "a"), (field, &exceeds)])
            .await
            .status;
        assert_eq!(status, 413, "4,097 bytes of {field}");
    }
    let topics = vec![("topic", "a"); 1001];
    assert_eq!(publisher.publish(&topics[..1000]).await.status, 200);
    assert_eq!(publisher.publish(&topics).await.status, 413);
    let data = "a".repeat(1024 * 1024);
    assert_eq!(status_of(&publisher, &data).await, 413);
}

/// The status of a publish with this content.
async fn status_of(publisher: &Client, data: &str) -> u16 {
    let fields = [("topic", "a"), ("data", data)];
    publisher.publish(&fields).await.status.as_u16()
}

/// `max_request_body_size` bounds a body that does not tell its length, too (B-214).
#[tokio::test]
async fn the_body_is_bounded_while_it_is_read() {
    let hub = Hub::start("anonymous\ntransport memory\nmax_request_body_size 1KiB");
    let publisher = hub.publisher();
    let (fits, exceeds) = ("a".repeat(1000), "a".repeat(1024));
    assert_eq!(status_of(&publisher, &fits).await, 200);
    assert_eq!(status_of(&publisher, &exceeds).await, 413);
    let token = hub.publisher_token(&[exact("*")]);
    let body = format!("topic=a&data={exceeds}");
    let head = raw::head(
        hub.address,
        &format!(
            "POST {HUB_PATH} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {token}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nTransfer-Encoding: chunked\r\n\r\n\
             {:x}\r\n{body}\r\n0\r\n\r\n",
            hub.host,
            body.len()
        ),
    )
    .await;
    assert_eq!(raw::status(&head), 413, "{head}");
}

/// `max_request_body_size 0` leaves a fixed bound of 10 MiB.
#[tokio::test]
async fn without_a_limit_ten_mebibytes_remain() {
    let hub = Hub::start("anonymous\ntransport memory\nmax_request_body_size 0");
    let publisher = hub.publisher();
    let data = "a".repeat(9 * 1024 * 1024);
    assert_eq!(status_of(&publisher, &data).await, 200);
    let data = "a".repeat(10 * 1024 * 1024);
    assert_eq!(status_of(&publisher, &data).await, 413);
}

/// The rules of the fields `topic`, `id`, `type`, `retry` and `data`.
#[tokio::test]
async fn fields_that_break_a_rule_are_refused() {
    let hub = Hub::ordinary();
    for fields in [
        &[("data", "no topic")][..],
        &[("topic", "*")],
        &[("topic", "a"), ("topic", "*")],
        &[("topic", "a\nb")],
        &[("topic", "a\u{9f}b")],
        &[("topic", "a\u{202e}b")],
        &[("topic", "a"), ("id", "#fragment")],
        &[("topic", "a"), ("id", "earliest")],
        &[("topic", "a"), ("id", "a\0b")],
        &[("topic", "a"), ("id", "a\u{200b}b")],
        &[("topic", "a"), ("type", "mercure")],
        &[("topic", "a"), ("type", "a\rb")],
        &[("topic", "a"), ("retry", "1.5")],
        &[("topic", "a"), ("retry", "-1")],
        &[("topic", "a"), ("retry", "٣")],
        &[("topic", "a"), ("retry", " 1")],
    ] {
        let answer = hub.publisher().publish(fields).await;
        assert_eq!(answer.status, 400, "{fields:?}");
        assert_eq!(answer.header("www-authenticate"), "", "{fields:?}");
        assert!(!answer.text.trim().is_empty(), "a reason: {fields:?}");
    }
    let publisher = hub.publisher().form();
    for body in ["topic=%FF", "topic=a&data=%FF", "topic=a&id=%80"] {
        assert_eq!(
            publisher.send("POST", HUB_PATH, body).await.status,
            400,
            "{body}: UTF-8"
        );
    }
    let in_query = format!("{HUB_PATH}?topic=a");
    assert_eq!(
        publisher.send("POST", &in_query, "data=x").await.status,
        400,
        "B-373: the body counts"
    );
    assert_eq!(publisher.send("POST", HUB_PATH, "").await.status, 400);
}

/// "for each topic, the token MUST carry a Mercure authorization detail" that grants `publish`,
/// and the rules of fields come before the grants.
#[tokio::test]
async fn every_topic_must_be_granted() {
    let hub = Hub::ordinary();
    let mut stream = hub.subscriber(&[exact("*")]).subscribe(&[exact("*")]).await;
    let client = hub
        .client()
        .bearer(&hub.publisher_token(&[exact("a"), exact("b")]));
    for fields in [
        &[("topic", "c")][..],
        &[("topic", "a"), ("topic", "c")],
        &[("topic", "A")],
    ] {
        let answer = client.publish(fields).await;
        assert_eq!(answer.status, 403, "{fields:?}");
        let challenge = answer.header("www-authenticate");
        assert!(
            challenge.contains(r#"error="insufficient_scope""#),
            "{challenge}"
        );
    }
    let none = hub
        .client()
        .bearer(&hub.publisher_token(&[]))
        .publish(&[("topic", "a")])
        .await;
    assert_eq!(none.status, 403, "B-445");
    assert_eq!(
        client.publish(&[("topic", "c"), ("id", "#")]).await.status,
        400,
        "fields before grants"
    );
    client
        .published(&[("topic", "a"), ("topic", "b"), ("data", "both")])
        .await;
    assert_eq!(
        stream.data().await,
        "both",
        "what was refused is not dispatched"
    );
}

/// Forms are parsed as the URL standard says.
#[tokio::test]
async fn the_form_is_parsed_as_the_url_standard_says() {
    let hub = Hub::ordinary();
    let mut stream = hub.client().subscribe(&[exact("a;b"), exact("100%")]).await;
    let publisher = hub.publisher().form();
    assert_eq!(
        publisher
            .send("POST", HUB_PATH, "topic=a;b&data=one+two")
            .await
            .status,
        200
    );
    assert_eq!(stream.data().await, "one two");
    assert_eq!(
        publisher
            .send("POST", HUB_PATH, "topic=100%&&data=%2")
            .await
            .status,
        200
    );
    assert_eq!(stream.data().await, "%2");
    assert_eq!(form(&[("a", "b c")]), "a=b+c");
}

/// A publisher that hangs up before it is answered changes nothing for others. Its update is there
/// once or not at all, live and replayed alike.
#[tokio::test]
async fn a_publisher_may_hang_up() {
    use tokio::io::AsyncWriteExt as _;
    let hub = Hub::ordinary();
    let start = hub.publisher().published(&[("topic", "urn:start")]).await;
    let mut live = hub.client().subscribe(&[exact("a")]).await;
    let token = hub.publisher_token(&[exact("*")]);
    for number in 0..50 {
        let body = form(&[("topic", "a"), ("data", &number.to_string())]);
        let request = format!(
            "POST {HUB_PATH} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {token}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
            hub.host,
            body.len()
        );
        let mut socket = tokio::net::TcpStream::connect(hub.address).await.unwrap();
        socket.write_all(request.as_bytes()).await.unwrap();
        drop(socket);
        hub.publisher()
            .published(&[("topic", "a"), ("data", "kept")])
            .await;
    }
    hub.publisher()
        .published(&[("topic", "a"), ("data", "end")])
        .await;
    let seen = live.until("end").await;
    let mut once = seen
        .iter()
        .filter(|data| *data != "kept")
        .collect::<Vec<_>>();
    println!("hanging up: {} of 50 updates were taken", once.len());
    assert_eq!(seen.len() - once.len(), 50);
    once.sort();
    once.dedup();
    assert_eq!(once.len(), seen.len() - 50, "twice in {seen:?}");
    let mut replayed = hub
        .client()
        .last_event_id(&start)
        .subscribe(&[exact("a")])
        .await;
    assert_eq!(replayed.until("end").await, seen);
}

/// `repeat_window`: a publish with the same id by the same token subject is stored once, also when
/// both are under way; without it, and by another subject, it is stored again ("Publication").
#[tokio::test]
async fn a_repeated_publish_is_stored_once_where_that_is_asked_for() {
    for (directives, copies) in [
        (ORDINARY.to_owned(), 10),
        (format!("{ORDINARY}\nrepeat_window 1m"), 2),
    ] {
        let hub = Hub::start(&directives);
        // Two subjects, five publishes each.
        let clients = [hub.publisher(), hub.publisher()];
        let fields = [("topic", "a"), ("id", "urn:mine"), ("data", "1")];
        let mut publishes = tokio::task::JoinSet::new();
        for _ in 0..5 {
            for client in clients.clone() {
                publishes.spawn(async move { client.published(&fields).await });
            }
        }
        for id in publishes.join_all().await {
            assert_eq!(id, "urn:mine");
        }
        hub.publisher()
            .published(&[("topic", "a"), ("data", "last")])
            .await;
        let mut stream = hub
            .client()
            .last_event_id("earliest")
            .subscribe(&[exact("a")])
            .await;
        let received = stream.until("last").await;
        let received = received.iter().filter(|data| **data == "1").count();
        assert_eq!(received, copies, "{directives}");
    }
}
