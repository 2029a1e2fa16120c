//! Authorization details as claims carry them (specification, "Authorization Details",
//! "Topic Matcher List", "Payloads"; B-444).

#![allow(clippy::expect_used, reason = "a test fails by panicking")]
#![allow(clippy::needless_pass_by_value, reason = "`json!` makes values")]

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use talaria_protocol::authorization::DETAIL_TYPE;
use talaria_protocol::{
    Action, AuthorizationDetails, Base, Blame, Limits, Matcher, ProtocolError, Topic,
};

fn parse(claim: &Value) -> Result<AuthorizationDetails, ProtocolError> {
    AuthorizationDetails::parse(claim, &Base::synthetic(), &Limits::default())
}

fn parsed(claim: &Value) -> AuthorizationDetails {
    parse(claim).expect("valid details")
}

fn detail(actions: Value, topics: Value) -> Value {
    json!({ "type": DETAIL_TYPE, "actions": actions, "topics": topics })
}

fn grants(details: &AuthorizationDetails, action: Action, topic: &str) -> bool {
    details.grants(action, &Topic::new(topic, &Base::synthetic()))
}

/// The field and the problem of a refused claim.
fn refusal(claim: &Value) -> (String, String) {
    let error = parse(claim).expect_err("an invalid claim");
    assert_eq!(error.blame, Blame::Token, "{error}");
    (error.field.into_owned(), error.problem.into_owned())
}

/// An action is granted on what the detail's topics match, and only that action ("Authorization
/// Details").
#[test]
fn a_detail_grants_its_actions_on_its_topics() {
    let details = parsed(&json!([
        detail(
            json!(["publish"]),
            json!([{ "match": "a" }, { "match": "b" }])
        ),
        detail(
            json!(["subscribe"]),
            json!([{ "match": "c", "match_type": "exact" }])
        ),
    ]));
    assert!(grants(&details, Action::Publish, "a"));
    assert!(grants(&details, Action::Publish, "b"));
    assert!(grants(&details, Action::Subscribe, "c"));
    assert!(!grants(&details, Action::Subscribe, "a"));
    assert!(!grants(&details, Action::Publish, "c"));
    assert!(!grants(&details, Action::Publish, "A"));
}

/// `*` is every topic, whatever its type ("Topic Matcher List").
#[test]
fn the_wildcard_grants_every_topic() {
    for topic in [
        json!({ "match": "*" }),
        json!({ "match": "*", "match_type": "exact" }),
        json!({ "match": "*", "match_type": "urlpattern" }),
    ] {
        let details = parsed(&json!([detail(json!(["subscribe"]), json!([topic]))]));
        assert!(grants(&details, Action::Subscribe, "urn:anything"));
        assert!(!grants(&details, Action::Publish, "urn:anything"));
    }
}

/// The two examples of narrow grants ("Subscribers").
#[test]
fn a_pattern_grants_what_it_matches() {
    let topics = json!([
        { "match": "https://example.com/users/42/*", "match_type": "urlpattern" }
    ]);
    let details = parsed(&json!([detail(json!(["subscribe"]), topics)]));
    assert!(grants(
        &details,
        Action::Subscribe,
        "https://example.com/users/42/books/1"
    ));
    assert!(!grants(
        &details,
        Action::Subscribe,
        "https://example.com/books/1"
    ));
}

/// Unknown actions grant nothing and harm nothing ("Authorization Details").
#[test]
fn unknown_actions_grant_nothing() {
    let details = parsed(&json!([detail(
        json!(["Publish", "read", ""]),
        json!([{ "match": "*" }])
    )]));
    assert!(!details.is_empty());
    assert!(!grants(&details, Action::Publish, "a"));
    assert!(!grants(&details, Action::Subscribe, "a"));
    assert!(details.read_grants().is_empty());
}

/// Entries of another type are ignored, whatever their shape; the type is compared byte by byte
/// (B-444).
#[test]
fn entries_of_other_types_are_ignored() {
    let details = parsed(&json!([
        null,
        "https://mercure.rocks/authorization-detail",
        17,
        [],
        {},
        { "type": 1, "actions": 2 },
        { "type": "https://mercure.rocks/authorization-detail/", "topics": "x" },
        { "type": "HTTPS://mercure.rocks/authorization-detail", "actions": [] },
        { "type": "payment", "actions": [1], "topics": [null] },
    ]));
    assert!(details.is_empty());
    assert!(!grants(&details, Action::Publish, "a"));
}

