//! Both generations of the protocol on one hub (B-601 to B-660).

use serde_json::{Value, json};
use talaria_conformance::PATIENCE;
use talaria_conformance::client::Client;
use talaria_conformance::hub::Hub;
use talaria_conformance::token::{Token, exact};

const TOPIC: &str = "https://example.com/books/1";
const TEMPLATE: &str = "https://example.com/books/{id}";
const HISTORY: &str = "anonymous\ntransport memory";

fn older_publisher(hub: &Hub, publish: &[&str]) -> Client {
    let token = Token::older(json!({ "publish": publish }));
    hub.client().bearer(&hub.sign_as_publisher(&token))
}

fn older_subscriber_token(hub: &Hub, subscribe: &Value) -> String {
    hub.sign_as_subscriber(&Token::older(json!({ "subscribe": subscribe })))
}

/// A modern and a 0.x publisher and subscriber exchange updates under both rules that know 0.x.
#[tokio::test]
async fn both_generations_exchange_updates() {
    for hub in [
        Hub::classic(HISTORY),
        Hub::start(&format!("{HISTORY}\nprotocol_version_compatibility 8")),
    ] {
        let token = older_subscriber_token(&hub, &json!([TEMPLATE]));
        let older = hub.client().bearer(&token);
        let mut older = older.subscribe_with(&[("topic", TEMPLATE)]).await;
        let mut modern = hub
            .subscriber(&[exact(TOPIC)])
            .subscribe(&[exact(TOPIC)])
            .await;
        let fields = [("topic", TOPIC), ("private", "on"), ("data", "old")];
        older_publisher(&hub, &["*"]).published(&fields).await;
        let fields = [("topic", TOPIC), ("private", "on"), ("data", "new")];
        hub.publisher().published(&fields).await;
        assert_eq!(older.several().await, ["old", "new"]);
        assert_eq!(modern.several().await, ["old", "new"]);
    }
}

/// A token with Mercure details is judged as ever, whatever else is enabled ("Token Validation").
#[tokio::test]
async fn modern_tokens_are_judged_strictly_under_every_rule() {
    let compatible = format!("{HISTORY}\nprotocol_version_compatibility 7");
    for hub in [
        Hub::classic(HISTORY),
        Hub::start(&compatible),
        Hub::classic(&compatible),
    ] {
        let whole = Token::new(&hub.audience).grant("publish", &[exact("*")]);
        let broken = [
            whole.clone().without("exp"),
            whole.clone().without("aud"),
            whole
                .clone()
                .claim("aud", json!("https://elsewhere.example")),
            whole.clone().without("iss"),
            whole.clone().parameter("typ", json!("JWT")),
            // The claim of 0.x beside the details changes nothing.
            whole
                .clone()
                .without("exp")
                .claim("mercure", json!({ "publish": ["*"] })),
        ];
        for token in broken {
            let client = hub.client().bearer(&hub.sign_as_publisher(&token));
            let answer = client.publish(&[("topic", "a")]).await;
            assert_eq!(answer.status, 401, "{}", token.claims);
            assert!(answer.header("www-authenticate").contains("invalid_token"));
        }
        let client = hub.client().bearer(&hub.sign_as_publisher(&whole));
        client.published(&[("topic", "a")]).await;
    }
}

/// Of a 0.x token the hub checks the signature, and `exp` and `nbf` if they are present (B-612,
/// B-637).
#[tokio::test]
async fn an_older_token_needs_its_signature_and_a_future() {
    let hub = Hub::classic(HISTORY);
    let whole = Token::older(json!({ "publish": ["*"] }));
    let stale = whole.clone().claim("exp", json!(1_000_000_000));
    let early = whole.clone().claim("nbf", json!(4_000_000_000_u64));
    let forged = whole.sign("another secret, also of thirty-two bytes or more");
    let unsigned = whole.clone().parameter("alg", json!("none"));
    for token in [
        hub.sign_as_publisher(&stale),
        hub.sign_as_publisher(&early),
        forged,
        hub.sign_as_publisher(&unsigned),
    ] {
        let answer = hub.client().bearer(&token).publish(&[("topic", "a")]).await;
        assert_eq!(answer.status, 401);
    }
}

