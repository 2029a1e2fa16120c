//! The hashes of topics and ids in an index.

use siphasher::sip::SipHasher13;

/// Hashes topics and ids. The hashes of a log never change.
#[derive(Clone)]
pub(in crate::history) struct Hashes(SipHasher13);

impl Hashes {
    /// The hashes of the log with this key. Without the key a publisher cannot make hashes collide.
    pub(in crate::history) fn new(key: &[u8; 16]) -> Self {
        Self(SipHasher13::new_with_key(key))
    }

    /// A number that identifies the log.
    pub(in crate::history) fn log(&self) -> u64 {
        self.of("")
    }

    pub(in crate::history) fn of(&self, text: &str) -> u64 {
        self.0.hash(text.as_bytes())
    }
}
