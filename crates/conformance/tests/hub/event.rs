//! "Publication" and the serialization rules of Server-Sent Events: what an update looks like.

use talaria_conformance::event::Event;
use talaria_conformance::hub::Hub;
use talaria_conformance::token::exact;

/// Type, retry, id and data as published; a type only if there is one (B-356).
#[tokio::test]
async fn fields_arrive_as_published() {
    let hub = Hub::ordinary();
    let mut stream = hub.client().subscribe(&[exact("a")]).await;
    let publisher = hub.publisher();
    let id = publisher
        .published(&[
            ("topic", "a"),
            ("data", "é 日本"),
            ("type", "kind"),
            ("retry", "1234"),
            ("id", "urn:x:1"),
        ])
        .await;
    assert_eq!(id, "urn:x:1", "a client's id is echoed");
    let expected = Event {
        id,
        event_type: "kind".into(),
        data: "é 日本".into(),
        retry: Some(1234),
    };
    assert_eq!(stream.event().await, expected);

    let id = publisher.published(&[("topic", "a")]).await;
    let expected = Event {
        id,
        event_type: String::new(),
        data: String::new(),
        retry: None,
    };
    assert_eq!(stream.event().await, expected, "data is optional");

    let empty = [
        ("topic", "a"),
        ("id", ""),
        ("type", ""),
        ("retry", ""),
        ("data", "x"),
    ];
    let id = publisher.published(&empty).await;
    let expected = Event {
        id,
        event_type: String::new(),
        data: "x".into(),
        retry: None,
    };
    assert_eq!(stream.event().await, expected, "B-679: empty means absent");
}

/// "the hub MUST serialize the value as one SSE `data:` field per line, splitting on CR, LF, or CRLF".
#[tokio::test]
async fn data_is_split_at_every_line_break() {
    let hub = Hub::ordinary();
    let mut stream = hub.client().subscribe(&[exact("a")]).await;
    for (sent, received) in [
        ("a\nb\rc\r\nd", "a\nb\nc\nd"),
        ("\n", "\n"),
        ("end\r\n", "end\n"),
        ("\r\r", "\n\n"),
        ("id: forged\n\nevent: forged", "id: forged\n\nevent: forged"),
        (" leading", " leading"),
        ("\u{feff}\0\u{1}", "\u{feff}\0\u{1}"),
    ] {
        hub.publisher()
            .published(&[("topic", "a"), ("data", sent)])
            .await;
        assert_eq!(stream.data().await, received, "{sent:?}");
    }
}

/// "If omitted, the hub MUST generate either a valid IRI […]": ours is a version 8 UUID, and no two
/// are the same.
#[tokio::test]
async fn generated_ids_are_uuids_of_version_8() {
    let hub = Hub::ordinary();
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..100 {
        let id = hub.publisher().published(&[("topic", "a")]).await;
        let uuid = id
            .strip_prefix("urn:uuid:")
            .unwrap_or_else(|| panic!("{id}"));
        let shape: String = uuid
            .chars()
            .map(|c| {
                if matches!(c, '0'..='9' | 'a'..='f') {
                    'x'
                } else {
                    c
                }
            })
            .collect();
        assert_eq!(shape, "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx", "{id}");
        assert_eq!(uuid.as_bytes()[14], b'8', "the version in {id}");
        assert!(
            b"89ab".contains(&uuid.as_bytes()[19]),
            "the variant in {id}"
        );
        assert!(seen.insert(id.clone()), "{id} was given twice");
    }
}

/// A megabyte of data arrives whole.
#[tokio::test]
async fn large_data_arrives_whole() {
    let hub = Hub::ordinary();
    let mut stream = hub.client().subscribe(&[exact("a")]).await;
    let data = "0123456789abcdef".repeat(1000 * 60);
    hub.publisher()
        .published(&[("topic", "a"), ("data", &data)])
        .await;
    assert!(stream.data().await == data);
}
