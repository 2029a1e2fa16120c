//! Access tokens, from minting to what is refused (specification, "Token Validation").

#![allow(clippy::expect_used, reason = "a test fails by panicking")]
#![allow(clippy::needless_pass_by_value, reason = "`json!` makes values")]

mod algorithms;
mod claims;
mod key_sets;
mod keys;
mod material;
mod older;
mod refusals;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use talaria_hub::access::{
    Access, Issuer, Issuers, Refusal, Role, VerificationKey, Verifier, mint,
};
use talaria_protocol::{Base, Limits};

const SECRET: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const ISSUER: &str = "https://issuer.example";
const AUDIENCE: &str = "https://hub.example/.well-known/mercure";
const NOW: f64 = 1_000_000.0;

fn key(material: &str, algorithm: Option<&str>) -> VerificationKey {
    VerificationKey::new(material, algorithm).expect("a usable key")
}

fn issuer(identifier: &str, publisher: Option<VerificationKey>) -> Issuer {
    Issuer {
        identifier: identifier.to_owned(),
        authorization_server: false,
        judges_unnamed: false,
        publisher: publisher.map(Into::into),
        subscriber: None,
    }
}

fn verifier(key: VerificationKey) -> Verifier {
    let issuers = Issuers::new(vec![issuer(ISSUER, Some(key))]).expect("issuers");
    Verifier::new(issuers, Base::synthetic(), Limits::default())
}

fn claims() -> Value {
    json!({
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "somebody",
        "exp": NOW + 60.0,
        "authorization_details": [{
            "type": "https://mercure.rocks/authorization-detail",
            "actions": ["publish"],
            "topics": [{ "match": "https://example.com/a" }],
        }],
    })
}

/// The usual claims, with one of them set or, with `null`, removed.
fn with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    let object = claims.as_object_mut().expect("an object");
    match value {
        Value::Null => object.remove(name),
        value => object.insert(name.to_owned(), value),
    };
    claims
}

fn signed(claims: &Value) -> String {
    mint(claims, SECRET, None, None).expect("a token")
}

/// Signs whatever header and claims with HS256.
fn signed_raw(header: &str, claims: &str) -> String {
    let message = format!("{}.{}", encoded(header), encoded(claims));
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, SECRET.as_bytes());
    let signature = aws_lc_rs::hmac::sign(&key, message.as_bytes());
    format!("{message}.{}", encoded(signature.as_ref()))
}

fn with_header(header: &Value) -> String {
    signed_raw(&header.to_string(), &claims().to_string())
}

fn encoded(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

fn verify_at(token: &str, now: f64) -> Result<Access, Refusal> {
    verifier(key(SECRET, None)).verify(token, Role::Publisher, &[AUDIENCE.to_owned()], now)
}

fn verify(token: &str) -> Result<Access, Refusal> {
    verify_at(token, NOW)
}

/// The token with other claims under the same signature.
fn tampered(token: &str) -> String {
    let mut parts: Vec<&str> = token.split('.').collect();
    let other = encoded(with("sub", json!("somebody else")).to_string());
    parts[1] = &other;
    parts.join(".")
}
