//! Trusted issuers and their keys, which are never pooled (B-238).

use std::sync::Arc;

use talaria_protocol::error::Shown;

use super::{KeySet, VerificationKey};

/// What a token is presented for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Publishing.
    Publisher,
    /// Subscribing, and reading the subscription API.
    Subscriber,
}

impl Role {
    /// The name as in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Publisher => "publisher",
            Self::Subscriber => "subscriber",
        }
    }
}

/// An issuer and how its tokens are verified (B-233, B-234).
#[derive(Debug, Clone)]
pub struct Issuer {
    /// What the `iss` claim must equal byte for byte.
    pub identifier: String,
    /// Whether the protected resource metadata names it as authorization server.
    pub authorization_server: bool,
    /// Whether its keys also judge 0.x tokens that name no trusted issuer (B-613).
    pub judges_unnamed: bool,
    /// What verifies publishers' tokens; without it, they are refused.
    pub publisher: Option<IssuerKey>,
    /// What verifies subscribers' tokens; without it, they are refused.
    pub subscriber: Option<IssuerKey>,
}

/// What verifies the tokens of one role of an issuer.
#[derive(Debug, Clone)]
pub enum IssuerKey {
    /// A key of the configuration (B-235).
    Static(VerificationKey),
    /// The keys that the issuer publishes (B-236).
    Set(Arc<KeySet>),
}

impl From<VerificationKey> for IssuerKey {
    fn from(key: VerificationKey) -> Self {
        Self::Static(key)
    }
}

impl Issuer {
    /// The key for a role.
    pub fn key(&self, role: Role) -> Option<&IssuerKey> {
        match role {
            Role::Publisher => self.publisher.as_ref(),
            Role::Subscriber => self.subscriber.as_ref(),
        }
    }
}

/// Why a list of issuers is unusable (B-223).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IssuerError {
    /// An identifier is empty.
    #[error(
        "an issuer has an empty identifier; name it as the \"iss\" claim of its tokens does, such \
         as https://example.com"
    )]
    Empty,
    /// Two issuers with one identifier.
    #[error("issuer {} is configured twice; merge the two into one", Shown(.0))]
    Duplicate(String),
    /// An issuer whose tokens could never be used.
    #[error(
        "issuer {} has neither a publisher nor a subscriber key; give it one of them, or remove it",
        Shown(.0)
    )]
    NoRole(String),
}

/// The trusted issuers, each with an identifier and keys of its own.
#[derive(Debug, Clone, Default)]
pub struct Issuers(Vec<Issuer>);

impl Issuers {
    /// Checks the issuers (B-223).
    ///
    /// # Errors
    /// See [`IssuerError`].
    pub fn new(issuers: Vec<Issuer>) -> Result<Self, IssuerError> {
        for (index, issuer) in issuers.iter().enumerate() {
            let identifier = &issuer.identifier;
            if identifier.is_empty() {
                return Err(IssuerError::Empty);
            }
            if issuers
                .iter()
                .take(index)
                .any(|earlier| earlier.identifier == *identifier)
            {
                return Err(IssuerError::Duplicate(identifier.clone()));
            }
            if issuer.publisher.is_none() && issuer.subscriber.is_none() {
                return Err(IssuerError::NoRole(identifier.clone()));
            }
        }
        Ok(Self(issuers))
    }

    /// All issuers, in configured order.
    pub fn iter(&self) -> std::slice::Iter<'_, Issuer> {
        self.0.iter()
    }

    /// The issuer of an identifier.
    pub fn get(&self, identifier: &str) -> Option<&Issuer> {
        self.iter().find(|issuer| issuer.identifier == identifier)
    }

    /// The issuer of a 0.x token: the one it names, else the one for those that name none, else
    /// the only one (B-613).
    pub fn of_older_token(&self, identifier: Option<&str>) -> Option<&Issuer> {
        identifier
            .and_then(|identifier| self.get(identifier))
            .or_else(|| self.iter().find(|issuer| issuer.judges_unnamed))
            .or(match self.0.as_slice() {
                [only] => Some(only),
                _ => None,
            })
    }

    /// Whether some issuer has a key for the role (B-222).
    pub fn serves(&self, role: Role) -> bool {
        self.iter().any(|issuer| issuer.key(role).is_some())
    }
}
