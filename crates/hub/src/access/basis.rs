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
    /// Where the key was then.
    pub(super) place: KeyPlace,
    /// Its `aud`, if that was checked.
    pub(super) audiences: Box<[String]>,
}

/// Where a key is: in the configuration, or in a key set, whatever that holds now.
#[derive(Debug, Clone, Default)]
pub(crate) struct KeyPlace(Option<Weak<KeySet>>);

impl KeyPlace {
    /// The place in a set; without one, the configuration.
    pub(super) fn new(set: Option<&Arc<KeySet>>) -> Self {
        Self(set.map(Arc::downgrade))
    }

    fn address(&self) -> Option<*const KeySet> {
        self.0.as_ref().map(Weak::as_ptr)
    }
}

impl PartialEq for KeyPlace {
    fn eq(&self, other: &Self) -> bool {
        // An address is not used again while the other has it.
        self.address() == other.address()
    }
}

impl Eq for KeyPlace {}

impl Hash for KeyPlace {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.address().hash(state);
    }
}

impl Basis {
    /// Where the key was when the token was accepted.
    pub(crate) fn place(&self) -> &KeyPlace {
        &self.place
    }

    /// Whether the key is at none of the places where it was: its issuer does not publish it any more.
    pub(crate) fn has_lost_key(&self, place: &KeyPlace) -> bool {
        let set = place.0.as_ref().and_then(Weak::upgrade);
        set.is_some_and(|set| !set.has(self.key))
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
            place: KeyPlace::default(),
            audiences: Box::default(),
        }
    }
}
