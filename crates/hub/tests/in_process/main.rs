//! The application publishes and subscribes in its own process, without HTTP and without a token.

#![allow(clippy::expect_used, reason = "a test fails by panicking")]

mod publishing;
mod subscribing;

use std::time::Duration;

use axum::body::Body;
use http::Request;
use http_body_util::BodyExt as _;
use serde_json::json;
use talaria_hub::access::{Algorithm, Issuer, Issuers, KeyError, SigningKey, VerificationKey};
use talaria_hub::protocol::Update;
use talaria_hub::{Hub, SubscribeOptions, Updates};
use tokio::time::timeout;

const SECRET: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const ISSUER: &str = "https://application.example";
const HUB: &str = "http://hub.example/.well-known/mercure";
const TOPIC: &str = "https://example.com/books/1";
/// Far beyond what anything here takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// A hub whose clients may do everything with a token.
fn hub() -> Hub {
    let key = VerificationKey::from_secret(SECRET, Algorithm::HS256).expect("a key");
    let issuer = Issuer::new(ISSUER).publisher(key.clone()).subscriber(key);
    let issuers = Issuers::new([issuer]).expect("an issuer");
    Hub::builder(issuers).anonymous().build().expect("a hub")
}

/// A token that grants everything.
fn token() -> String {
    let claims = json!({
        "iss": ISSUER,
        "aud": HUB,
        "exp": 4_102_444_800_u64,
        "authorization_details": [{
            "type": "https://mercure.rocks/authorization-detail",
            "actions": ["publish", "subscribe"],
            "topics": [{ "match": "*" }],
        }],
    });
    let key = SigningKey::from_secret(SECRET, Algorithm::HS256).expect("a key");
    key.sign(&claims).expect("a token")
}

/// What a client with a grant for everything is answered.
async fn publish_as_client(hub: &Hub, update: &Update) -> (u16, String) {
    let mut body = url::form_urlencoded::Serializer::new(String::new());
    for topic in &update.topics {
        body.append_pair("topic", topic);
    }
    body.append_pair("data", &update.data);
    let texts = [("id", &update.id), ("type", &update.event_type)];
    for (name, text) in texts {
        body.extend_pairs(text.as_ref().map(|text| (name, text)));
    }
    let request = Request::post("/.well-known/mercure")
        .header("host", "hub.example")
        .header("content-type", "application/x-www-form-urlencoded")
        .header("authorization", format!("Bearer {}", token()))
        .body(Body::from(body.finish()))
        .expect("a request");
    let response = hub.handle(request).await;
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.expect("a body");
    (
        status,
        String::from_utf8_lossy(&body.to_bytes())
            .trim_end()
            .to_owned(),
    )
}

async fn next(updates: &mut Updates) -> Option<Update> {
    timeout(PATIENCE, updates.next())
        .await
        .expect("an update in time")
}

/// The data of the next update.
async fn data(updates: &mut Updates) -> String {
    next(updates).await.expect("an update").data
}

fn books() -> SubscribeOptions {
    SubscribeOptions::new().url_pattern("https://example.com/books/:id")
}

/// Keys and tokens are not in what a program may log.
#[test]
fn debug_forms_show_no_secret() {
    let key = VerificationKey::from_secret(SECRET, Algorithm::HS256).expect("a key");
    let signing = SigningKey::from_secret(SECRET, Algorithm::HS256).expect("a key");
    let issuer = Issuer::new(ISSUER).publisher(key.clone());
    let issuers = Issuers::new([issuer.clone()]).expect("an issuer");
    let builder = Hub::builder(issuers.clone());
    // A secret that was not quoted is read as the name of an algorithm.
    let unknown = SECRET.parse::<Algorithm>().expect_err("not an algorithm");
    let in_key = KeyError::from(unknown.clone());
    let shown = format!(
        "{key:?} {signing:?} {issuer:?} {issuers:?} {builder:?} {:?} {unknown:?} {unknown} {in_key:?} {in_key}",
        hub()
    );
    assert!(!shown.contains(&SECRET[..8]), "{shown}");
    assert!(shown.contains("HS256") && shown.contains(ISSUER), "{shown}");
    let short = "none".parse::<Algorithm>().expect_err("not an algorithm");
    assert_eq!(format!("{short:?}"), r#"UnknownAlgorithm("none")"#);
}
