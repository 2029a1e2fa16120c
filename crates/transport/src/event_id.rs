//! Event ids that are encrypted positions.
//!
//! The specification wants ids that disclose neither time nor order, "or an encrypted form of an
//! internal ordered identifier" ("Reconnection"). An id is `urn:uuid:` and a version 8 UUID whose
//! 122 free bits are a run's 58-bit tag and a 64-bit position, encrypted: the AES block is applied
//! until the result is a version 8 UUID again (cycle walking), so that every id is one and
//! decryption walks back the same way. So no index of ids is needed.

use aes::Aes128;
use aes::cipher::{BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use uuid::Uuid;

use crate::Position;

const PREFIX: &str = "urn:uuid:";
/// The bits that make a UUID one of version 8 and of the RFC variant.
const FIXED_BITS: u128 = 0x8 << 76 | 0b10 << 62;
const FIXED_MASK: u128 = 0xF << 76 | 0b11 << 62;
const TAG_BITS: u32 = 58;

/// Names one run of a log: one opening of an embedded log for writing, one epoch of a shared one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RunTag(u64);

impl RunTag {
    /// A random tag.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn random() -> Result<Self, getrandom::Error> {
        Ok(Self(getrandom::u64()? >> (u64::BITS - TAG_BITS)))
    }

    /// The tag as it is stored.
    pub(crate) fn to_u64(self) -> u64 {
        self.0
    }

    /// A tag that was stored.
    pub(crate) fn from_u64(stored: u64) -> Self {
        Self(stored & ((1 << TAG_BITS) - 1))
    }
}

/// Makes and reads the ids of one log.
#[derive(Clone)]
pub struct EventIds {
    cipher: Aes128,
}

impl std::fmt::Debug for EventIds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("EventIds")
    }
}

impl EventIds {
    /// Ids under a key of 16 bytes.
    pub fn new(key: &[u8; 16]) -> Self {
        Self {
            cipher: Aes128::new(key.into()),
        }
    }

    /// Ids under a random key, for a log that dies with the process.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn random() -> Result<Self, getrandom::Error> {
        let mut key = [0; 16];
        getrandom::fill(&mut key)?;
        Ok(Self::new(&key))
    }

    /// The id of a position in a run.
    pub fn encode(&self, run: RunTag, position: Position) -> String {
        let mut block = spread(u128::from(run.0) << 64 | u128::from(position.0));
        loop {
            let mut bytes = block.to_be_bytes().into();
            self.cipher.encrypt_block(&mut bytes);
            block = u128::from_be_bytes(bytes.into());
            if is_version_8(block) {
                return format!("{PREFIX}{}", Uuid::from_u128(block).hyphenated());
            }
        }
    }

    /// The run and position of an id; garbage for an id of another log, so the tag must be
    /// compared with the runs that are known. `None` for what no log of ours can have made.
    pub fn decode(&self, event_id: &str) -> Option<(RunTag, Position)> {
        let text = event_id.strip_prefix(PREFIX)?;
        let mut block = Uuid::try_parse(text).ok()?.as_u128();
        // Ids are compared as text everywhere else, so only our own spelling is one of ours.
        let canonical = Uuid::from_u128(block).hyphenated().to_string() == text;
        if !canonical || !is_version_8(block) {
            return None;
        }
        loop {
            let mut bytes = block.to_be_bytes().into();
            self.cipher.decrypt_block(&mut bytes);
            block = u128::from_be_bytes(bytes.into());
            if is_version_8(block) {
                let free = gather(block);
                return Some((RunTag((free >> 64) as u64), Position(free as u64)));
            }
        }
    }
}

fn is_version_8(block: u128) -> bool {
    block & FIXED_MASK == FIXED_BITS
}

/// Spreads 122 bits around the fixed ones.
fn spread(free: u128) -> u128 {
    let low = free & ((1 << 62) - 1);
    let middle = (free >> 62) & ((1 << 12) - 1);
    let high = free >> 74;
    high << 80 | FIXED_BITS | middle << 64 | low
}

/// Undoes [`spread`].
fn gather(block: u128) -> u128 {
    let low = block & ((1 << 62) - 1);
    let middle = (block >> 64) & ((1 << 12) - 1);
    let high = block >> 80;
    high << 74 | middle << 62 | low
}

#[cfg(not(talaria_loom))]
#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Specification, "Reconnection": opaque ids; every one is a version 8 UUID URN that
        /// leads back to its position, and to nothing under another key.
        #[test]
        fn an_id_leads_back_to_its_position(
            key: [u8; 16],
            other: [u8; 16],
            tag in 0..1_u64 << TAG_BITS,
            position: u64,
        ) {
            let ids = EventIds::new(&key);
            let id = ids.encode(RunTag(tag), Position(position));
            let uuid = Uuid::parse_str(id.strip_prefix(PREFIX).expect("a URN")).expect("a UUID");
            prop_assert_eq!(uuid.get_version_num(), 8);
            prop_assert_eq!(uuid.get_variant(), uuid::Variant::RFC4122);
            prop_assert_eq!(ids.decode(&id), Some((RunTag(tag), Position(position))));
            if key != other {
                let decoded = EventIds::new(&other).decode(&id);
                prop_assert_ne!(decoded, Some((RunTag(tag), Position(position))));
            }
        }

        #[test]
        fn any_text_is_decoded_without_harm(text: String, uuid: u128) {
            let ids = EventIds::new(&[7; 16]);
            ids.decode(&text);
            ids.decode(&format!("{PREFIX}{}", Uuid::from_u128(uuid)));
        }
    }

    #[test]
    fn another_spelling_of_an_id_is_another_id() {
        let ids = EventIds::new(&[7; 16]);
        let id = ids.encode(RunTag(1), Position(10));
        assert_eq!(ids.decode(&id.to_uppercase()), None);
        assert_eq!(ids.decode(&id.replace('-', "")), None);
    }
}
