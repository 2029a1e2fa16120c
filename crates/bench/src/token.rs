//! The tokens that a bench mints for its publishers and subscribers.

use serde_json::{Value, json};
use talaria_hub::access::SigningKey;

use crate::clock;
use crate::error::Problem;

/// Mints self-issued access tokens, signed with HS256 (specification, "Authorization").
#[derive(Debug)]
pub(crate) struct Mint {
    /// The tokens' `iss`.
    pub(crate) issuer: String,
    /// The tokens' `aud`.
    pub(crate) audience: String,
    /// Seconds that a token is valid for.
    pub(crate) lifetime: u64,
}

impl Mint {
    /// A token for one action on some matchers, each an exact topic or `*`.
    ///
    /// # Errors
    /// When the secret cannot sign.
    pub(crate) fn token(
        &self,
        secret: &[u8],
        action: &str,
        topics: &[&str],
        id: &str,
    ) -> Result<String, Problem> {
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
        let secret = std::str::from_utf8(secret).map_err(|_| Problem::BinaryKey)?;
        SigningKey::parse(secret, None)
            .and_then(|key| key.sign(&claims))
            .map_err(|error| Problem::Sign(error.into()))
    }
}
