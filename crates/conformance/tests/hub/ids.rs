//! An id that a publisher chose is either found again by a `Last-Event-ID` field as clients send
//! it, or refused ("Reconnection").

use serde_json::json;
use talaria_conformance::HUB_PATH;
use talaria_conformance::client::{Client, target};
use talaria_conformance::hub::Hub;
use talaria_conformance::raw;
use talaria_conformance::token::{Token, exact};

const FIELD: &str = "mercure-last-event-id";
const HISTORIES: [&str; 2] = ["anonymous\ntransport memory", "anonymous\ntransport bolt"];

/// Ids that a field carries, in its bytes or in those that clients make of them.
const IDS: [&str; 10] = [
    "urn:x:1",
    "a b",
    "a,b;c=\"d\"\\",
    "\u{e9}t\u{e9}",
    "\u{e0}",
    "\u{c3}\u{a9}",
    "\u{65e5}\u{672c}\u{8a9e}",
    "\u{20ac}",
    "\u{1f980}",
    "%20a%20",
];

fn older_publisher(hub: &Hub) -> Client {
    let token = Token::older(json!({ "publish": ["*"] }));
    hub.client().bearer(&hub.sign_as_publisher(&token))
}

/// A cursor among the bytes of a separate request.
async fn cursor_of(hub: &Hub, field: &[u8]) -> String {
    let head = format!(
        "GET {HUB_PATH}?match=a HTTP/1.1\r\nHost: {}\r\nLast-Event-ID:",
        hub.host
    );
    let request = [head.as_bytes(), field, b"\r\n\r\n"].concat();
    let head = raw::head(hub.address, request).await;
    let lines = head.lines().filter_map(|line| line.split_once(": "));
    let mut cursors = lines.filter(|(name, _)| name.eq_ignore_ascii_case(FIELD));
    cursors.next().expect("a cursor").1.to_owned()
}

/// The id resumes by the field over both versions of HTTP and by the parameter, as text, as bytes of
/// Latin-1, and as a script reads it from a response field.
#[tokio::test]
async fn chosen_ids_are_found_again() {
    for (hub, is_classic) in HISTORIES
        .iter()
        .flat_map(|history| [(Hub::start(history), false), (Hub::classic(history), true)])
    {
        let publisher = if is_classic {
            older_publisher(&hub)
        } else {
            hub.publisher()
        };
        let mut ids = IDS.to_vec();
        if is_classic {
            ids.extend(["#1", "a\u{200d}b", "\u{feff}a", "\u{a0}a\u{a0}", "\u{3000}"]);
        }
        for id in ids {
            assert_eq!(publisher.published(&[("topic", "a"), ("id", id)]).await, id);
            let next = publisher.published(&[("topic", "a"), ("data", id)]).await;
            for client in [
                hub.client().last_event_id(id),
                hub.client().http2().last_event_id(id),
                hub.client().http2().last_event_id(&format!(" {id}\t")),
            ] {
                let mut stream = client.subscribe(&[exact("a")]).await;
                assert_eq!(stream.header(FIELD), id);
                assert_eq!(stream.event().await.id, next, "{id}");
            }
            assert_eq!(cursor_of(&hub, format!("   {id}\t ").as_bytes()).await, id);
            let decoded: String = id.bytes().map(char::from).collect();
            for parameter in [id, &decoded] {
                let asked = [("match", "a"), ("last_event_id", parameter)];
                for mut stream in [
                    hub.client().subscribe_with(&asked).await,
                    hub.client().query(&[], &asked).await,
                ] {
                    assert_eq!(stream.header(FIELD), id, "{parameter:?}");
                    assert_eq!(stream.event().await.id, next, "{parameter:?}");
                }
            }
            let latin: Result<Vec<u8>, _> = id.chars().map(u8::try_from).collect();
            // Latin-1 that is UTF-8 by accident names the other id.
            if let Ok(latin) = latin
                && String::from_utf8(latin.clone()).is_err()
            {
                assert_eq!(cursor_of(&hub, &latin).await, id);
            }
        }
    }
}

/// An id that the field would change is refused, of both generations and in a batch.
#[tokio::test]
async fn ids_that_a_field_would_change_are_refused() {
    for (hub, is_classic) in [
        (Hub::start(HISTORIES[0]), false),
        (Hub::classic(HISTORIES[0]), true),
    ] {
        let publisher = if is_classic {
            older_publisher(&hub)
        } else {
            hub.publisher()
        };
        for id in [
            " a", "a ", " ", "\ta", "a\t", "a\tb", "a\nb", "a\rb", "a\0b", "a\u{1b}b", "a\u{7f}b",
            "a\u{85}b", " \u{e9}", "earliest",
        ] {
            let answer = publisher.publish(&[("topic", "a"), ("id", id)]).await;
            assert_eq!(answer.status, 400, "{id:?}");
            assert!(answer.text.starts_with("id: "), "{}", answer.text);
            assert!(
                !answer.text.trim_end().contains(|c: char| c.is_control()),
                "{:?}",
                answer.text
            );
            let line = json!({ "topic": "a", "id": id }).to_string();
            let client = publisher
                .clone()
                .header("content-type", "application/x-ndjson");
            let answer = client.send("POST", HUB_PATH, line).await;
            assert!(answer.text.contains("\"status\":400"), "{}", answer.text);
        }
    }
}

/// A cursor that names no update stays unknown, however it is read.
#[tokio::test]
async fn what_names_no_update_stays_unknown() {
    let hub = Hub::start(HISTORIES[0]);
    hub.publisher()
        .published(&[("topic", "a"), ("id", "\u{e9}")])
        .await;
    for field in [
        &b"\xff"[..],
        b"\xc3",
        b"\xe9\xe9",
        "\u{c3}".as_bytes(),
        b"  ",
    ] {
        assert_eq!(cursor_of(&hub, field).await, "earliest", "{field:?}");
    }
    let asked = target(&[("match", "a"), ("last_event_id", "\u{c3}\u{28}")]);
    let answer = hub.client().send("HEAD", &asked, "").await;
    assert_eq!(answer.header(FIELD), "earliest");
}
