//! The hashes by which topics and ids are found.

use siphasher::sip::SipHasher13;

/// Hashes topics and ids, the same way for the life of a log.
#[derive(Clone)]
pub(in crate::history) struct Hashes(SipHasher13);

impl Hashes {
    /// The hashes of the log with this key: whoever does not know it cannot make them collide.
    pub(in crate::history) fn new(key: &[u8; 16]) -> Self {
        Self(SipHasher13::new_with_key(key))
    }

    pub(in crate::history) fn of(&self, text: &str) -> u64 {
        self.0.hash(text.as_bytes())
    }
}
