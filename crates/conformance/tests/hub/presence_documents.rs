//! Subscription documents of both generations, and Laravel's presence channels ("Active Subscriptions").

use serde_json::{Value, json};
use talaria_conformance::hub::Hub;
use talaria_conformance::token::{Token, exact, pattern};

use crate::presence::{API, DIRECTIVES, document, listed, watch};

/// A classic hub shows 0.x clients the documents that they know (B-556 to B-559, B-641, B-642).
#[tokio::test]
async fn a_classic_hub_speaks_json_ld_to_0_x() {
    let hub = Hub::classic(DIRECTIVES);
    let token = Token::older(json!({
        "subscribe": ["/.well-known/mercure/subscriptions{/topic}{/subscriber}"],
        "payload": { "user": "ann" },
    }));
    let client = hub.client().bearer(&hub.sign_as_subscriber(&token));
    let topic = "/.well-known/mercure/subscriptions{/topic}{/subscriber}";
    let mut stream = client.subscribe_with(&[("topic", topic)]).await;
    let own: Value = serde_json::from_str(&stream.data().await).expect("JSON");
    assert_eq!(own["topic"], topic);
    let other = client
        .subscribe_with(&[("topic", "https://example.com/a")])
        .await;
    let event = stream.event().await;
    assert_eq!(event.event_type, "");
    let begun: Value = serde_json::from_str(&event.data).expect("JSON");
    assert_eq!(begun["@context"], "https://mercure.rocks/");
    assert_eq!(begun["type"], "Subscription");
    assert_eq!(begun["payload"], json!({ "user": "ann" }));
    let id = begun["id"].as_str().expect("a string");
    assert!(id.starts_with(&format!(
        "{API}/https%3A%2F%2Fexample.com%2Fa/urn%3Auuid%3A"
    )));

    let answer = client.get(API).await;
    assert_eq!(answer.header("content-type"), "application/ld+json");
    let list: Value = serde_json::from_str(&answer.text).expect("JSON");
    assert_eq!(list["type"], "Subscriptions");
    assert_eq!(list["lastEventID"], answer.header("etag"));
    assert_eq!(list["subscriptions"].as_array().map(Vec::len), Some(2));
    let one = listed(&client, id).await;
    assert_eq!(one["lastEventID"], answer.header("etag"));
    let some = listed(&client, &format!("{API}/https%3A%2F%2Fexample.com%2Fa")).await;
    assert_eq!(some["subscriptions"].as_array().map(Vec::len), Some(1));
    drop(other);
    let ended: Value = serde_json::from_str(&stream.data().await).expect("JSON");
    assert_eq!(
        (ended["id"].as_str(), &ended["active"]),
        (Some(id), &json!(false))
    );
}

/// Under the compatible rule a `topic` subscription has `topic`, and everything else is of Mercure
/// 1.0 (B-619).
#[tokio::test]
async fn a_compatible_hub_shows_topics_in_documents_of_1_0() {
    let hub = Hub::start(&format!("{DIRECTIVES}\nprotocol_version_compatibility 8"));
    let mut stream = watch(&hub).await;
    let _other = hub.client().subscribe_with(&[("topic", "a")]).await;
    let begun = document(&mut stream).await;
    assert_eq!(
        (&begun["topic"], &begun["type"]),
        (&json!("a"), &json!("subscription"))
    );
    assert_eq!((begun.get("match"), begun.get("@context")), (None, None));
}

/// A presence channel grants its URL Pattern, which matches the API's path as sent and the event's
/// topic (B-1042).
#[tokio::test]
async fn a_presence_channel_lists_and_follows_its_members() {
    let hub = Hub::start(DIRECTIVES);
    let channels: Vec<String> = (0..60)
        .map(|number| format!("https://laravel.alt/echo/channel/presence-{number}"))
        .collect();
    let encoded = |topic: &str| topic.replace(':', "%3A").replace('/', "%2F");
    let patterns: Vec<_> = channels
        .iter()
        .map(|topic| {
            pattern(format!(
                "{API}/:match_type/{}{{/:subscriber}}?",
                encoded(topic)
            ))
        })
        .collect();
    let client = hub.subscriber(&patterns);
    let mut stream = client.subscribe(&patterns).await;
    let _member = hub.client().subscribe(&[exact(channels[7].clone())]).await;
    let begun = document(&mut stream).await;
    assert_eq!(begun["match"], channels[7]);
    let list = listed(&client, &format!("{API}/exact/{}", encoded(&channels[7]))).await;
    assert_eq!(list["subscriptions"], json!([begun]));
}
