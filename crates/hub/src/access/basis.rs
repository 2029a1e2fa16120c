//! What the acceptance of a token rests on, so that another configuration can judge it without the token.

use std::hash::{Hash, Hasher};
use std::sync::{Arc, Weak};

use talaria_protocol::Generation;

use super::key_identity::KeyIdentity;
use super::key_set::KeySet;

/// What the acceptance of a token rests on. It tells nothing that a token could be made of.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Basis {
    /// The generation in which it was accepted.
    pub(super) generation: Generation,
    /// Its `iss`.
    pub(super) issuer: Option<String>,
    /// The key that verified it.
    pub(super) key: KeyIdentity,
    /// The set that the key was taken from.
    pub(super) set: Option<SetIdentity>,
    /// Its `aud`.
    pub(super) audiences: Box<[String]>,
}

/// A key set, whatever it holds now.
#[derive(Debug, Clone)]
pub(crate) struct SetIdentity(Weak<KeySet>);

impl SetIdentity {
    pub(super) fn of(set: &Arc<KeySet>) -> Self {
        Self(Arc::downgrade(set))
    }
}

impl PartialEq for SetIdentity {
    fn eq(&self, other: &Self) -> bool {
        self.0.ptr_eq(&other.0)
    }
}

impl Eq for SetIdentity {}

impl Hash for SetIdentity {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.as_ptr().hash(state);
    }
}

/// That of a token which no key verified.
#[cfg(test)]
impl Default for Basis {
    fn default() -> Self {
        Self {
            generation: Generation::V1,
            issuer: None,
            key: KeyIdentity::default(),
            set: None,
            audiences: Box::default(),
        }
    }
}
