//! Access tokens: RFC 9068 claims with Mercure authorization details, signed with HMAC (B-043).

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// The type of a Mercure authorization detail.
pub const DETAIL: &str = "https://mercure.rocks/authorization-detail";

/// The issuer that owns the two key variables when none is named.
pub const ISSUER: &str = "https://localhost";

/// A topic matcher as it is written in a request and in a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Matcher {
    /// `match`.
    Exact(String),
    /// `match_urlpattern`.
    Pattern(String),
}

impl Matcher {
    /// The parameter of a subscription: its name and value.
    #[must_use]
    pub fn parameter(&self) -> (&'static str, &str) {
        match self {
            Self::Exact(value) => ("match", value),
            Self::Pattern(value) => ("match_urlpattern", value),
        }
    }

    /// The topic matcher object of an authorization detail.
    #[must_use]
    pub fn grant(&self) -> Value {
        match self {
            Self::Exact(value) => json!({ "match": value }),
            Self::Pattern(value) => json!({ "match": value, "match_type": "urlpattern" }),
        }
    }
}

/// An exact matcher.
#[must_use]
pub fn exact(topic: impl Into<String>) -> Matcher {
    Matcher::Exact(topic.into())
}

/// A URL Pattern matcher.
#[must_use]
pub fn pattern(text: impl Into<String>) -> Matcher {
    Matcher::Pattern(text.into())
}

/// A token before it is signed; every part can be broken on purpose.
#[derive(Debug, Clone)]
pub struct Token {
    /// The protected header.
    pub header: Value,
    /// The claims.
    pub claims: Value,
}

impl Token {
    /// A valid token for `audience` that lives an hour and grants nothing.
    #[must_use]
    pub fn new(audience: &str) -> Self {
        static SERIAL: AtomicU64 = AtomicU64::new(0);
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let now = now();
        Self {
            header: json!({ "alg": "HS256", "typ": "at+jwt" }),
            claims: json!({
                "iss": ISSUER,
                "aud": audience,
                "sub": format!("urn:conformance:{serial}"),
                "client_id": ISSUER,
                "iat": now,
                "exp": now + 3600,
                "jti": format!("urn:conformance:{}:{serial}", std::process::id()),
                "authorization_details": [],
            }),
        }
    }

    /// A token of Mercure 0.x as applications issue it, without `exp`, `aud`, `iss` and details
    /// (B-671, B-676).
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "it reads as the claim does")]
    pub fn older(claim: Value) -> Self {
        Self {
            header: json!({ "alg": "HS256", "typ": "JWT" }),
            claims: json!({ "mercure": claim }),
        }
    }

    /// Adds a detail that grants `action` on `matchers`. Without matchers it adds none, since a
    /// detail must have topics.
    #[must_use]
    pub fn grant(mut self, action: &str, matchers: &[Matcher]) -> Self {
        if matchers.is_empty() {
            return self;
        }
        let topics: Vec<Value> = matchers.iter().map(Matcher::grant).collect();
        let detail = json!({ "type": DETAIL, "actions": [action], "topics": topics });
        self.claims["authorization_details"]
            .as_array_mut()
            .unwrap()
            .push(detail);
        self
    }

    /// Replaces a claim.
    #[must_use]
    pub fn claim(mut self, name: &str, value: Value) -> Self {
        self.claims[name] = value;
        self
    }

    /// Removes a claim.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.claims.as_object_mut().unwrap().remove(name);
        self
    }

    /// Replaces a header parameter.
    #[must_use]
    pub fn parameter(mut self, name: &str, value: Value) -> Self {
        self.header[name] = value;
        self
    }

    /// Signs the token with the algorithm in its header, or with HS256 if that is unknown, and
    /// returns the compact JWS.
    #[must_use]
    pub fn sign(&self, key: &str) -> String {
        let algorithm = match self.header["alg"].as_str() {
            Some("HS384") => hmac::HMAC_SHA384,
            Some("HS512") => hmac::HMAC_SHA512,
            _ => hmac::HMAC_SHA256,
        };
        let text = format!(
            "{}.{}",
            BASE64_URL_SAFE_NO_PAD.encode(self.header.to_string()),
            BASE64_URL_SAFE_NO_PAD.encode(self.claims.to_string())
        );
        let tag = hmac::sign(&hmac::Key::new(algorithm, key.as_bytes()), text.as_bytes());
        format!("{text}.{}", BASE64_URL_SAFE_NO_PAD.encode(tag.as_ref()))
    }
}

/// Seconds since the epoch.
#[must_use]
pub fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

/// Seconds since the epoch, with their fraction.
#[must_use]
pub fn now_exactly() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs_f64()
}
