//! Checks that only Mercure 1.0 has: what 0.x clients may do under the classic rule, and under no
//! other (docs/generations.md; B-387, B-610).

use serde_json::{Value, json};
use talaria_conformance::client::{Client, target};
use talaria_conformance::hub::Hub;
use talaria_conformance::token::{Token, exact, now, pattern};
use talaria_conformance::{HUB_PATH, PATIENCE};

const MEMORY: &str = "anonymous\ntransport memory";
const COMPATIBLE: &str = "anonymous\ntransport memory\nprotocol_version_compatibility 8";

fn older_publisher(hub: &Hub) -> Client {
    let token = Token::older(json!({ "publish": ["*"] }));
    hub.client().bearer(&hub.sign_as_publisher(&token))
}

/// A 0.x publisher under the classic rule is checked as 0.24 checks it. A 1.0 publisher under that
/// rule, and a 0.x publisher under the compatible rule, are checked as 1.0 checks them
/// ("Publication").
#[tokio::test]
async fn what_0_x_publishes_is_checked_as_in_0_x() {
    let classic = Hub::classic(MEMORY);
    let compatible = Hub::start(COMPATIBLE);
    let mut stream = classic.client().subscribe_with(&[("topic", "*")]).await;
    for (number, fields) in [
        &[("topic", "*")][..],
        &[("topic", "#general")],
        &[("topic", "?room=1")],
        &[("topic", "mercure")],
        &[("topic", "")],
        &[("topic", "a"), ("topic", "*")],
        &[("topic", "\u{645}\u{6cc}\u{200c}\u{62e}")],
        &[("topic", "a"), ("type", "mercure")],
        &[("topic", "mercure"), ("type", "mercure")],
        &[("topic", "a"), ("type", "\u{1f468}\u{200d}\u{1f469}")],
        &[("topic", "a"), ("id", "#1")],
    ]
    .into_iter()
    .enumerate()
    {
        let data = number.to_string();
        let fields = [fields, &[("data", data.as_str())]].concat();
        older_publisher(&classic).published(&fields).await;
        let event = stream.event().await;
        assert_eq!(event.data, data, "{fields:?}");
        for client in [classic.publisher(), older_publisher(&compatible)] {
            let answer = client.publish(&fields).await;
            assert_eq!(answer.status, 400, "{fields:?}: {}", answer.text);
        }
    }
    // Several updates in one request are checked alike.
    let lines = "{\"topic\":\"*\"}\n{\"topic\":\"a\",\"type\":\"mercure\"}\n";
    let client = older_publisher(&classic).header("content-type", "application/x-ndjson");
    let answer = client.send("POST", HUB_PATH, lines).await;
    assert_eq!(
        answer.text.matches("\"status\":200").count(),
        2,
        "{}",
        answer.text
    );
}

/// An update that would forge an event of the hub, or break the stream, is refused from 0.x
/// publishers too, and what they may publish deceives no watcher of subscriptions.
#[tokio::test]
async fn what_0_x_publishes_forges_nothing() {
    let hub = Hub::classic(&format!("{MEMORY}\nsubscriptions"));
    let watched = [pattern("/.well-known/mercure/subscriptions/*")];
    let mut watcher = hub
        .subscriber(&[exact("*")])
        .subscribe(&[&watched[..], &[exact("end")]].concat())
        .await;
    let own = watcher.event().await;
    assert!(own.data.contains("\"active\": true"), "{}", own.data);
    let token = Token::older(json!({ "subscribe": ["*"] }));
    let older = hub.client().bearer(&hub.sign_as_subscriber(&token));
    let template = "/.well-known/mercure/subscriptions/{topic}/{subscriber}";
    let selectors = [("topic", template), ("topic", "end")];
    let mut watcher_of_0_x = older.subscribe_with(&selectors).await;
    // Its second beginning, and the two of the 0.x watcher.
    for _ in 0..3 {
        watcher.event().await;
    }
    let listed = async || {
        let answer = older.get(&format!("{HUB_PATH}/subscriptions")).await;
        let document: Value = serde_json::from_str(&answer.text).expect("JSON");
        document["subscriptions"].as_array().expect("a list").len()
    };
    let before = listed().await;
    let publisher = older_publisher(&hub);
    for topic in [
        "/.well-known/mercure",
        "/.well-known/mercure/subscriptions/exact/a/b",
        "https://hub.example/.well-known/mercure/subscriptions/a/b",
        "mercure/subscriptions/exact/a/b",
        "mercure/",
        "x/../mercure/subscriptions/exact/a/b",
        "me%72cure/subscriptions/exact/a/b",
    ] {
        for kind in ["mercure", ""] {
            let fields = [("topic", topic), ("type", kind), ("private", "on")];
            let answer = publisher.publish(&fields).await;
            assert_eq!(answer.status, 403, "{topic}: {}", answer.text);
        }
    }
    for fields in [
        [("topic", "a\nb"), ("id", "")],
        [("topic", "a"), ("type", "a\rb")],
        [("topic", "a"), ("id", "a\0b")],
        [("topic", "a"), ("id", "earliest")],
    ] {
        assert_eq!(publisher.publish(&fields).await.status, 400, "{fields:?}");
    }
    for topic in ["*", "#general", "?room=1", "mercure", ""] {
        let fields = [("topic", topic), ("type", "mercure"), ("private", "on")];
        publisher.published(&fields).await;
    }
    publisher
        .published(&[("topic", "end"), ("data", "end")])
        .await;
    assert_eq!(watcher.until("end").await, [""; 0]);
    let seen = watcher_of_0_x.until("end").await;
    assert!(
        seen.iter().all(|data| data.contains("subscriber")),
        "{seen:?}"
    );
    assert_eq!(listed().await, before);
}

