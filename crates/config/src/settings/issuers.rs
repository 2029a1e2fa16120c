//! Issuers and their keys as they were written, before anything is checked.

use std::fmt;

use talaria_hub::access::Algorithm;

use crate::key_set::Location;
use crate::source::Place;

/// A secret or PEM text. `Debug` is redacted and there is no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps key material.
    pub fn new(material: String) -> Self {
        Self(material)
    }

    /// The material itself, for the verifier only.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// What verifies the tokens of one role of one issuer.
#[derive(Debug, Clone)]
pub enum KeySource {
    /// A key of the configuration.
    Static(KeySettings),
    /// The set that the issuer publishes.
    Set(KeySetSettings),
}

impl From<KeySettings> for KeySource {
    fn from(key: KeySettings) -> Self {
        Self::Static(key)
    }
}

/// A key set of one role of one issuer (B-236).
#[derive(Debug, Clone)]
pub struct KeySetSettings {
    /// Where it is published.
    pub location: Location,
    /// The algorithms that tokens may use; empty for all but those with shared secrets.
    pub algorithms: Vec<Algorithm>,
    /// Where it was named.
    pub place: Place,
}

/// A static key of one role of one issuer (B-235).
#[derive(Debug, Clone)]
pub struct KeySettings {
    /// The secret or PEM text, exactly as configured (B-123).
    pub material: Secret,
    /// The one algorithm that tokens may use; `None` means HS256, for a shared secret only (B-224).
    pub algorithm: Option<String>,
    /// Where the key came from.
    pub place: Place,
    /// Where the algorithm is, or would be, named.
    pub algorithm_place: Option<Place>,
}

/// An issuer and the keys that verify its tokens (B-233 to B-238).
#[derive(Debug, Clone)]
pub struct IssuerSettings {
    /// Compared with the token's `iss`, byte for byte; never empty (B-223).
    pub identifier: String,
    /// Whether the metadata document lists it under `authorization_servers` (B-233).
    pub authorization_server: bool,
    /// Whether its keys also judge 0.x tokens that name no trusted issuer (B-613).
    pub judges_unnamed: bool,
    /// The most bytes of an update of its publishers.
    pub max_publish_size: Option<u64>,
    /// The most topics of such an update.
    pub max_publish_topics: Option<u64>,
    /// What verifies publishers' tokens; without it they are refused.
    pub publisher: Option<KeySource>,
    /// What verifies subscribers' tokens; without it they are refused.
    pub subscriber: Option<KeySource>,
    /// Where it was named.
    pub place: Place,
}

impl IssuerSettings {
    /// An issuer without keys, named at this place.
    pub fn new(identifier: impl Into<String>, place: Place) -> Self {
        Self {
            identifier: identifier.into(),
            authorization_server: false,
            judges_unnamed: false,
            max_publish_size: None,
            max_publish_topics: None,
            publisher: None,
            subscriber: None,
            place,
        }
    }
}
