//! Event ids that are encrypted positions.
//!
//! Ids must disclose neither time nor order, and may be "an encrypted form of an internal ordered
//! identifier" (specification, "Reconnection"). An id is `urn:uuid:` and a version 8 UUID whose
//! 122 free bits are a run's 58-bit tag and a 64-bit position, encrypted: a Feistel network over
//! two halves of 61 bits, whose round function is AES under the log's key, each round in a separate
//! domain (the construction of NIST's FF1 for binary strings, without its tweak). So every id is a
//! version 8 UUID, and the log needs no index of the ids that it made (ADR 0003, ADR 0012).

use aes::cipher::{BlockCipherEncrypt, KeyInit};
use aes::{Aes128, Block};
use uuid::Uuid;
use uuid::fmt::Hyphenated;

use crate::Position;

const PREFIX: &str = "urn:uuid:";
/// The bits that make a UUID one of version 8 and of the RFC variant.
const FIXED_BITS: u128 = 0x8 << 76 | 0b10 << 62;
const FIXED_MASK: u128 = 0xF << 76 | 0b11 << 62;
/// Bits of a half of what is encrypted.
const HALF_BITS: u32 = 61;
const HALF: u64 = (1 << HALF_BITS) - 1;
/// As many as FF1 has.
const ROUNDS: u8 = 10;
const TAG_BITS: u32 = 58;

/// Identifies one run of a log, that is, one opening for writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct RunTag(u64);

impl RunTag {
    /// A random tag.
    ///
    /// # Errors
    /// If the system provides no randomness.
    pub(crate) fn random() -> Result<Self, getrandom::Error> {
        Ok(Self(getrandom::u64()? >> (u64::BITS - TAG_BITS)))
    }

    /// The number that is stored for the tag.
    pub(crate) fn to_u64(self) -> u64 {
        self.0
    }

    /// The tag that was stored as this number.
    pub(crate) fn from_u64(stored: u64) -> Self {
        Self(stored & ((1 << TAG_BITS) - 1))
    }
}

/// Makes and decodes the ids of one log.
#[derive(Clone)]
pub(crate) struct EventIds {
    cipher: Aes128,
}

impl std::fmt::Debug for EventIds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("EventIds")
    }
}

impl EventIds {
    /// Ids under a key of 16 bytes.
    pub(crate) fn new(key: &[u8; 16]) -> Self {
        Self {
            cipher: Aes128::new(key.into()),
        }
    }

    /// Ids under a random key, for a log that dies with the process.
    ///
    /// # Errors
    /// If the system provides no randomness.
    pub(crate) fn random() -> Result<Self, getrandom::Error> {
        let mut key = [0; 16];
        getrandom::fill(&mut key)?;
        Ok(Self::new(&key))
    }

    /// The id of a position in a run.
    pub(crate) fn encode(&self, run: RunTag, position: Position) -> String {
        self.encode_all(run, position, 1).pop().unwrap_or_default()
    }

    /// The ids of `count` positions in a run, from `first` on. The processor encrypts several blocks at a
    /// time, so this is several times faster than one by one.
    pub(crate) fn encode_all(&self, run: RunTag, first: Position, count: usize) -> Vec<String> {
        let positions = (first.0..).take(count);
        let mut network: Vec<(u64, u64)> = positions
            .map(|position| halves(u128::from(run.0) << 64 | u128::from(position)))
            .collect();
        let mut blocks = Vec::with_capacity(count);
        for round in 0..ROUNDS {
            blocks.clear();
            blocks.extend(network.iter().map(|(_, right)| block(round, *right)));
            self.cipher.encrypt_blocks(&mut blocks);
            for ((left, right), block) in network.iter_mut().zip(&blocks) {
                (*left, *right) = (*right, *left ^ half_of(block));
            }
        }
        network
            .into_iter()
            .map(|(left, right)| written(spread(united(left, right))))
            .collect()
    }

    /// The run and position of an id; `None` if no log can have made it. For an id of another log the
    /// result is garbage, so the caller compares the tag with the runs that it knows.
    pub(crate) fn decode(&self, event_id: &str) -> Option<(RunTag, Position)> {
        let text = event_id.strip_prefix(PREFIX)?;
        let uuid = Uuid::try_parse(text).ok()?.as_u128();
        // Ids are compared as text everywhere else, so only our own spelling is one of ours.
        let canonical = Uuid::from_u128(uuid).hyphenated().to_string() == text;
        if !canonical || !is_version_8(uuid) {
            return None;
        }
        let (mut left, mut right) = halves(gather(uuid));
        for round in (0..ROUNDS).rev() {
            let mut block = block(round, left);
            self.cipher.encrypt_block(&mut block);
            (left, right) = (right ^ half_of(&block), left);
        }
        let free = united(left, right);
        Some((RunTag((free >> 64) as u64), Position(free as u64)))
    }
}

/// The input of the round function: the round and a half.
fn block(round: u8, half: u64) -> Block {
    let mut block = [0; 16];
    block[0] = round;
    block[8..].copy_from_slice(&half.to_be_bytes());
    block.into()
}

/// The 61 bits that the round function yields.
fn half_of(block: &Block) -> u64 {
    u128::from_be_bytes((*block).into()) as u64 & HALF
}

fn written(uuid: u128) -> String {
    let mut text = String::with_capacity(PREFIX.len() + Hyphenated::LENGTH);
    text.push_str(PREFIX);
    let uuid = Uuid::from_u128(uuid).hyphenated();
    text.push_str(uuid.encode_lower(&mut Uuid::encode_buffer()));
    text
}

fn halves(free: u128) -> (u64, u64) {
    ((free >> HALF_BITS) as u64 & HALF, free as u64 & HALF)
}

fn united(left: u64, right: u64) -> u128 {
    u128::from(left) << HALF_BITS | u128::from(right)
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
        /// Ids are opaque: every one is a version 8 UUID URN that decodes to its position, and to nothing
        /// under another key (specification, "Reconnection").
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