/// A 0.x subscription may have parameters and characters that 1.0 refuses (B-341, B-648).
#[tokio::test]
async fn what_0_x_subscribes_to_is_checked_as_in_0_x() {
    let classic = Hub::classic(MEMORY);
    let word = "\u{645}\u{6cc}\u{200c}\u{62e}";
    let parameters = [("topic", word), ("matchday", "3"), ("Match", "x")];
    let mut stream = classic.client().subscribe_with(&parameters).await;
    let fields = [("topic", word), ("data", "1")];
    older_publisher(&classic).published(&fields).await;
    assert_eq!(stream.data().await, "1");
    let compatible = Hub::start(COMPATIBLE);
    for (hub, parameters) in [
        (&compatible, &parameters[..]),
        (&compatible, &[("topic", word)]),
        (&classic, &[("match", word)]),
        (&classic, &[("match", "a"), ("matchday", "3")]),
        (
            &classic,
            &[("topic", "a"), ("match", "b"), ("matchday", "3")],
        ),
        (&classic, &[("topic", "a\nb")]),
    ] {
        let answer = hub.client().get(&target(parameters)).await;
        assert_eq!(answer.status, 400, "{parameters:?}");
    }
}

/// A selector that RFC 6570 does not allow is not a template, and is compared as text (B-610).
#[tokio::test]
async fn what_is_not_a_template_is_compared() {
    let hub = Hub::classic(MEMORY);
    for selector in [
        "https://example.com/a b/{id}",
        "{id} ",
        "\"{id}\"",
        "<{id}>",
        "a\\b/{id}",
        "a^{id}",
        "`{id}`",
        "a|{id}",
        "100%/{id}",
        "%4/{id}",
        "{id%}",
        "{id}}",
        "{=id}",
        "{a-b}",
        "{id:0}",
        "\u{fdd0}{id}",
    ] {
        let mut stream = hub.client().subscribe_with(&[("topic", selector)]).await;
        let publisher = older_publisher(&hub);
        let expanded = selector
            .replace("{id}", "1")
            .replace("{a-b}", "1")
            .replace("{=id}", "1");
        assert!(expanded == selector || !expanded.contains('{'));
        for topic in [expanded.as_str(), &expanded.replace(' ', "%20")] {
            if topic != selector {
                publisher
                    .published(&[("topic", topic), ("data", "wrong")])
                    .await;
            }
        }
        publisher
            .published(&[("topic", selector), ("data", "right")])
            .await;
        assert_eq!(stream.data().await, "right", "{selector}");
    }
    for (selector, topic) in [
        ("https://example.com/l'{id}", "https://example.com/l'1"),
        (
            "https://example.com/a%20b/{id}",
            "https://example.com/a%20b/1",
        ),
        (
            "https://example.com/\u{fc}/{id}",
            "https://example.com/\u{fc}/1",
        ),
        ("a[]@!$&()*+,;=~{id}", "a[]@!$&()*+,;=~1"),
    ] {
        let mut stream = hub.client().subscribe_with(&[("topic", selector)]).await;
        older_publisher(&hub)
            .published(&[("topic", topic), ("data", "right")])
            .await;
        assert_eq!(stream.data().await, "right", "{selector}");
    }
}

