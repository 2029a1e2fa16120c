//! Remembers tokens whose signature was verified a moment ago: clients present the same token with each
//! request, and what it says does not change while the key that verified it is trusted.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::digest::{self, SHA256};

use super::role::Role;

/// The most bytes that all entries may occupy, as estimated; the oldest entry is forgotten first.
const MAX_BYTES: usize = 8 << 20;
/// What an entry occupies besides its value, in bytes: its place in map and queue, and structures.
const ENTRY_BYTES: usize = 2048;

/// The hash of a token and the role that it was presented for. Unlike a token, it is useless to anyone
/// who reads memory or a core dump.
pub(super) type Digest = [u8; 32];

/// What is remembered of each token.
pub(super) struct Cache<V>(Mutex<State<V>>);

struct State<V> {
    entries: HashMap<Digest, (Arc<V>, usize)>,
    order: VecDeque<Digest>,
    bytes: usize,
}

impl<V> Default for Cache<V> {
    fn default() -> Self {
        Self(Mutex::new(State {
            entries: HashMap::new(),
            order: VecDeque::new(),
            bytes: 0,
        }))
    }
}

impl<V> fmt::Debug for Cache<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").finish_non_exhaustive()
    }
}

/// The key of a token in the cache.
pub(super) fn digest(token: &str, role: Role) -> Digest {
    let mut hash = digest::Context::new(&SHA256);
    hash.update(&[role as u8]);
    hash.update(token.as_bytes());
    let mut out = Digest::default();
    out.copy_from_slice(hash.finish().as_ref());
    out
}

impl<V> Cache<V> {
    /// What is remembered of a token.
    pub(super) fn get(&self, token: &Digest) -> Option<Arc<V>> {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.entries.get(token).map(|(value, _)| Arc::clone(value))
    }

    /// The bytes of what is remembered.
    pub(super) fn bytes(&self) -> usize {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.bytes
    }

    /// Remembers `value`, which occupies `bytes` bytes.
    pub(super) fn insert(&self, token: Digest, bytes: usize, value: Arc<V>) {
        let bytes = ENTRY_BYTES + bytes;
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match state.entries.insert(token, (value, bytes)) {
            Some((_, before)) => state.bytes -= before,
            None => state.order.push_back(token),
        }
        state.bytes += bytes;
        while state.bytes > MAX_BYTES
            && let Some(oldest) = state.order.pop_front()
        {
            if let Some((_, bytes)) = state.entries.remove(&oldest) {
                state.bytes -= bytes;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_forgotten_first_and_the_bound_holds() {
        let cache = Cache::default();
        let bytes = 6000;
        let digests: Vec<_> = (0..2000)
            .map(|number| digest(&format!("{number}"), Role::Publisher))
            .collect();
        for (number, digest) in digests.iter().enumerate() {
            cache.insert(*digest, bytes, Arc::new(number));
            // Inserting it again must not count its bytes twice.
            cache.insert(*digest, bytes, Arc::new(number));
        }
        assert_eq!(cache.get(&digests[0]), None);
        assert_eq!(cache.get(&digests[1999]).as_deref(), Some(&1999));
        let state = cache.0.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(state.bytes <= MAX_BYTES && state.entries.len() == state.order.len());
        assert_eq!(
            state.bytes,
            state
                .entries
                .values()
                .map(|(_, bytes)| bytes)
                .sum::<usize>()
        );
    }

    #[test]
    fn a_role_is_part_of_the_name() {
        assert_ne!(digest("a", Role::Publisher), digest("a", Role::Subscriber));
    }
}
