//! How a client presents a token, and what a grant lets through ("Authorization").

use talaria_conformance::HUB_PATH;
use talaria_conformance::client::target;
use talaria_conformance::hub::Hub;
use talaria_conformance::token::{Token, exact, pattern};

/// "If no access token is presented […] the hub MUST return a 401 […] and MUST NOT include an error
/// code."
#[tokio::test]
async fn no_token_is_401_without_a_code() {
    let hub = Hub::ordinary();
    let answer = hub.client().publish(&[("topic", "a")]).await;
    assert_eq!(answer.status, 401);
    let challenge = answer.header("www-authenticate");
    assert!(
        challenge.starts_with("Bearer") && !challenge.contains("error"),
        "{challenge}"
    );
}

/// "When the malformed element is the access token or its presentation, the response MUST carry a
/// `WWW-Authenticate: Bearer` challenge with `error="invalid_request"`" (B-441).
#[tokio::test]
async fn a_malformed_presentation_is_400() {
    let hub = Hub::ordinary();
    let token = hub.publisher_token(&[exact("*")]);
    let good = format!("Bearer {token}");
    for fields in [
        vec!["Basic dXNlcjpwYXNzd29yZA=="],
        vec!["Bearer"],
        vec![token.as_str()],
        vec![&good, &good],
    ] {
        let client = fields.iter().fold(hub.client(), |client, field| {
            client.header("authorization", field)
        });
        for answer in [
            client.publish(&[("topic", "a")]).await,
            client.get(&target(&[("match", "a")])).await,
        ] {
            assert_eq!(
                answer.status,
                400,
                "{}",
                fields[0].get(..6).unwrap_or_default()
            );
            let challenge = answer.header("www-authenticate");
            assert!(
                challenge.contains(r#"error="invalid_request""#),
                "{challenge}"
            );
        }
    }
}

/// "the scheme name is matched case-insensitively".
#[tokio::test]
async fn the_scheme_has_no_case() {
    let hub = Hub::ordinary();
    let token = hub.publisher_token(&[exact("*")]);
    let client = hub
        .client()
        .header("authorization", &format!("bEARER {token}"));
    client.published(&[("topic", "a")]).await;
}

/// "hubs implementing this specification do not accept" the `access_token` query parameter.
#[tokio::test]
async fn the_query_component_carries_no_token() {
    let hub = Hub::ordinary();
    let token = hub.publisher_token(&[exact("*")]);
    let client = hub.client().form();
    for name in ["access_token", "authorization"] {
        let answer = client
            .send("POST", &format!("{HUB_PATH}?{name}={token}"), "topic=a")
            .await;
        assert_eq!(answer.status, 401, "{name}");
    }
}

/// Keys belong to a role; a subscriber's token publishes nothing (B-238).
#[tokio::test]
async fn keys_belong_to_their_role() {
    let hub = Hub::start(talaria_conformance::hub::ORDINARY);
    let both = Token::new(&hub.audience)
        .grant("publish", &[exact("*")])
        .grant("subscribe", &[exact("*")]);
    let client = hub.client().bearer(&hub.sign_as_subscriber(&both));
    assert_eq!(client.publish(&[("topic", "a")]).await.status, 401);
    let client = hub.client().bearer(&hub.sign_as_publisher(&both));
    client.published(&[("topic", "a")]).await;
    assert_eq!(
        client.get(&target(&[("match", "a")])).await.status,
        401,
        "B-334: also where anonymous"
    );
}

/// A wide matcher with a grant on some books ("Subscribers", first example).
#[tokio::test]
async fn a_narrow_grant_behind_a_wide_matcher() {
    let hub = Hub::ordinary();
    let start = hub.publisher().published(&[("topic", "urn:start")]).await;
    let grants = [
        exact("https://example.com/books/1"),
        exact("https://example.com/books/7"),
    ];
    let client = hub.subscriber(&grants);
    let books = [pattern("https://example.com/books/:id")];
    let mut live = client.subscribe(&books).await;
    let publisher = hub.publisher();
    for (topic, data) in [
        ("https://example.com/books/1", "delivered"),
        ("https://example.com/books/2", "withheld"),
        ("https://example.com/books/7", "delivered too"),
    ] {
        publisher
            .published(&[("topic", topic), ("data", data), ("private", "on")])
            .await;
    }
    publisher
        .published(&[("topic", "https://example.com/books/2"), ("data", "public")])
        .await;
    assert_eq!(live.until("public").await, ["delivered", "delivered too"]);
    let mut replayed = client.last_event_id(&start).subscribe(&books).await;
    assert_eq!(
        replayed.until("public").await,
        ["delivered", "delivered too"]
    );
}

/// The grant matches an alternate topic, the matcher the canonical one ("Subscribers", second
/// example).
#[tokio::test]
async fn an_alternate_topic_carries_the_grant() {
    let hub = Hub::ordinary();
    let start = hub.publisher().published(&[("topic", "urn:start")]).await;
    let client = hub.subscriber(&[pattern("https://example.com/users/42/*")]);
    let books = [pattern("https://example.com/books/:id")];
    let mut live = client.subscribe(&books).await;
    let publisher = hub.publisher();
    for (user, data) in [("42", "delivered"), ("43", "withheld")] {
        let alternate = format!("https://example.com/users/{user}/books/1");
        let fields = [
            ("topic", "https://example.com/books/1"),
            ("topic", &alternate),
            ("private", "on"),
            ("data", data),
        ];
        publisher.published(&fields).await;
    }
    publisher
        .published(&[("topic", "https://example.com/books/1"), ("data", "end")])
        .await;
    assert_eq!(live.until("end").await, ["delivered"]);
    let mut replayed = client.last_event_id(&start).subscribe(&books).await;
    assert_eq!(replayed.until("end").await, ["delivered"]);
}

/// "the hub MUST re-evaluate each candidate replayed event against the current access token".
#[tokio::test]
async fn a_replay_is_judged_by_the_present_token() {
    let hub = Hub::ordinary();
    let start = hub.publisher().published(&[("topic", "urn:start")]).await;
    let publisher = hub.publisher();
    for (topic, data) in [("a", "1"), ("b", "2"), ("a", "3")] {
        publisher
            .published(&[("topic", topic), ("data", data), ("private", "")])
            .await;
    }
    publisher
        .published(&[("topic", "a"), ("data", "end")])
        .await;
    let everything = [exact("*")];
    for (grants, expected) in [
        (vec![], vec![]),
        (vec![exact("a")], vec!["1", "3"]),
        (vec![exact("b")], vec!["2"]),
    ] {
        let client = hub.subscriber(&grants).last_event_id(&start);
        assert_eq!(
            client.subscribe(&everything).await.until("end").await,
            expected
        );
    }
    let mut anonymous = hub
        .client()
        .last_event_id(&start)
        .subscribe(&everything)
        .await;
    assert_eq!(anonymous.until("end").await, [""; 0]);
}

/// "The presence of the field name marks the update as private regardless of its value".
#[tokio::test]
async fn any_value_makes_private() {
    let hub = Hub::ordinary();
    let mut stream = hub.client().subscribe(&[exact("a")]).await;
    let publisher = hub.publisher().form();
    for body in [
        "topic=a&private",
        "topic=a&private=",
        "private=off&topic=a",
        "topic=a&private=false&private=0",
    ] {
        assert_eq!(publisher.send("POST", HUB_PATH, body).await.status, 200);
    }
    publisher
        .published(&[("topic", "a"), ("data", "end")])
        .await;
    assert_eq!(stream.until("end").await, [""; 0]);
}

/// "Hubs MUST ignore action values they do not recognize", and details of another type.
#[tokio::test]
async fn unknown_actions_and_details_grant_nothing() {
    let hub = Hub::ordinary();
    let mut token = Token::new(&hub.audience).grant("administer", &[exact("*")]);
    let details = token.claims["authorization_details"]
        .as_array_mut()
        .unwrap();
    details.push(serde_json::json!({ "type": "https://example.com/other", "topics": "whatever" }));
    let client = hub.client().bearer(&hub.sign_as_publisher(&token));
    assert_eq!(client.publish(&[("topic", "a")]).await.status, 403);
}
