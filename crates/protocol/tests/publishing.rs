//! Fields of a publish (specification, "Publication").
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

use talaria_protocol::{Base, Blame, Generation, Limits, ProtocolError, Update, form};

fn publish(body: &str) -> Result<Update, ProtocolError> {
    publish_by(Generation::V1, body)
}

fn publish_by(checks: Generation, body: &str) -> Result<Update, ProtocolError> {
    let base = Base::new("https://hub.example/.well-known/mercure").unwrap();
    let pairs = form::parse(body.as_bytes(), &Limits::default())?;
    Update::from_form(&pairs, checks, &base, &Limits::default())
}

#[track_caller]
fn refused(body: &str, blame: Blame, field: &str, reason: &str) {
    let error = publish(body).expect_err(body);
    assert_eq!((error.blame, &*error.field), (blame, field), "{body:.80}");
    assert!(error.problem.contains(reason), "{body:.80}: {error}");
}

/// Every field is read; the first topic is the canonical one (specification, "Publication").
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
        by_hub: false,
        trace: None,
    };
    assert_eq!(publish(body).unwrap(), expected);
}

/// The first value of each single field counts (B-384).
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

/// Empty optional fields mean absent (B-679).
#[test]
fn empty_fields_are_absent() {
    let update = publish("topic=/a&id=&type=&retry=&data=").unwrap();
    let expected = Update {
        topics: vec!["/a".to_owned()],
        ..Update::default()
    };
    assert_eq!(update, expected);
}

/// The presence of `private` counts, not its value (specification, "Publication").
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

/// `topic` is required, and every one is checked (specification, "Publication").
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

/// An exceeded maximum is 413, and is checked before malformed values (specification,
/// "Publication").
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

/// Each rule of ids is checked (specification, "Publication").
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

/// A type cannot forge a subscription event or a line (specification, "Publication").
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

/// `retry` is ASCII digits, of 64 bits here (specification, "Publication"; B-376).
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

/// Data is any UTF-8, controls included (specification, "Publication").
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

/// Under the classic rule 0.x publishers are spared the checks that only Mercure 1.0 has (B-387).
#[test]
fn checks_are_those_of_the_generation() {
    for body in [
        "topic=*",
        "topic=%23general",
        "topic=?room=1",
        "topic=mercure",
        "topic=",
        "topic=./mercure",
        "topic=/.well-known/me%2572cure",
        "topic=a&topic=*",
        "topic=a%E2%80%8Db",
        "topic=a&type=mercure",
        "topic=a&type=a%E2%80%8Db",
        "topic=a&id=%23a",
        "topic=a&id=a%E2%80%8Db",
    ] {
        let update = publish_by(Generation::V0, body);
        assert!(update.is_ok(), "{body}: {update:?}");
        assert!(publish_by(Generation::V1, body).is_err(), "{body}");
    }
    for body in [
        "data=x",
        "topic=a%0Ab",
        "topic=a%7Fb",
        "topic=a%C2%85b",
        "topic=a&type=a%0Ab",
        "topic=a&type=%00",
        "topic=a&id=a%0Db",
        "topic=a&id=a%00b",
        "topic=a&id=a%09b",
        "topic=a&id=earliest",
        "topic=a&id=+a",
        "topic=a&id=a+",
        "topic=a&retry=soon",
        "topic=a&data=%FF",
    ] {
        for checks in [Generation::V0, Generation::V1] {
            assert!(publish_by(checks, body).is_err(), "{body}");
        }
    }
}

