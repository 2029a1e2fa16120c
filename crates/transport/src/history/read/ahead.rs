//! What a tier says of the next segments, to a reader that names its topics.

use std::collections::BTreeMap;
use std::io;

use crate::history::tier::Tier;

/// What a tier says of the next segments.
#[derive(Default)]
pub(super) struct Ahead {
    /// The number of the last segment of which it is known what it has.
    pub(super) known_to: u64,
    /// The offsets of records in the segments that have some; empty if the index of the segment must be
    /// asked.
    pub(super) found: BTreeMap<u64, Vec<u32>>,
}

impl Ahead {
    /// Asks a tier for the segments from a number on that may have one of the topics, at most `most` for each
    /// topic.
    pub(super) fn ask(
        &mut self,
        tier: &Tier,
        topics: &[u64],
        from: u64,
        most: usize,
    ) -> io::Result<()> {
        let mut known_to = tier.last();
        let mut found: BTreeMap<u64, Vec<u32>> = BTreeMap::new();
        let mut unsure = tier.lost_from(from).to_vec();
        for topic in topics {
            let hits = tier.topic(*topic, from, most)?;
            if hits.len() == most {
                known_to = hits
                    .last()
                    .map_or(known_to, |last| known_to.min(last.segment));
            }
            for hit in hits {
                match hit.at {
                    Some(at) => found.entry(hit.segment).or_default().push(at),
                    None => unsure.push(hit.segment),
                }
            }
        }
        for number in unsure {
            found.insert(number, Vec::new());
        }
        for offsets in found.values_mut() {
            offsets.sort_unstable();
            offsets.dedup();
        }
        found.retain(|number, _| *number <= known_to);
        *self = Self { known_to, found };
        Ok(())
    }
}
