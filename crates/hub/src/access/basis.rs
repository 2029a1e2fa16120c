//! What the acceptance of a token rests on, so that another configuration can judge it without the token.

use std::fmt;
use std::sync::{Arc, Weak};

use aws_lc_rs::digest::{self, SHA256};
use talaria_protocol::Generation;

use super::algorithm::Algorithm;
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

/// Tells keys apart without being of use to anyone who reads memory.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct KeyIdentity([u8; 32]);

impl KeyIdentity {
    /// The identity of a key with this algorithm. `public` follows from the key, and the key does not
    /// follow from it.
    pub(super) fn new(algorithm: Algorithm, public: &[u8]) -> Self {
        let mut hash = digest::Context::new(&SHA256);
        hash.update(algorithm.name().as_bytes());
        hash.update(&[0]);
        hash.update(public);
        let mut identity = Self::default();
        identity.0.copy_from_slice(hash.finish().as_ref());
        identity
    }
}

impl fmt::Debug for KeyIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyIdentity").finish_non_exhaustive()
    }
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

impl std::hash::Hash for SetIdentity {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
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
