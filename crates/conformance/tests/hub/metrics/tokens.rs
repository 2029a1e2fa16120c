//! Tokens that are refused by what they are made of, by the issuer's keys, and by an operator.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::json;
use talaria_conformance::free_port;
use talaria_conformance::hub::{Home, PUBLISHER_KEY, SUBSCRIBER_KEY};
use talaria_conformance::token::{Token, exact};

use super::refusals::{modern, refused};
use super::{audience, publisher};
use crate::key_sets::{Key, set_of};
use crate::running::Running;

const TOPIC: [(&str, &str); 1] = [("topic", "a")];

/// Publishes with a token, which must be refused with this status and for this reason.
async fn refuses(hub: &Running, token: &str, status: u16, reason: &str) {
    let answer = hub.client().bearer(token).publish(&TOPIC).await;
    assert_eq!(answer.status, status, "{reason}");
    refused(hub, reason).await;
}

/// Parts that are not JSON objects, an issuer written with a slash, and tokens of another kind.
#[tokio::test]
async fn forms() {
    let reader = format!(
        "issuer https://reader.example {{\nsubscriber {{\njwt \"{SUBSCRIBER_KEY}\"\n}}\n}}"
    );
    let hub = Running::start(&modern(&reader), &[]);
    let token = || Token::new(&audience(&hub)).grant("publish", &[exact("*")]);
    let list = BASE64_URL_SAFE_NO_PAD.encode("[]");
    let good = token().sign(PUBLISHER_KEY);
    let [header, claims, signature]: [&str; 3] =
        good.split('.').collect::<Vec<_>>().try_into().unwrap();
    let of = |issuer: &str| token().claim("iss", issuer.into());
    let older = Token::older(json!({ "publish": ["*"] }));
    for (status, reason, token) in [
        (
            401,
            "bad_header_json",
            format!("{list}.{claims}.{signature}"),
        ),
        (
            401,
            "bad_claims_json",
            format!("{header}.{list}.{signature}"),
        ),
        (400, "bearer_token_bad_characters", "!".repeat(50)),
        (
            401,
            "iss_slash",
            of("https://localhost/").sign(PUBLISHER_KEY),
        ),
        (
            401,
            "no_key_for_role",
            of("https://reader.example").sign(SUBSCRIBER_KEY),
        ),
        (401, "older_token", older.sign(PUBLISHER_KEY)),
    ] {
        refuses(&hub, &token, status, reason).await;
    }
}

/// Keys that an issuer does not publish, or cannot be asked for.
#[tokio::test]
async fn key_sets() {
    let home = Home::new();
    let (known, unknown) = (Key::new("known"), Key::new("unknown"));
    std::fs::write(home.path().join("keys.json"), set_of(&[&known])).unwrap();
    let issuer = |name: &str, set: &str| {
        format!("issuer https://{name}.example {{\npublisher {{\njwks_uri {set}\n}}\n}}\n")
    };
    let file = format!("file://{}/keys.json", home.path().display());
    let away = format!("https://localhost:{}/keys.json", free_port());
    let text = modern(&(issuer("known", &file) + &issuer("away", &away)));
    home.configure(text);
    let hub = Running::start_in(home, &[]);
    let of = |issuer: &str| {
        let token = Token::new(&audience(&hub)).grant("publish", &[exact("*")]);
        token.claim("iss", format!("https://{issuer}.example").into())
    };
    let client = hub.client().bearer(&known.sign(of("known")));
    assert_eq!(client.publish(&TOPIC).await.status, 200);
    for (reason, token) in [
        ("kid_unknown", unknown.sign(of("known"))),
        ("no_key_set", known.sign(of("away"))),
        ("alg_not_listed", of("known").sign(PUBLISHER_KEY)),
    ] {
        refuses(&hub, &token, 401, reason).await;
    }
}

/// An operator takes a token back.
#[tokio::test]
async fn revocations() {
    let hub = Running::start(&modern(""), &[]);
    let token = Token::new(&audience(&hub)).grant("publish", &[exact("*")]);
    let request = json!({ "jti": token.claims["jti"] });
    let admin = hub.admin().header("content-type", "application/json");
    let answer = admin
        .send("POST", "/mercure/revoke", request.to_string())
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    refuses(&hub, &token.sign(PUBLISHER_KEY), 401, "token_revoked").await;
    assert_eq!(publisher(&hub).publish(&TOPIC).await.status, 200);
}