/// A modern hub calls a 0.x token and a `topic` parameter by name, with the remedy.
#[tokio::test]
async fn a_modern_hub_names_what_is_of_0_x() {
    let hub = Hub::start(HISTORY);
    let answer = older_publisher(&hub, &["*"])
        .publish(&[("topic", "a")])
        .await;
    assert_eq!(answer.status, 401);
    let refusal = |line: &str| line.contains("older_token").then(|| line.to_owned());
    let said = hub.log.find(0, PATIENCE, refusal).expect("a line");
    assert!(said.contains("protocol_version_compatibility 8"), "{said}");
    let answer = hub.client().get("/.well-known/mercure?topic=a").await;
    assert_eq!(answer.status, 400);
    assert!(answer.text.contains("0.x"), "{}", answer.text);
}

/// `publish` and `subscribe` hold selectors or objects, under either name of the claim (B-614).
#[tokio::test]
async fn the_claim_has_several_forms() {
    let hub = Hub::classic(HISTORY);
    let namespaced =
        Token::older(Value::Null).claim("https://mercure.rocks/", json!({ "subscribe": ["*"] }));
    let objects = Token::older(json!({ "subscribe": [
        { "match": "https://example.com/books/:id", "match_type": "urlpattern" },
        { "match": "other" },
    ] }));
    for token in [namespaced, objects] {
        let client = hub.client().bearer(&hub.sign_as_subscriber(&token));
        let mut stream = client.subscribe_with(&[("topic", "*")]).await;
        let fields = [("topic", TOPIC), ("private", "on"), ("data", "1")];
        older_publisher(&hub, &["*"]).published(&fields).await;
        assert_eq!(stream.data().await, "1");
    }
    for broken in [
        json!("text"),
        json!({ "subscribe": "text" }),
        json!({ "subscribe": [null] }),
        json!({ "subscribe": [{}] }),
        json!({ "subscribe": [{ "match": "a", "match_type": "regexp" }] }),
        json!({ "subscribe": vec!["a"; 1001] }),
    ] {
        let token = hub.sign_as_subscriber(&Token::older(broken));
        let client = hub.client().bearer(&token);
        let answer = client.get("/.well-known/mercure?topic=a");
        assert_eq!(answer.await.status, 401);
    }
}

/// The hub reads the header, then the query, then the cookie of either generation (B-616, B-617,
/// B-652).
#[tokio::test]
async fn an_older_token_may_come_in_the_query_and_in_its_cookie() {
    let hub = Hub::classic("transport memory");
    let token = older_subscriber_token(&hub, &json!(["*"]));
    let in_query = [("topic", "a"), ("authorization", token.as_str())];
    let mut by_query = hub.client().subscribe_with(&in_query).await;
    let cookie = hub.client().cookie("mercureAuthorization", &token);
    let mut by_cookie = cookie.subscribe_with(&[("topic", "a")]).await;
    let fields = [("topic", "a"), ("private", "on"), ("data", "1")];
    older_publisher(&hub, &["a"]).published(&fields).await;
    assert_eq!(by_query.data().await, "1");
    assert_eq!(by_cookie.data().await, "1");
    let said = hub.log_to_the_end().await.join("\n");
    assert!(!said.contains(&token), "the token is in the log");

    let modern = Hub::start("transport memory");
    let token = modern.subscriber_token(&[exact("a")]);
    let target = format!("/.well-known/mercure?match=a&authorization={token}");
    assert_eq!(modern.client().get(&target).await.status, 401);
}

/// Every name of the cursor resumes, and both fields name it (B-638, B-639, B-660).
#[tokio::test]
async fn every_name_of_the_cursor_resumes() {
    let hub = Hub::classic(HISTORY);
    let first = older_publisher(&hub, &["*"])
        .published(&[("topic", "a"), ("data", "1")])
        .await;
    older_publisher(&hub, &["*"])
        .published(&[("topic", "a"), ("data", "2")])
        .await;
    for name in [
        "lastEventID",
        "lastEventId",
        "Last-Event-ID",
        "last_event_id",
    ] {
        let parameters = [("topic", "a"), (name, first.as_str())];
        let mut stream = hub.client().subscribe_with(&parameters).await;
        assert_eq!(stream.header("last-event-id"), first, "{name}");
        assert_eq!(stream.header("mercure-last-event-id"), first, "{name}");
        assert_eq!(stream.data().await, "2", "{name}");
    }
    let mut stream = hub.client().last_event_id(&first);
    stream = stream.header("accept", "application/json");
    let mut stream = stream.subscribe_with(&[("topic", "a")]).await;
    assert_eq!(stream.data().await, "2");
}

