//! What makes a token invalid, and how the hub answers it ("Token Validation" and "Authorization
//! Details").

use std::collections::BTreeMap;

use serde_json::{Value, json};
use talaria_conformance::PATIENCE;
use talaria_conformance::client::target;
use talaria_conformance::hub::{Hub, ORDINARY, PUBLISHER_KEY};
use talaria_conformance::token::{DETAIL, Token, exact, now, pattern};

/// A token with one Mercure detail of this shape.
fn detail(token: &Token, detail: &Value) -> Token {
    token
        .clone()
        .claim("authorization_details", json!([detail]))
}

/// Fifteen tokens, each broken in another way; the first of each pair names the way.
fn broken(hub: &Hub) -> Vec<(&'static str, String)> {
    let good = || Token::new(&hub.audience).grant("publish", &[exact("*")]);
    let sign = |token: Token| token.sign(PUBLISHER_KEY);
    let bare = json!({ "type": DETAIL, "actions": ["publish"], "topics": ["*"] });
    vec![
        ("not a JWS", "x".repeat(60)),
        (
            "signed with another key",
            good().sign("another key, which is not the publishers'"),
        ),
        (
            "an algorithm that is not allowed",
            sign(good().parameter("alg", json!("HS512"))),
        ),
        (
            "B-1033: typ is JWT",
            sign(good().parameter("typ", json!("JWT"))),
        ),
        (
            "an unknown critical parameter",
            sign(
                good()
                    .parameter("crit", json!(["b64"]))
                    .parameter("b64", json!(true)),
            ),
        ),
        ("no exp", sign(good().without("exp"))),
        (
            "exp is quoted",
            sign(good().claim("exp", json!((now() + 60).to_string()))),
        ),
        ("expired", sign(good().claim("exp", json!(now() - 1)))),
        (
            "not valid yet",
            sign(good().claim("nbf", json!(now() + 600))),
        ),
        (
            "another audience",
            sign(good().claim(
                "aud",
                json!(["https://elsewhere.example/.well-known/mercure"]),
            )),
        ),
        (
            "B-1033: iss differs by a slash",
            sign(good().claim("iss", json!("https://localhost/"))),
        ),
        (
            "B-1033: the details are a JSON string",
            sign(good().claim("authorization_details", json!(json!([bare]).to_string()))),
        ),
        (
            "B-1033: a topic is a bare string",
            sign(detail(&good(), &bare)),
        ),
        (
            "B-1015: longer than 64 KiB",
            sign(good().claim("padding", json!("x".repeat(65536)))),
        ),
        ("no iss", sign(good().without("iss"))),
    ]
}

