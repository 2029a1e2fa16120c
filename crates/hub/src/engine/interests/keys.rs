//! The keys by which the matchers of an interest are found. They are computed before the router's mutex
//! is taken.

use std::hash::BuildHasher as _;

use talaria_protocol::matcher::{UriTemplate, UrlPattern};
use talaria_protocol::{Matcher, MatcherSet};

use super::selection::Selection;

#[cfg(talaria_loom)]
type State = std::hash::BuildHasherDefault<std::hash::DefaultHasher>;
#[cfg(not(talaria_loom))]
type State = std::hash::RandomState;

/// The functions by which keys are hashed. Clients choose what is hashed, so the hashes are keyed; in a
/// model they are not, because each run of a model has to be the same.
#[derive(Debug, Clone)]
pub(crate) struct Hashing {
    state: State,
    /// The base of the polynomial that [`Rolling`] evaluates.
    factor: u64,
}

impl Default for Hashing {
    fn default() -> Self {
        let state = State::default();
        let factor = state.hash_one("prefixes") % (PRIME - 512) + 256;
        Self { state, factor }
    }
}

impl Hashing {
    pub(crate) fn text(&self, text: &str) -> u64 {
        self.state.hash_one(text)
    }

    /// A hash of each prefix of a text, the shortest first.
    pub(super) fn rolling<'a>(&self, text: &'a str) -> Rolling<'a> {
        Rolling {
            rest: text.as_bytes(),
            factor: self.factor,
            value: 1,
        }
    }
}

/// A prime for which the products of residues fit into 128 bits.
const PRIME: u64 = (1 << 61) - 1;

/// A polynomial in a secret base, whose coefficients are a text's bytes: all prefixes are hashed in
/// one pass.
pub(super) struct Rolling<'a> {
    rest: &'a [u8],
    factor: u64,
    value: u64,
}

impl Rolling<'_> {
    /// Takes `bytes` more bytes. Returns the hash of all bytes taken so far.
    pub(super) fn advance(&mut self, bytes: usize) -> u64 {
        let (taken, rest) = self.rest.split_at(bytes.min(self.rest.len()));
        for byte in taken {
            let product = u128::from(self.value) * u128::from(self.factor) + u128::from(*byte) + 1;
            // 2⁶¹ is congruent to 1.
            let folded = (product as u64 & PRIME) + (product >> 61) as u64;
            self.value = if folded >= PRIME {
                folded - PRIME
            } else {
                folded
            };
        }
        self.rest = rest;
        // Tables need all bits.
        self.value
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .rotate_left(32)
    }
}

/// The hashes of one matcher.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key {
    /// Of the matcher: of an exact one, its text's.
    pub(super) hash: u64,
    /// Of a pattern's literal prefix.
    pub(super) prefix: u64,
}

/// The hashes of a selection.
#[derive(Debug)]
pub(crate) struct Keys {
    pub(super) whole: u64,
    pub(super) matchers: Box<[Key]>,
    pub(super) grants: Box<[Key]>,
}

impl Keys {
    pub(crate) fn new(selection: &Selection, hashing: &Hashing) -> Self {
        let of = |set: &MatcherSet| -> Box<[Key]> {
            set.iter().map(|matcher| key(matcher, hashing)).collect()
        };
        let (matchers, grants) = (of(&selection.matchers), of(&selection.grants));
        Self {
            whole: hashing.state.hash_one((&matchers, &grants)),
            matchers,
            grants,
        }
    }
}

fn key(matcher: &Matcher, hashing: &Hashing) -> Key {
    let hash = match matcher {
        Matcher::Exact(text) => hashing.text(text),
        pattern => hashing.state.hash_one(pattern),
    };
    let prefix = literal_prefix(matcher);
    Key {
        hash,
        prefix: hashing.rolling(prefix).advance(prefix.len()),
    }
}

/// The literal text that the keys of all topics that a pattern matches begin with.
pub(super) fn literal_prefix(matcher: &Matcher) -> &str {
    match matcher {
        Matcher::Any | Matcher::Exact(_) => "",
        Matcher::UrlPattern(pattern) => UrlPattern::literal_prefix(pattern),
        Matcher::Template(template) => UriTemplate::literal_prefix(template),
    }
}