/// A classic hub, and no other, answers a 0.x client with the status codes of 0.x (B-631 to B-635).
#[tokio::test]
async fn answers_are_of_the_rule() {
    let classic = Hub::classic("transport memory");
    let compatible = Hub::start("transport memory\nprotocol_version_compatibility 8");
    for (hub, scope, reserved, malformed) in
        [(&classic, 401, 403, 401), (&compatible, 403, 400, 400)]
    {
        let client = older_publisher(hub, &["b"]);
        assert_eq!(client.publish(&[("topic", "a")]).await.status, scope);
        let client = older_publisher(hub, &["*"]);
        let own = [("topic", "/.well-known/mercure/subscriptions/a")];
        assert_eq!(client.publish(&own).await.status, reserved);
        assert_eq!(client.publish(&[("data", "1")]).await.status, 400);
        // A line of a batch has the status that the form has.
        for (grant, line, status) in [
            ("b", r#"{"topic":"a"}"#, scope),
            (
                "*",
                r#"{"topic":"/.well-known/mercure/subscriptions/a"}"#,
                reserved,
            ),
            ("*", r#"{"data":"1"}"#, 400),
            ("*", r#"{"topic":"a"}"#, 200),
        ] {
            let client = older_publisher(hub, &[grant]);
            let client = client.header("content-type", "application/x-ndjson");
            let answer = client.send("POST", "/.well-known/mercure", line).await;
            let result: serde_json::Value = serde_json::from_str(&answer.text).expect("JSON");
            assert_eq!(result["status"], status, "{line}");
        }
        let subscriber = hub.client();
        let answer = subscriber.get("/.well-known/mercure?topic=a").await;
        assert_eq!(answer.status, 401);
        let subscriber = hub.client().header("authorization", "Basic abc");
        let answer = subscriber.get("/.well-known/mercure?topic=a").await;
        assert_eq!(answer.status, malformed);
    }
    // A classic hub answers clients of 1.0 as 1.0 does.
    let token = Token::new(&classic.audience).grant("publish", &[exact("b")]);
    let client = classic.client().bearer(&classic.sign_as_publisher(&token));
    let answer = client.publish(&[("topic", "a")]).await;
    assert_eq!(answer.status, 403);
    assert!(
        answer
            .header("www-authenticate")
            .contains("insufficient_scope")
    );
}

/// With compatibility 7 public updates need no grant, private ones do (B-622).
#[tokio::test]
async fn compatibility_7_lets_public_updates_in() {
    let hub = Hub::classic("anonymous\ntransport memory\nprotocol_version_compatibility 7");
    let mut stream = hub.client().subscribe_with(&[("topic", "a")]).await;
    let client = older_publisher(&hub, &[]);
    client.published(&[("topic", "a"), ("data", "1")]).await;
    assert_eq!(stream.data().await, "1");
    let private = [("topic", "a"), ("private", "on")];
    assert_eq!(client.publish(&private).await.status, 401);
    let modern = Token::new(&hub.audience).grant("publish", &[exact("b")]);
    let client = hub.client().bearer(&hub.sign_as_publisher(&modern));
    assert_eq!(client.publish(&[("topic", "a")]).await.status, 403);
}

/// 0.x clients may ask for a thousand topics at once (B-470, B-474).
#[tokio::test]
async fn a_thousand_topics_fit_into_one_subscription() {
    let hub = Hub::classic(HISTORY);
    let topics: Vec<String> = (0..1001).map(|index| format!("t{index}")).collect();
    let parameters: Vec<_> = topics
        .iter()
        .map(|topic| ("topic", topic.as_str()))
        .collect();
    let mut stream = hub.client().subscribe_with(&parameters[..1000]).await;
    older_publisher(&hub, &["*"])
        .published(&[("topic", "t999"), ("data", "1")])
        .await;
    assert_eq!(stream.data().await, "1");
    let query: String = topics
        .iter()
        .map(|topic| format!("topic={topic}&"))
        .collect();
    let target = format!("/.well-known/mercure?{query}");
    assert_eq!(hub.client().get(&target).await.status, 400);
}

/// The start-up report names rule, issuer, algorithm and what is insecure, and no key.
#[tokio::test]
async fn the_start_says_what_is_in_force() {
    let hub = Hub::classic(HISTORY);
    let said = hub.log.since(0).join("\n");
    for expected in [
        "hub: rule classic",
        "configuration: variables alone, without a file: ",
        "issuer https://localhost: publisher key HS256, subscriber key HS256",
        "audiences (`aud`): the site address of each request",
        "insecure: tokens of Mercure 0.x",
    ] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
    assert!(
        !said.contains(talaria_conformance::hub::PUBLISHER_KEY),
        "{said}"
    );
}