/// No generation lets a publisher forge an event of the hub.
#[test]
fn events_of_the_hub_are_not_forged() {
    for topic in [
        "/.well-known/mercure",
        "/.well-known/mercure/subscriptions/exact/a/b",
        "https://any.example/.well-known/mercure/subscriptions/a/b",
        "mercure/subscriptions/exact/a/b",
        "./mercure/subscriptions/exact/a/b",
        "mercure/",
        "x/../mercure/subscriptions/a/b",
        "%2e/mercure/subscriptions/a/b",
        "me%72cure/subscriptions/a/b",
        "/.well-known/x/%2E%2e/mercure/subscriptions/a/b",
        r"\.well-known\mercure\subscriptions\a\b",
        "urn:x:/.well-known/mercure/subscriptions/a",
    ] {
        let body = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("topic", "a")
            .append_pair("topic", topic)
            .append_pair("type", "mercure")
            .finish();
        let error = publish_by(Generation::V0, &body).expect_err(topic);
        assert_eq!(error.blame, Blame::Reserved, "{topic}");
    }
}

/// An id travels in the `Last-Event-ID` field, which has no space at its ends (specification,
/// "Publication").
#[test]
fn an_id_survives_its_field() {
    for id in ["+a", "a+", "+", "%20%20", "+%C3%A9"] {
        let body = format!("topic=a&id={id}");
        refused(&body, Blame::Malformed, "id", "begins or ends with a space");
    }
    for id in [
        "a+b",
        "%C3%A9",
        "%E6%97%A5%E6%9C%AC",
        "a%C2%A0b",
        "a%E3%80%80b",
        "a,b",
        "%22",
    ] {
        assert!(publish(&format!("topic=a&id={id}")).is_ok(), "{id}");
    }
    // A field has these; only programs that trim text lose them, and 0.x is not stricter than it was.
    for id in [
        "%C2%A0a",
        "a%C2%A0",
        "%E2%80%83a",
        "a%E3%80%80",
        "%E3%80%80",
        "%E1%9A%80a",
        "a%E2%80%AF",
    ] {
        let body = format!("topic=a&id={id}");
        refused(&body, Blame::Malformed, "id", "begins or ends with a space");
        assert!(publish_by(Generation::V0, &body).is_ok(), "{id}");
    }
    for id in ["+a", "a+", "%09a", "a%09"] {
        let body = format!("topic=a&id={id}");
        publish_by(Generation::V0, &body).expect_err(id);
    }
}

/// The error for a missing topic lists the names that came, and nothing that could be content or a
/// secret.
#[test]
fn a_missing_topic_names_what_came() {
    let token = "a".repeat(41);
    for (body, says) in [
        (
            "topic[]=a&topic[]=b&data=x",
            r#"received: "topic[]", "data""#,
        ),
        ("topic[0]=a", r#"received: "topic[0]""#),
        ("Topic=a", r#"received: "Topic""#),
        ("topics=a", r#"received: "topics""#),
        ("", "there are no fields"),
        (r#"{"topic":"secret"}"#, "received: 1 unknown field"),
        (&token, "received: 1 unknown field"),
        ("a&b&c&d&e&f&g&h&i&j", r#""h" and 2 more"#),
    ] {
        refused(body, Blame::Malformed, "topic", says);
        let error = publish(body).expect_err(body).to_string();
        assert!(
            !error.contains("secret") && !error.contains(&token),
            "{error}"
        );
        assert!(error.contains("without brackets"), "{error}");
    }
}

/// Errors are bounded, whatever a parameter is called.
#[test]
fn the_field_of_an_error_is_bounded() {
    let name = "n".repeat(100_000);
    let error =
        form::parse(format!("{name}=%FF").as_bytes(), &Limits::default()).expect_err("not UTF-8");
    assert!(error.to_string().len() < 300, "{}", error.to_string().len());
    let error = form::parse(b"a%0Ab=%FF", &Limits::default())
        .expect_err("not UTF-8")
        .to_string();
    assert!(error.starts_with(r"a\u{a}b: "), "{error}");
    let gzip = form::parse(b"\x1f\x8b\x08\0\xff\xfe", &Limits::default())
        .expect_err("not UTF-8")
        .to_string();
    assert!(
        gzip.starts_with("parameter 1: ") && gzip.contains("compressed"),
        "{gzip:?}"
    );
    assert!(gzip.is_ascii(), "{gzip:?}");
}