/// 0.24 reads `exp` and `nbf` as numbers or as strings of digits, and `null` as absent; the stream ends
/// with the token all the same.
#[tokio::test]
async fn times_of_0_x_tokens_are_read_as_in_0_x() {
    let hub = Hub::classic(MEMORY);
    let whole = Token::older(json!({ "publish": ["*"] }));
    let later = (now() + 3600).to_string();
    for (name, value, status) in [
        ("exp", json!(later), 200),
        ("exp", json!(null), 200),
        ("nbf", json!("1000000000"), 200),
        ("nbf", json!(null), 200),
        ("iat", json!("1000000000"), 200),
        ("iat", json!(null), 200),
        ("exp", json!("1000000000"), 401),
        ("exp", json!("soon"), 401),
        ("nbf", json!(later), 401),
    ] {
        let token = hub.sign_as_publisher(&whole.clone().claim(name, value.clone()));
        let answer = hub.client().bearer(&token).publish(&[("topic", "a")]).await;
        assert_eq!(answer.status, status, "{name} {value}");
    }
    let ends =
        Token::older(json!({ "subscribe": ["*"] })).claim("exp", json!((now() + 2).to_string()));
    let client = hub.client().bearer(&hub.sign_as_subscriber(&ends));
    let mut stream = client.subscribe_with(&[("topic", "a")]).await;
    assert_eq!(stream.end().await, [""; 0]);
    let modern = Token::new(&hub.audience).grant("publish", &[exact("*")]);
    let modern = hub.sign_as_publisher(&modern.claim("exp", json!(later)));
    let answer = hub
        .client()
        .bearer(&modern)
        .publish(&[("topic", "a")])
        .await;
    assert_eq!(answer.status, 401, "1.0 tokens stay strict");
}

/// Any number of spaces follows the scheme. Over HTTP/2 no layer removes the white space around a
/// value before the hub reads it (RFC 9110, section 11.4).
#[tokio::test]
async fn bearer_and_any_number_of_spaces() {
    for hub in [Hub::classic(MEMORY), Hub::start(MEMORY)] {
        let token = hub.publisher_token(&[exact("*")]);
        for value in [
            format!("Bearer  {token}"),
            format!("bearer     {token}"),
            format!("Bearer {token} \t"),
            format!(" Bearer {token}"),
        ] {
            for client in [hub.client(), hub.client().http2()] {
                let client = client.header("authorization", &value);
                client.published(&[("topic", "a")]).await;
            }
        }
        for value in [
            format!("Bearer\t{token}"),
            format!("Bearer \t{token}"),
            format!("Bearer \"{token}\""),
            format!("Bearer {token} {token}"),
        ] {
            let client = hub.client().header("authorization", &value);
            assert_eq!(client.publish(&[("topic", "a")]).await.status, 400);
        }
    }
}

/// "Tokens with no Mercure authorization detail grant no publish or subscribe rights": they are valid.
/// The log names the generation of a claim that is not read.
#[tokio::test]
async fn a_valid_token_without_details_grants_nothing() {
    let hub = Hub::start(&format!("{MEMORY}\nsubscriptions"));
    let grant = json!({ "publish": ["*"], "subscribe": ["*"] });
    let plain = Token::new(&hub.audience);
    for (token, is_named) in [
        (plain.clone().claim("mercure", grant.clone()), true),
        (
            plain.clone().claim("https://mercure.rocks/", grant.clone()),
            true,
        ),
        (
            plain
                .clone()
                .without("authorization_details")
                .claim("mercure", grant.clone()),
            true,
        ),
        (
            plain.clone().claim("authorization_details", json!(null)),
            false,
        ),
        (
            plain
                .clone()
                .claim("authorization_details", json!([{ "type": "payment" }])),
            false,
        ),
        (plain.clone(), false),
    ] {
        let from = hub.log.len();
        let client = hub.client().bearer(&hub.sign_as_publisher(&token));
        let answer = client.publish(&[("topic", "a")]).await;
        assert_eq!(answer.status, 403, "{}", token.claims);
        let challenge = answer.header("www-authenticate");
        assert!(
            challenge.contains(r#"error="insufficient_scope""#),
            "{challenge}"
        );

        let client = hub.client().bearer(&hub.sign_as_subscriber(&token));
        let mut stream = client.subscribe(&[exact("a")]).await;
        let private = [("topic", "a"), ("private", "on"), ("data", "secret")];
        hub.publisher().published(&private).await;
        hub.publisher()
            .published(&[("topic", "a"), ("data", "public")])
            .await;
        assert_eq!(stream.data().await, "public");
        let listed = client.get(&format!("{HUB_PATH}/subscriptions")).await;
        assert_eq!(listed.status, 403);

        // The refusal of the list is the last line of this round.
        let last = |line: &str| line.contains("mercure/subscriptions").then_some(());
        hub.log.find(from, PATIENCE, last).expect("a line");
        let named = hub.log.since(from);
        let named = named
            .iter()
            .filter(|line| line.contains("older_token"))
            .count();
        assert_eq!(named > 0, is_named, "{:?}", hub.log.since(from));
    }
    // What is not an access token stays refused.
    let older = Token::older(grant).claim("exp", json!(now() + 60));
    let client = hub.client().bearer(&hub.sign_as_publisher(&older));
    assert_eq!(client.publish(&[("topic", "a")]).await.status, 401);
}
