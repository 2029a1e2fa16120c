//! The tokens that a bench mints for its publishers and subscribers.

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

use super::clock;

/// Mints self-issued access tokens (specification, "Authorization"), HS256.
pub struct Mint {
    /// The tokens' `iss`.
    pub issuer: String,
    /// The tokens' `aud`.
    pub audience: String,
    /// Seconds that a token is valid for.
    pub lifetime: u64,
}

impl Mint {
    /// A token for one action on some matchers, each an exact topic or `*`.
    ///
    /// # Errors
    /// When the secret cannot sign.
    pub fn token(
        &self,
        secret: &[u8],
        action: &str,
        topics: &[&str],
        id: &str,
    ) -> Result<String, String> {
        let now = clock::unix_seconds();
        let topics: Vec<Value> = topics
            .iter()
            .map(|topic| json!({ "match": topic }))
            .collect();
        let claims = json!({
            "iss": self.issuer,
            "aud": self.audience,
            "sub": id,
            "client_id": "talaria-bench",
            "iat": now,
            "exp": now + self.lifetime,
            "jti": id,
            "authorization_details": [{
                "type": "https://mercure.rocks/authorization-detail",
                "actions": [action],
                "topics": topics,
            }],
        });
        let header = Header {
            typ: Some("at+jwt".to_owned()),
            ..Header::new(Algorithm::HS256)
        };
        encode(&header, &claims, &EncodingKey::from_secret(secret))
            .map_err(|error| format!("a token cannot be signed with the key: {error}"))
    }
}
