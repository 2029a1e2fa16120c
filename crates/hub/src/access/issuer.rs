//! Trusted issuers and their keys. A token is verified with the keys of the issuer it names and no
//! others (B-238).

use std::sync::Arc;

use talaria_protocol::error::Shown;

use super::algorithm::Algorithm;
use super::key::VerificationKey;
use super::key_set::KeySet;
use super::role::Role;

/// A trusted issuer and the keys that verify its tokens (B-233, B-234).
///
/// ```
/// use talaria_hub::access::{Algorithm, Issuer, Issuers, VerificationKey};
///
/// let secret = "0123456789abcdef0123456789abcdef";
/// let key = VerificationKey::from_secret(secret, Algorithm::HS256)?;
/// let application = Issuer::new("https://app.example")
///     .publisher(key.clone())
///     .subscriber(key);
/// let issuers = Issuers::new([application])?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Issuer {
    /// What the `iss` claim must equal byte for byte.
    pub identifier: String,
    /// Whether the protected resource metadata names it as authorization server.
    pub authorization_server: bool,
    /// Whether its keys also verify 0.x tokens that name no trusted issuer (B-613).
    pub judges_unnamed: bool,
    /// The most bytes of an update that its tokens publish, as it is sent, if that is less than what the hub takes of
    /// every publisher.
    pub max_publish_size: Option<u64>,
    /// The most topics of such an update, if that is less than what the hub takes of every publisher.
    pub max_publish_topics: Option<u64>,
    /// What verifies publishers' tokens; without it, they are refused.
    pub publisher: Option<IssuerKey>,
    /// What verifies subscribers' tokens; without it, they are refused. If no issuer has it, tokens of
    /// subscribers are ignored, and every client receives what is public (B-334).
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

impl IssuerKey {
    /// The algorithms that tokens may use.
    pub fn algorithms(&self) -> Vec<Algorithm> {
        match self {
            Self::Static(key) => vec![key.algorithm()],
            Self::Set(set) => set.algorithms().to_vec(),
        }
    }
}

impl From<VerificationKey> for IssuerKey {
    fn from(key: VerificationKey) -> Self {
        Self::Static(key)
    }
}

impl From<Arc<KeySet>> for IssuerKey {
    fn from(set: Arc<KeySet>) -> Self {
        Self::Set(set)
    }
}

impl Issuer {
    /// An issuer without keys. `identifier` is what the `iss` claim of its tokens says.
    pub fn new(identifier: impl Into<String>) -> Self {
        Self {
            identifier: identifier.into(),
            authorization_server: false,
            judges_unnamed: false,
            max_publish_size: None,
            max_publish_topics: None,
            publisher: None,
            subscriber: None,
        }
    }

    /// The same issuer, whose tokens may publish if this key verifies them.
    ///
    /// This alone protects no subscriptions: if none of the hub's issuers has a
    /// [subscriber key](Self::subscriber), the hub ignores the tokens of subscribers, and serves public
    /// updates to every client, even without [`anonymous`](crate::HubBuilder::anonymous) (B-334).
    #[must_use]
    pub fn publisher(mut self, key: impl Into<IssuerKey>) -> Self {
        self.publisher = Some(key.into());
        self
    }

    /// The same issuer, whose tokens may subscribe if this key verifies them.
    #[must_use]
    pub fn subscriber(mut self, key: impl Into<IssuerKey>) -> Self {
        self.subscriber = Some(key.into());
        self
    }

    /// The key for a role.
    pub fn key(&self, role: Role) -> Option<&IssuerKey> {
        match role {
            Role::Publisher => self.publisher.as_ref(),
            Role::Subscriber => self.subscriber.as_ref(),
        }
    }
}

/// Why a list of issuers is unusable.
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

/// The trusted issuers, each with its own identifier and keys. Without any, clients cannot publish.
#[derive(Debug, Clone, Default)]
pub struct Issuers(Vec<Issuer>);

impl Issuers {
    /// Checks a list of issuers.
    ///
    /// # Errors
    /// Two issuers that cannot be told apart, or one without a key (B-223).
    pub fn new(issuers: impl IntoIterator<Item = Issuer>) -> Result<Self, IssuerError> {
        let issuers: Vec<Issuer> = issuers.into_iter().collect();
        for (index, issuer) in issuers.iter().enumerate() {
            let identifier = &issuer.identifier;
            if identifier.is_empty() {
                return Err(IssuerError::Empty);
            }
            let mut earlier = issuers.iter().take(index);
            if earlier.any(|earlier| earlier.identifier == *identifier) {
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

    /// The issuer of a 0.x token: the one that the token names, else the one that
    /// [judges unnamed tokens](Issuer::judges_unnamed), else the only one (B-613).
    pub(crate) fn of_older_token(&self, identifier: Option<&str>) -> Option<&Issuer> {
        identifier
            .and_then(|identifier| self.get(identifier))
            .or_else(|| self.iter().find(|issuer| issuer.judges_unnamed))
            .or(match self.0.as_slice() {
                [only] => Some(only),
                _ => None,
            })
    }

    /// Whether an issuer has a key for the role (B-222).
    pub fn serves(&self, role: Role) -> bool {
        self.iter().any(|issuer| issuer.key(role).is_some())
    }
}