/// Broken details, each with the place of the fault and a word of the error.
fn broken_details() -> Vec<(Value, &'static str, &'static str)> {
    let topic = |topic: Value| detail(json!(["publish"]), json!([{ "match": "a" }, topic]));
    let actions = |actions: Value| detail(actions, json!([{ "match": "a" }]));
    vec![
        (
            json!({ "type": DETAIL_TYPE, "topics": [{ "match": "a" }] }),
            ".actions",
            "missing",
        ),
        (actions(json!("publish")), ".actions", "not an array"),
        (actions(json!([])), ".actions", "empty"),
        (actions(json!(["publish", 1])), ".actions[1]", "a number"),
        (
            json!({ "type": DETAIL_TYPE, "actions": ["publish"] }),
            ".topics",
            "missing",
        ),
        (
            detail(json!(["publish"]), json!({ "match": "a" })),
            ".topics",
            "an object",
        ),
        (detail(json!(["publish"]), json!([])), ".topics", "empty"),
        (
            topic(json!("urn:b")),
            ".topics[1]",
            "{\"match\": \"urn:b\"}",
        ),
        (topic(Value::Null), ".topics[1]", "null"),
        (topic(json!({})), ".topics[1].match", "missing"),
        (topic(json!({ "match": "" })), ".topics[1].match", "empty"),
        (topic(json!({ "match": 1 })), ".topics[1].match", "a number"),
        (
            topic(json!({ "match": "a\u{200b}" })),
            ".topics[1].match",
            "\\u{200b}",
        ),
        (
            topic(json!({ "match": "x".repeat(4097) })),
            ".topics[1].match",
            "4096",
        ),
        (
            topic(json!({ "match": "a", "match_type": "Exact" })),
            ".topics[1].match_type",
            "\"Exact\"",
        ),
        (
            topic(json!({ "match": "*", "match_type": "uritemplate" })),
            ".topics[1].match_type",
            "exact or urlpattern",
        ),
        (
            topic(json!({ "match": "a", "match_type": null })),
            ".topics[1].match_type",
            "null",
        ),
    ]
}

/// Partial acceptance is forbidden; the error names the culprit ("Authorization Details").
#[test]
fn one_broken_detail_refuses_them_all() {
    let good = || detail(json!(["publish"]), json!([{ "match": "*" }]));
    for (broken, place, hint) in broken_details() {
        let (field, problem) = refusal(&json!([{ "type": "other" }, good(), broken, good()]));
        assert_eq!(field, format!("authorization_details[2]{place}"));
        assert!(problem.contains(hint), "{field}: {problem}");
    }
}

/// JSON within a string has its own reason; only an array is accepted (B-1033).
#[test]
fn the_claim_must_be_an_array() {
    let (field, problem) = refusal(&json!("[]"));
    assert_eq!(field, "authorization_details");
    assert!(
        problem.contains("is a JSON string, not an array"),
        "{problem}"
    );
    for claim in [Value::Null, json!({}), json!(1), json!(true)] {
        let (field, problem) = refusal(&claim);
        assert_eq!(field, "authorization_details");
        assert!(problem.contains("not an array"), "{problem}");
        assert!(!problem.contains("JSON string"), "{problem}");
    }
}

/// The number of details, and of topics over all details, is bounded; other types do not count
/// ("Authorization Details").
#[test]
fn maximums_refuse_the_token() {
    let one = || detail(json!(["publish"]), json!([{ "match": "a" }]));
    let other = || json!({ "type": "other" });
    let mut claim: Vec<Value> = (0..100).flat_map(|_| [one(), other()]).collect();
    assert!(parse(&json!(claim)).is_ok());
    claim.push(one());
    let (field, problem) = refusal(&json!(claim));
    assert_eq!(field, "authorization_details");
    assert!(
        problem.contains("101") && problem.contains("100"),
        "{problem}"
    );

    let many = |count: usize| {
        let topics: Vec<Value> = (0..count)
            .map(|n| json!({ "match": n.to_string() }))
            .collect();
        detail(json!(["subscribe"]), json!(topics))
    };
    assert!(parse(&json!([many(200), many(56)])).is_ok());
    let (field, problem) = refusal(&json!([many(200), many(57)]));
    assert_eq!(field, "authorization_details[1].topics");
    assert!(problem.contains("256"), "{problem}");
}

/// The read grants are the union of all `subscribe` details, as the engine compares it
/// ("Subscribers").
#[test]
fn read_grants_are_the_union_of_subscribe_details() {
    let details = parsed(&json!([
        detail(
            json!(["subscribe"]),
            json!([{ "match": "b" }, { "match": "a" }])
        ),
        detail(json!(["publish"]), json!([{ "match": "c" }])),
        detail(
            json!(["publish", "subscribe"]),
            json!([{ "match": "b" }, { "match": "d" }])
        ),
    ]));
    let expected: Vec<Matcher> = ["a", "b", "d"]
        .map(|text| Matcher::Exact(text.into()))
        .into();
    assert_eq!(
        details.read_grants().iter().cloned().collect::<Vec<_>>(),
        expected
    );
}