/// "If a token is presented but fails validation […] the hub MUST return a 401 status code with
/// `error="invalid_token"`"; the log says why, in one line each, and no two say the same.
#[tokio::test]
async fn fifteen_broken_tokens_give_fifteen_reasons() {
    let hub = Hub::start(ORDINARY);
    let mut ways = BTreeMap::new();
    for (way, token) in broken(&hub) {
        let said = hub.log.len();
        let answer = hub.client().bearer(&token).publish(&[("topic", "a")]).await;
        assert_eq!(answer.status, 401, "{way}");
        let challenge = answer.header("www-authenticate");
        assert!(challenge.starts_with("Bearer"), "{way}: {challenge}");
        assert!(
            challenge.contains(r#"error="invalid_token""#),
            "{way}: {challenge}"
        );
        assert!(
            !challenge.contains("error_description"),
            "{way}: {challenge}"
        );
        let line = hub
            .log
            .find(said, PATIENCE, |line| {
                line.contains("reason=").then(|| line.to_owned())
            })
            .unwrap_or_else(|lines| panic!("no reason for {way}:\n{lines}"));
        for part in token.split('.').filter(|part| part.len() > 20) {
            assert!(!line.contains(part), "{way}: the log shows the token");
        }
        if let Some(earlier) = ways.insert(reason(&line), way) {
            panic!("{way:?} and {earlier:?} have the same reason: {line}");
        }
    }
    assert_eq!(ways.len(), 15, "{ways:?}");
    let lines = hub
        .log
        .since(0)
        .into_iter()
        .filter(|line| line.contains("reason="))
        .count();
    assert_eq!(lines, 15, "one line for each");
}

fn reason(line: &str) -> String {
    let (_, after) = line.split_once("reason=").unwrap();
    after
        .split_whitespace()
        .next()
        .unwrap()
        .trim_matches('"')
        .to_owned()
}

/// Tokens with one fault in a detail or in the header; the first of each pair names it.
fn partly_broken(hub: &Hub) -> Vec<(&'static str, Token)> {
    let good = Token::new(&hub.audience).grant("publish", &[exact("*")]);
    let long = "a".repeat(4097);
    let with = |broken: Value| {
        let mut token = good.clone();
        token.claims["authorization_details"]
            .as_array_mut()
            .unwrap()
            .push(broken);
        token
    };
    let topics =
        |topics: Value| with(json!({ "type": DETAIL, "actions": ["subscribe"], "topics": topics }));
    let mut many = good.clone();
    for _ in 0..100 {
        many = many.grant("publish", &[exact("a")]);
    }
    vec![
        (
            "no actions",
            with(json!({ "type": DETAIL, "topics": [{ "match": "a" }] })),
        ),
        (
            "empty actions",
            with(json!({ "type": DETAIL, "actions": [], "topics": [{ "match": "a" }] })),
        ),
        (
            "an action that is not a string",
            with(json!({ "type": DETAIL, "actions": [1], "topics": [{ "match": "a" }] })),
        ),
        (
            "no topics",
            with(json!({ "type": DETAIL, "actions": ["publish"] })),
        ),
        ("empty topics", topics(json!([]))),
        ("null topic", topics(json!([null]))),
        ("no match", topics(json!([{ "match_type": "exact" }]))),
        (
            "unknown matcher type",
            topics(json!([{ "match": "a", "match_type": "regexp" }])),
        ),
        (
            "another case",
            topics(json!([{ "match": "a", "match_type": "Exact" }])),
        ),
        (
            "bad pattern",
            topics(json!([{ "match": "https://example.com/(", "match_type": "urlpattern" }])),
        ),
        ("long pattern", topics(json!([{ "match": long }]))),
        ("control character", topics(json!([{ "match": "a\nb" }]))),
        ("101 details", many),
        (
            "257 topics",
            topics(json!(vec![json!({ "match": "a" }); 257])),
        ),
        ("no aud", good.clone().without("aud")),
        ("aud is a number", good.clone().claim("aud", json!(7))),
        ("nbf is quoted", good.clone().claim("nbf", json!("0"))),
        ("no typ", good.clone().parameter("typ", Value::Null)),
        ("alg none", good.clone().parameter("alg", json!("none"))),
    ]
}

/// One fault in a detail refuses the whole token, and so does one in the header.
#[tokio::test]
async fn partial_acceptance_is_forbidden() {
    let hub = Hub::ordinary();
    for (way, token) in partly_broken(&hub) {
        let answer = hub
            .client()
            .bearer(&hub.sign_as_publisher(&token))
            .publish(&[("topic", "a")])
            .await;
        assert_eq!(answer.status, 401, "{way}");
        let challenge = answer.header("www-authenticate");
        assert!(
            challenge.contains(r#"error="invalid_token""#),
            "{way}: {challenge}"
        );
    }
    let subscriber = Token::new(&hub.audience).claim("exp", json!(now() - 10));
    let client = hub.client().bearer(&hub.sign_as_subscriber(&subscriber));
    let answer = client.get(&target(&[("match", "a")])).await;
    assert_eq!(
        answer.status, 401,
        "an invalid token is refused where anonymous is allowed (B-334)"
    );
}

/// Unusual tokens that are valid are accepted.
#[tokio::test]
async fn unusual_tokens_are_accepted() {
    let hub = Hub::ordinary();
    let good = || Token::new(&hub.audience).grant("publish", &[exact("*")]);
    for (way, token) in [
        (
            "typ with prefix and in capitals",
            good().parameter("typ", json!("application/AT+JWT")),
        ),
        (
            "aud is an array",
            good().claim("aud", json!(["urn:other", hub.audience])),
        ),
        (
            "exp is a float",
            good().claim("exp", json!(now() as f64 + 60.5)),
        ),
        ("nbf has passed", good().claim("nbf", json!(now() - 1))),
        (
            "no sub, client_id, iat, jti",
            good()
                .without("sub")
                .without("client_id")
                .without("iat")
                .without("jti"),
        ),
        ("an unknown kid", good().parameter("kid", json!("anything"))),
        (
            "a pattern with an optional group",
            good().grant("subscribe", &[pattern("/a/:b{/:c}?")]),
        ),
    ] {
        let answer = hub
            .client()
            .bearer(&hub.sign_as_publisher(&token))
            .publish(&[("topic", "a")])
            .await;
        assert_eq!(answer.status, 200, "{way}: {}", answer.text);
    }
}

/// The keys are those of the configuration; a key within a token means nothing ("Token
/// Validation").
#[tokio::test]
async fn keys_within_a_token_mean_nothing() {
    let hub = Hub::start(ORDINARY);
    let theirs = "the key of another site, of 32 bytes or more";
    let encoded = "dGhlIGtleSBvZiBhbm90aGVyIHNpdGUsIG9mIDMyIGJ5dGVzIG9yIG1vcmU";
    let brought = [
        ("jwk", json!({ "kty": "oct", "k": encoded, "alg": "HS256" })),
        ("jku", json!("https://evil.example/keys")),
        ("x5u", json!("https://evil.example/certificate")),
        ("kid", json!("evil")),
    ];
    for (name, value) in brought {
        let token = Token::new(&hub.audience)
            .grant("publish", &[exact("*")])
            .parameter(name, value);
        for (key, status) in [(theirs, 401), (PUBLISHER_KEY, 200)] {
            let publisher = hub.client().bearer(&token.sign(key));
            let answer = publisher.publish(&[("topic", "a")]).await;
            assert_eq!(answer.status, status, "{name}");
        }
    }
}
