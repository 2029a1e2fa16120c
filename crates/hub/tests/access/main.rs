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
    Access, Issuer, Issuers, KeyError, Refusal, Role, SigningKey, VerificationKey, Verifier,
};
use talaria_hub::clock::UnixTime;
use talaria_protocol::{Base, Limits};

const SECRET: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const ISSUER: &str = "https://issuer.example";
const AUDIENCE: &str = "https://hub.example/.well-known/mercure";
const NOW: f64 = 1_000_000.0;
const AT_NOW: UnixTime = UnixTime::from_seconds(NOW);

fn key(material: &str, algorithm: Option<&str>) -> VerificationKey {
    parsed_key(material, algorithm).expect("a usable key")
}

/// A verification key of these texts, as a configuration has them.
fn parsed_key(material: &str, algorithm: Option<&str>) -> Result<VerificationKey, KeyError> {
    VerificationKey::parse(material, algorithm.map(str::parse).transpose()?)
}

/// A token signed with the key of these texts, as a command line has them.
fn mint(
    claims: &Value,
    material: &str,
    algorithm: Option<&str>,
    kid: Option<&str>,
) -> Result<String, KeyError> {
    let mut key = SigningKey::parse(material, algorithm.map(str::parse).transpose()?)?;
    if let Some(kid) = kid {
        key = key.with_kid(kid);
    }
    key.sign(claims)
}

fn issuer(identifier: &str, publisher: Option<VerificationKey>) -> Issuer {
    let mut issuer = Issuer::new(identifier);
    issuer.publisher = publisher.map(Into::into);
    issuer
}

fn verifier(key: VerificationKey) -> Verifier {
    let issuers = Issuers::new([issuer(ISSUER, Some(key))]).expect("issuers");
    Verifier::new(issuers, Base::synthetic(), Limits::default())
}

fn claims() -> Value {
    json!({
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "ann",
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

/// Signs any header and claims with HS256.
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
    verifier(key(SECRET, None)).verify(
        token,
        Role::Publisher,
        &[AUDIENCE.to_owned()],
        UnixTime::from_seconds(now),
    )
}

fn verify(token: &str) -> Result<Access, Refusal> {
    verify_at(token, NOW)
}

/// The token with other claims under the same signature.
fn tampered(token: &str) -> String {
    let mut parts: Vec<&str> = token.split('.').collect();
    let other = encoded(with("sub", json!("bob")).to_string());
    parts[1] = &other;
    parts.join(".")
}
