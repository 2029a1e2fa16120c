//! Parameters of a subscription request (specification, "Subscription" and "Matcher Types").
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

use talaria_protocol::{
    Base, Blame, LastEventId, Limits, MatcherType, ProtocolError, Rule, SubscribeRequest, Topic,
    form,
};

fn request(query: &str) -> Result<SubscribeRequest, ProtocolError> {
    request_under(Rule::Modern, query)
}

fn request_under(rule: Rule, query: &str) -> Result<SubscribeRequest, ProtocolError> {
    let pairs = form::parse(query.as_bytes(), &Limits::default())?;
    SubscribeRequest::from_pairs(&pairs, rule, &base(), &Limits::default())
}

fn base() -> Base {
    Base::new("https://hub.example/.well-known/mercure").unwrap()
}

#[track_caller]
fn refused(query: &str, field: &str, reason: &str) {
    let error = request(query).expect_err(query);
    assert_eq!(
        (error.blame, &*error.field),
        (Blame::Malformed, field),
        "{query}"
    );
    assert!(error.problem.contains(reason), "{query}: {error}");
}

fn selects(query: &str, topic: &str) -> bool {
    let base = base();
    request(query)
        .unwrap()
        .matchers
        .matches(&Topic::new(topic, &base))
}

/// The parameter's name selects the matcher type; any mixture, kept as asked (B-340).
#[test]
fn names_select_the_matcher_type() {
    let asked =
        request("match=/a/:b&match_exact=b&match_urlpattern=/c/:d&match=/a/:b&x=y").unwrap();
    let shown: Vec<_> = asked
        .subscriptions
        .iter()
        .map(|subscription| (subscription.matcher_type, &*subscription.text))
        .collect();
    assert_eq!(
        shown,
        [
            (MatcherType::Exact, "/a/:b"),
            (MatcherType::Exact, "b"),
            (MatcherType::UrlPattern, "/c/:d"),
            (MatcherType::Exact, "/a/:b"),
        ]
    );
    assert_eq!(
        asked.matchers.iter().count(),
        3,
        "compared without duplicates"
    );
}

/// An exact matcher matches byte for byte, without URL equivalence (specification, "Matcher
/// Types").
#[test]
fn exact_is_byte_for_byte() {
    assert!(selects(
        "match=https://example.com/A",
        "https://example.com/A"
    ));
    for topic in [
        "https://example.com/a",
        "https://example.com:443/A",
        "https://example.com/A/",
    ] {
        assert!(!selects("match=https://example.com/A", topic), "{topic}");
    }
}

/// `*` selects every topic, whatever the type's parameter (specification, "Matcher Types").
#[test]
fn the_wildcard_selects_every_topic() {
    for query in [
        "match=*",
        "match_exact=*",
        "match_urlpattern=*",
        "match=a&match=%2A",
    ] {
        for topic in ["a", "https://[no-url", "urn:x", ""] {
            assert!(selects(query, topic), "{query} {topic}");
        }
    }
    assert_eq!(
        request("match=*").unwrap().matchers,
        request("match_urlpattern=*&match=b").unwrap().matchers
    );
}

/// The whole `match` prefix is reserved, names are case-sensitive (B-341).
#[test]
fn unknown_names_of_the_reserved_namespace_are_refused() {
    for name in [
        "Match",
        "MATCH",
        "matches",
        "match_",
        "match_foo",
        "match_Exact",
        "mAtCh_exact",
        "match-x",
        "match_URLPattern",
        "matché",
    ] {
        refused(&format!("match=a&{name}=b"), name, "names no matcher type");
    }
    assert!(
        request("match=a&mat=b&xmatch=c&m%C3%A9tch=d").is_ok(),
        "others are ignored"
    );
}

/// The error for a `topic` parameter tells a 0.x client what to use (B-341).
#[test]
fn a_topic_parameter_gets_a_hint() {
    refused("topic=a", "topic", "match_urlpattern");
    refused("match=a&topic=b", "topic", "0.x");
}

/// A request has at least one matcher, and at most the hub's maximum (specification,
/// "Subscription").
#[test]
fn the_number_of_matchers_is_bounded() {
    refused("", "match", "missing");
    refused("last_event_id=a", "match", "missing");
    assert!(request(&"match=a&".repeat(256)).is_ok());
    refused(
        &"match=a&".repeat(257),
        "match",
        "257 matchers are more than the 256",
    );
}

/// Each matcher's length is bounded, 400 beyond it (specification, "Subscription").
#[test]
fn the_length_of_a_matcher_is_bounded() {
    for name in ["match", "match_urlpattern"] {
        assert!(request(&format!("{name}=/{}", "a".repeat(4095))).is_ok());
        refused(
            &format!("{name}=/{}", "a".repeat(4096)),
            name,
            "4097 bytes are more than the 4096",
        );
    }
    refused(
        &format!("match={}", "é".repeat(2049)),
        "match",
        "4098 bytes",
    );
}

/// Values obey the rules of topics and of their type (specification, "Subscription").
#[test]
fn the_value_of_a_matcher_is_checked() {
    refused("match=a%00", "match", "control");
    refused("match=a%C2%85", "match", "control");
    refused("match_exact=%E2%80%8B", "match_exact", "format");
    refused("match_urlpattern=/%0A", "match_urlpattern", "control");
    refused(
        "match_urlpattern=/{",
        "match_urlpattern",
        "not a valid URL Pattern",
    );
    refused(
        "match_urlpattern=/((?:\\w{1,90}){1,20})",
        "match_urlpattern",
        "too costly",
    );
    assert_eq!(request("match=%ff").unwrap_err().field, "match");
    assert!(
        request("match=").is_ok(),
        "an empty exact matcher selects nothing a publisher can send"
    );
}

