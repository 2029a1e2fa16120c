//! A filter of the ids that publishers chose in a segment, so that most look-ups need no disk.

/// The bits for each id, unless [`MOST_WORDS`] allows fewer. With 2,500 such filters, one look-up of an
/// unknown id in ten thousand reads an index.
const BITS: usize = 48;
/// The most words of a filter: 64 KiB, a 256th of the largest segment.
const MOST_WORDS: usize = 8 << 10;
const MOST_PROBES: usize = 10;

/// A Bloom filter over the hashes of ids.
#[derive(Debug, Default)]
pub(in crate::history) struct Filter {
    words: Box<[u64]>,
    probes: usize,
}

impl Filter {
    /// An empty filter with room for `ids` ids. With more it has more false positives.
    pub(in crate::history) fn with_room(ids: usize) -> Self {
        let words = ids.saturating_mul(BITS).div_ceil(64).min(MOST_WORDS);
        // The natural logarithm of 2, times the bits for each id.
        let best = (words * 64 * 69 / 100).checked_div(ids).unwrap_or_default();
        Self {
            words: vec![0; words].into(),
            probes: best.clamp(1, MOST_PROBES),
        }
    }

    pub(super) fn insert(&mut self, hash: u64) {
        for (word, bit) in places(hash, self.words.len(), self.probes) {
            self.words[word] |= bit;
        }
    }

    /// Whether the filter may hold an id with this hash; `false` is certain.
    pub(in crate::history) fn may_hold(&self, hash: u64) -> bool {
        !self.words.is_empty()
            && places(hash, self.words.len(), self.probes)
                .all(|(word, bit)| self.words[word] & bit != 0)
    }
}

/// The bits of a hash. Each follows from all 64 bits of the hash, so that two hashes rarely share
/// all of them, however few words there are.
fn places(mut hash: u64, words: usize, probes: usize) -> impl Iterator<Item = (usize, u64)> {
    let bits = words as u64 * 64;
    (0..probes).map(move |_| {
        hash = (hash ^ (hash >> 32)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let bit = ((hash >> 32) * bits) >> 32;
        ((bit / 64) as usize, 1 << (bit % 64))
    })
}

#[cfg(test)]
mod tests {
    use siphasher::sip::SipHasher13;

    use super::*;

    fn filter(ids: std::ops::Range<u64>) -> (Filter, impl Fn(u64) -> u64) {
        let key = SipHasher13::new_with_key(&[7; 16]);
        let hash = move |id: u64| key.hash(&id.to_le_bytes());
        let mut filter = Filter::with_room((ids.end - ids.start) as usize);
        ids.for_each(|id| filter.insert(hash(id)));
        (filter, hash)
    }

    /// A filter finds every id that was inserted, whatever its size. A small filter has nearly no false
    /// positives; a crowded one stays within its bound and still rejects most other ids.
    #[test]
    fn inserted_ids_are_found_and_few_others() {
        for (ids, wrong) in [
            (0, 0),
            (1, 0),
            (2, 0),
            (100, 0),
            (10_000, 0),
            (80_000, 10_000),
        ] {
            let (filter, hash) = filter(0..ids);
            assert!(filter.words.len() <= MOST_WORDS);
            assert!((0..ids).all(|id| filter.may_hold(hash(id))));
            let others = 1_000_000..1_100_000;
            let found = others.filter(|id| filter.may_hold(hash(*id))).count();
            assert!(found <= wrong, "{found} of 100,000 among {ids}");
        }
    }
}
