//! Passes over the segments that have nothing for a reader that names its topics, as tiers say.

use std::io;
use std::sync::Arc;

use super::reader::{Looked, Reader, most_of};
use crate::Position;
use crate::history::segment::Segment;
use crate::history::tier::{covering, give_up};

/// What the look at a single record costs in another segment, in updates that are judged: opening a file
/// takes that much longer.
const RECORD_LOOKS: usize = 16;

/// Where a reader goes on.
pub(super) enum Skipped {
    /// At this place in the list of segments.
    To(usize),
    /// The page is full, or has cost enough.
    Enough,
}

impl Reader<'_> {
    /// Passes over the segments from the place `next` on that have nothing for the reader.
    pub(super) fn skip(&mut self, segments: &[Arc<Segment>], next: usize) -> Skipped {
        let Some(segment) = segments.get(next) else {
            return Skipped::To(next);
        };
        // In the middle of a segment its index says what follows.
        if self.topics.is_none() || self.looked_up_to >= segment.first {
            return Skipped::To(next);
        }
        if segment.number > self.ahead.known_to && !self.look_ahead(segment.number) {
            return Skipped::To(next);
        }
        let known_to = self.ahead.known_to;
        let found = self.ahead.found.range(segment.number..=known_to).next();
        let until = found.map_or(known_to, |(number, _)| number - 1);
        let after = segments.partition_point(|segment| segment.number <= until);
        match after.checked_sub(1).and_then(|last| segments.get(last)) {
            Some(last) if after > next && !self.pass(last.last()) => Skipped::Enough,
            _ => Skipped::To(after.max(next)),
        }
    }

    fn pass(&mut self, last: Position) -> bool {
        self.take_events(last.min(self.up_to))
    }

    /// Asks the tier of a segment; returns false if there is none that can be read.
    fn look_ahead(&mut self, number: u64) -> bool {
        let tiers = self.shared.tiers.list();
        let (Some(tier), Some(topics)) = (covering(&tiers, number), &self.topics) else {
            return false;
        };
        self.looks += topics.len();
        let asked = self.ahead.ask(tier, topics, number, most_of(topics));
        asked
            .inspect_err(|error| give_up(self.shared, tier, error))
            .is_ok()
    }

    /// The offsets of all records of a segment for the reader, if a tier has said so and the reader is at
    /// its beginning.
    pub(super) fn found_in(&mut self, segment: &Segment) -> Option<Vec<u32>> {
        let found = self.ahead.found.remove(&segment.number)?;
        (!found.is_empty() && self.looked_up_to < segment.first).then_some(found)
    }

    /// Takes the updates at the offsets that a tier knows; `None` if the index must be asked.
    pub(super) fn take_found(
        &mut self,
        segment: &Arc<Segment>,
        found: &[u32],
    ) -> io::Result<Option<Looked>> {
        self.looks += RECORD_LOOKS;
        match self.take_at(segment, found, segment.end())? {
            Some(Looked::Through) if !self.take_events(segment.last().min(self.up_to)) => {
                Ok(Some(Looked::Enough))
            }
            looked => Ok(looked),
        }
    }
}