/// The first `last_event_id` counts, an empty one is present (specification, "Reconnection").
#[test]
fn the_first_cursor_counts() {
    let cursor = |query| {
        request(query)
            .unwrap()
            .last_event_id
            .map(|LastEventId(id)| id)
    };
    assert_eq!(cursor("match=a"), None);
    assert_eq!(cursor("match=a&last_event_id"), Some(String::new()));
    assert_eq!(
        cursor("last_event_id=x&match=a&last_event_id=y").unwrap(),
        "x"
    );
    assert_eq!(cursor("match=a&Last_Event_Id=x"), None);
}

/// Type names have one canonical case (specification, "Matcher Types").
#[test]
fn type_names_are_canonical() {
    for (name, kind) in MatcherType::SUPPORTED {
        assert_eq!(
            (MatcherType::from_name(name), kind.name()),
            (Some(kind), name)
        );
        assert_eq!(MatcherType::from_name(&name.to_uppercase()), None);
    }
}

/// A hub bounds what one request may ask; patterns that are legal one by one may cost every publish
/// too much together (specification, "Subscription").
#[test]
fn the_patterns_of_a_request_are_bounded_together() {
    let ordinary = |n| format!("match_urlpattern=https://example.com/books/:id/{n}/*&");
    assert!(request(&(0..256).map(ordinary).collect::<String>()).is_ok());
    let hostile = |n| format!("match_urlpattern=/{n}{}&", "{a}?".repeat(500));
    let query: String = (0..20).map(hostile).collect();
    refused(&query, "match_urlpattern", "too complex together");
    let custom = |n| format!("match_urlpattern=/{n}/(%5Cd%2B)&");
    assert!(request(&(0..256).map(custom).collect::<String>()).is_ok());
    // 1,600 states each.
    let counted = |n| format!("match_urlpattern=/{n}((?:%5Cw{{1,40}}){{1,20}})&");
    assert!(request(&(0..10).map(counted).collect::<String>()).is_ok());
    let query: String = (0..11).map(counted).collect();
    refused(&query, "match_urlpattern", "more than 16384");
    // Templates of 0.x count as well.
    let template = |n| format!("topic=/{n}/{{a:300}}&");
    let query: String = (0..5).map(template).collect();
    let error = request_under(Rule::Classic, &query).unwrap_err();
    assert!(error.to_string().contains("more than 16384"), "{error}");
}

/// A request with `topic` may have parameters of any name under the classic rule, as in 0.x, where
/// no matcher of 1.0 stands beside it (B-341).
#[test]
fn names_are_reserved_in_1_0_only() {
    for query in [
        "topic=a&matchday=3",
        "Match=x&topic=a",
        "topic=a&match_=&matches=1",
    ] {
        let asked = request_under(Rule::Classic, query).unwrap();
        assert_eq!(asked.subscriptions.len(), 1, "{query}");
        let error = request_under(Rule::Compatible, query).unwrap_err();
        assert!(
            error.field.to_ascii_lowercase().starts_with("match"),
            "{error}"
        );
    }
    for query in [
        "matchday=3",
        "topic=a&match=b&matches=c",
        "match=b&match_regexp=c",
    ] {
        for rule in [Rule::Classic, Rule::Compatible, Rule::Modern] {
            assert!(request_under(rule, query).is_err(), "{query}");
        }
    }
}

/// Format characters may stand in a selector under the classic rule; control characters and long ones
/// are refused of both generations (B-342, B-648).
#[test]
fn selectors_may_have_format_characters() {
    let query = "topic=a%E2%80%8Db";
    assert!(request_under(Rule::Classic, query).is_ok());
    assert!(request_under(Rule::Compatible, query).is_err());
    let long = format!("topic={}", "a".repeat(4097));
    for query in [
        "match=a%E2%80%8Db",
        "topic=a%0Ab",
        "topic=a%C2%9Fb",
        "topic=%FF",
        &long,
    ] {
        assert!(request_under(Rule::Classic, query).is_err(), "{query:.20}");
    }
}

/// The error for a missing matcher names the parameters of the rule, and the names that came
/// instead.
#[test]
fn a_missing_matcher_names_what_came() {
    for (rule, query, field, says) in [
        (
            Rule::Classic,
            "topic[]=a&lastEventID=x",
            "topic",
            r#"received: "topic[]", "lastEventID""#,
        ),
        (Rule::Compatible, "Topic=a", "topic", r#"received: "Topic""#),
        (Rule::Classic, "", "topic", "there are no fields"),
        (
            Rule::Modern,
            "topics=a&authorization=secret",
            "match",
            r#"received: "topics", "authorization""#,
        ),
        (Rule::Modern, "", "match", "there are no fields"),
    ] {
        let error = request_under(rule, query).unwrap_err();
        assert_eq!(error.field, field, "{query}");
        assert!(error.problem.contains(says), "{query}: {error}");
        assert!(!error.problem.contains("secret"), "{error}");
    }
    let error = request_under(Rule::Classic, "").unwrap_err();
    assert!(
        error.problem.contains(r#"with "topic" (Mercure 0.x)"#),
        "{error}"
    );
}
