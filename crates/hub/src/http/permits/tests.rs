//! Grounds, and what is kept of them.

use axum::body::Body;
use http::{Request, Response};
use serde_json::json;

use super::*;
use crate::access::{Algorithm, Issuer, Issuers, SigningKey, VerificationKey};
use crate::hub::Hub;

const SECRET: &str = "0123456789abcdef0123456789abcdef";
const AUDIENCE: &str = "https://hub.example/.well-known/mercure";

fn hub() -> Hub {
    let key = VerificationKey::from_secret(SECRET, Algorithm::HS256).expect("a key");
    let issuer = Issuer::new("https://app.example").subscriber(key);
    Hub::builder(Issuers::new([issuer]).expect("an issuer"))
        .configure(|options| options.accepted_audiences = vec![AUDIENCE.to_owned()])
        .build()
        .expect("a hub")
}

/// A stream of a request to this host.
async fn subscribe(hub: &Hub, host: &str) -> Response<Body> {
    let claims = json!({
        "iss": "https://app.example", "aud": AUDIENCE, "exp": 4_102_444_800_u64,
    });
    let key = SigningKey::from_secret(SECRET, Algorithm::HS256).expect("a key");
    let request = Request::get("/.well-known/mercure?match=a")
        .header("host", host)
        .header(
            "authorization",
            format!("Bearer {}", key.sign(&claims).expect("a token")),
        )
        .body(Body::empty());
    let response = hub.handle(request.expect("a request")).await;
    assert_eq!(response.status(), 200);
    response
}

/// A client can name any host, and makes a ground with each. Nothing is left of them after their streams.
#[tokio::test]
async fn grounds_are_forgotten_with_their_streams() {
    let hub = hub();
    let number = || hub.shared().permits.len();
    let mut open = Vec::new();
    for host in 0..1_000 {
        open.push(subscribe(&hub, &format!("h{host}.example")).await);
        open.push(subscribe(&hub, &format!("h{host}.example")).await);
    }
    assert_eq!(number(), 1_000, "streams with the same ground share it");
    open.clear();
    for host in 0..5_000 {
        drop(subscribe(&hub, &format!("h{host}.example")).await);
    }
    assert!(number() <= 2 * FEWEST, "{}", number());
    let _one = subscribe(&hub, "hub.example").await;
    let options = HubOptions::clone(&hub.shared().options);
    let hub = hub.reconfigure(options);
    assert_eq!(hub.shared().permits.len(), 1);
}
