//! Fields of a publish (specification, "Publication").
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

use talaria_protocol::{Base, Blame, Limits, ProtocolError, Update, form};

fn publish(body: &str) -> Result<Update, ProtocolError> {
    let base = Base::new("https://hub.example/.well-known/mercure").unwrap();
    Update::from_form(&form::parse(body.as_bytes())?, &base, &Limits::default())
}

#[track_caller]
fn refused(body: &str, blame: Blame, field: &str, reason: &str) {
    let error = publish(body).expect_err(body);
    assert_eq!((error.blame, &*error.field), (blame, field), "{body:.80}");
    assert!(error.problem.contains(reason), "{body:.80}: {error}");
}

/// Specification, "Publication": all fields; the first topic is the canonical one.
#[test]
fn every_field_is_read() {
    let body = "topic=/a&data=x%0Ay&topic=/b&id=urn:x&type=t&retry=0012&private=on&new=field";
    let expected = Update {
        topics: vec!["/a".to_owned(), "/b".to_owned()],
        data: "x\ny".to_owned(),
        id: Some("urn:x".to_owned()),
        event_type: Some("t".to_owned()),
        retry: Some(12),
        private: true,
    };
    assert_eq!(publish(body).unwrap(), expected);
}

/// B-384: the first value of each single field counts.
#[test]
fn the_first_value_counts() {
    let update =
        publish("topic=/a&data=1&data=2&id=a&id=%23&type=b&type=mercure&retry=1&retry=x").unwrap();
    let read = (
        &*update.data,
        update.id.as_deref(),
        update.event_type.as_deref(),
        update.retry,
    );
    assert_eq!(read, ("1", Some("a"), Some("b"), Some(1)));
}

/// B-679: empty optional fields mean absent.
#[test]
fn empty_fields_are_absent() {
    let update = publish("topic=/a&id=&type=&retry=&data=").unwrap();
    let expected = Update {
        topics: vec!["/a".to_owned()],
        ..Update::default()
    };
    assert_eq!(update, expected);
}

/// Specification, "Publication": the presence of `private` counts, not its value.
#[test]
fn presence_makes_an_update_private() {
    for field in [
        "private",
        "private=",
        "private=on",
        "private=off",
        "private=0",
        "private=false",
    ] {
        assert!(
            publish(&format!("topic=/a&{field}")).unwrap().private,
            "{field}"
        );
    }
    assert!(!publish("topic=/a&Private=on").unwrap().private);
}

/// Specification, "Publication": `topic` is required, and every one is checked.
#[test]
fn topics_are_required_and_checked() {
    refused("data=x", Blame::Malformed, "topic", "missing");
    refused("", Blame::Malformed, "topic", "missing");
    refused("topic=/a&topic=*", Blame::Malformed, "topic", "wildcard");
    refused(
        "topic=/a&topic=/.well-known/mercure/x",
        Blame::Reserved,
        "topic",
        "reserved",
    );
    refused("topic", Blame::Reserved, "topic", "reserved");
}

/// Specification, "Publication": maximums exceeded are 413, and come before malformed values.
#[test]
fn maximums_are_too_large() {
    let field = |name: &str, bytes| format!("topic=/a&{name}={}", "x".repeat(bytes));
    for name in ["topic", "id", "type"] {
        assert!(publish(&field(name, 4096)).is_ok(), "{name}");
        refused(
            &field(name, 4097),
            Blame::TooLarge,
            name,
            "4097 bytes are more than the 4096",
        );
        refused(
            &(field(name, 4097) + "&topic=*&retry=x"),
            Blame::TooLarge,
            name,
            "shorten",
        );
    }
    assert!(publish(&"topic=/a&".repeat(1000)).is_ok());
    refused(
        &"topic=/a&".repeat(1001),
        Blame::TooLarge,
        "topic",
        "1001 topics",
    );
    assert!(
        publish(&field("data", 1 << 20)).is_ok(),
        "the body bounds the data"
    );
}

/// Specification, "Publication": what an id may not be.
#[test]
fn ids_are_checked() {
    refused("topic=/a&id=%23x", Blame::Malformed, "id", "\"#\"");
    refused("topic=/a&id=earliest", Blame::Malformed, "id", "cursor");
    for bad in ["%00", "%0A", "%0D", "%7F", "%C2%80", "%E2%80%8F"] {
        refused(
            &format!("topic=/a&id=x{bad}"),
            Blame::Malformed,
            "id",
            "remove it",
        );
    }
    for good in ["x%23", "Earliest", "é", "a b"] {
        assert!(publish(&format!("topic=/a&id={good}")).is_ok(), "{good}");
    }
}

/// Specification, "Publication": a type cannot forge a subscription event or a line.
#[test]
fn types_are_checked() {
    refused(
        "topic=/a&type=mercure",
        Blame::Malformed,
        "type",
        "reserved",
    );
    for bad in ["%00", "%0A", "%0D", "%C2%9F", "%EF%BB%BF"] {
        refused(
            &format!("topic=/a&type=x{bad}"),
            Blame::Malformed,
            "type",
            "remove it",
        );
    }
    assert!(publish("topic=/a&type=Mercure").is_ok());
}

/// Specification, "Publication": `retry` is ASCII digits, of 64 bits here (B-376).
#[test]
fn retry_is_digits() {
    for bad in [
        "-1",
        "%2B1",
        "1.0",
        "1e3",
        "0x1",
        "+1",
        "1+",
        "%D9%A1",
        "18446744073709551616",
    ] {
        refused(
            &format!("topic=/a&retry={bad}"),
            Blame::Malformed,
            "retry",
            "digits",
        );
    }
    assert_eq!(
        publish("topic=/a&retry=18446744073709551615")
            .unwrap()
            .retry,
        Some(u64::MAX)
    );
}

/// Specification, "Publication": data is any UTF-8, controls included.
#[test]
fn data_is_any_utf_8() {
    assert_eq!(
        publish("topic=/a&data=%00%E2%80%8B%F0%9F%A6%80")
            .unwrap()
            .data,
        "\0\u{200b}🦀"
    );
    refused("topic=/a&data=%FF", Blame::Malformed, "data", "UTF-8");
}
