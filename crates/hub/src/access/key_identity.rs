//! What tells verification keys apart.

use std::fmt;

use aws_lc_rs::digest::{self, SHA256};

use super::algorithm::Algorithm;

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