/// The first matching `subscribe` detail decides, even if it has no payload ("Payloads").
#[test]
fn the_first_matching_subscribe_detail_gives_the_payload() {
    let with = |actions: Value, topic: &str, payload: Value| {
        json!({
            "type": DETAIL_TYPE, "actions": actions, "topics": [{ "match": topic }],
            "payload": payload,
        })
    };
    let base = Base::synthetic();
    let details = parsed(&json!([
        with(json!(["publish"]), "*", json!("of a publisher")),
        with(json!(["subscribe"]), "a", json!({ "n": 1 })),
        detail(json!(["subscribe"]), json!([{ "match": "b" }])),
        with(json!(["subscribe"]), "a", json!({ "n": 2 })),
        with(json!(["subscribe"]), "*", json!([3])),
    ]));
    let payload = |text| details.payload_for(text, &base).map(|payload| &**payload);
    assert_eq!(payload("a"), Some(&json!({ "n": 1 })));
    assert_eq!(payload("b"), None);
    assert_eq!(payload("c/:id"), Some(&json!([3])));
    assert_eq!(
        AuthorizationDetails::default().payload_for("a", &base),
        None
    );
}

/// The example in which a pattern matches the text of an equal pattern ("Payloads").
#[test]
fn a_pattern_matches_the_text_of_a_subscription() {
    let claim = json!([{
        "type": DETAIL_TYPE,
        "actions": ["subscribe"],
        "topics": [{ "match": "https://example.com/bar/:id", "match_type": "urlpattern" }],
        "payload": { "custom2": "data" },
    }]);
    let details = parsed(&claim);
    let base = Base::synthetic();
    assert_eq!(
        details
            .payload_for("https://example.com/bar/:id", &base)
            .map(|payload| &**payload),
        Some(&json!({ "custom2": "data" }))
    );
    assert_eq!(details.payload_for("https://example.com/foo", &base), None);
}

/// JSON in which the words of details are likely, so that every branch is reached.
fn arbitrary_json() -> impl Strategy<Value = Value> {
    let word = prop_oneof![
        Just(DETAIL_TYPE.to_owned()),
        Just("publish".to_owned()),
        Just("subscribe".to_owned()),
        Just("*".to_owned()),
        Just("exact".to_owned()),
        Just("urlpattern".to_owned()),
        any::<String>(),
    ];
    let key = prop_oneof![
        Just("type".to_owned()),
        Just("actions".to_owned()),
        Just("topics".to_owned()),
        Just("match".to_owned()),
        Just("match_type".to_owned()),
        Just("payload".to_owned()),
        any::<String>(),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        word.prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 64, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((key.clone(), inner.clone()), 0..6)
                .prop_map(|pairs| Value::from(pairs.into_iter().collect::<Map<_, _>>())),
            (inner.clone(), inner).prop_map(|(actions, topics)| json!({
                "type": DETAIL_TYPE, "actions": [actions], "topics": [topics],
            })),
        ]
    })
}

proptest! {
    /// Any claim yields either details or an error that blames the token, names the claim and holds
    /// no character that could forge a log line.
    #[test]
    fn any_json_is_judged(claim in arbitrary_json(), topic in any::<String>()) {
        match parse(&claim) {
            Ok(details) => {
                let reads = details.read_grants();
                let base = Base::synthetic();
                let topic = Topic::new(&topic, &base);
                prop_assert_eq!(
                    reads.matches(&topic),
                    details.grants(Action::Subscribe, &topic)
                );
            }
            Err(error) => {
                prop_assert_eq!(error.blame, Blame::Token);
                prop_assert!(error.field.starts_with("authorization_details"));
                prop_assert!(!error.to_string().contains(char::is_control));
            }
        }
    }
}

/// Selectors of 0.x tokens are checked like every matcher, and a bad one makes the token unusable
/// (B-614).
#[test]
fn a_bad_selector_spoils_an_older_token() {
    let limits = Limits::default();
    let base = Base::synthetic();
    let long = "x".repeat(limits.pattern_bytes + 1);
    for entry in [json!("a\u{1}b"), json!(long), json!(null), json!({})] {
        let claims = json!({ "mercure": { "publish": ["fine", entry] } });
        let claims = claims.as_object().expect("an object");
        let error = AuthorizationDetails::from_mercure_claim(claims, &base, &limits);
        let error = error.expect_err("not usable");
        assert_eq!(error.blame, Blame::Token, "{error}");
        assert!(error.field.starts_with("mercure.publish[1]"), "{error}");
    }
}
