//! The index of a segment in memory: of the active one, and of one whose index cannot be written.

use hashbrown::HashMap;

use super::filter::Filter;
use super::hashes::Hashes;
use super::holes::Holes;
use super::summary::Summary;
use crate::history::format::Stored;
use crate::{Frame, Position};

/// The index of a segment, in memory.
#[derive(Debug, Default)]
pub(in crate::history) struct Index {
    first: Position,
    /// One offset for each position that is not an event's; zero if the update is lost.
    pub(super) offsets: Vec<u32>,
    /// The positions of events.
    pub(super) holes: Holes,
    pub(super) topics: HashMap<u64, Vec<u32>>,
    pub(super) chosen: HashMap<u64, Vec<u32>>,
}

impl Index {
    pub(in crate::history) fn new(first: Position) -> Self {
        Self {
            first,
            ..Self::default()
        }
    }

    /// The newest position, or the one before the first if the index is empty.
    pub(in crate::history) fn last(&self) -> Position {
        Position(self.first.0 + self.offsets.len() as u64 + self.holes.count()).back(1)
    }

    pub(in crate::history) fn add_frame(
        &mut self,
        frame: &Frame,
        chosen: bool,
        at: u64,
        hashes: &Hashes,
    ) {
        let topics = frame.topics.iter().map(AsRef::as_ref);
        let chosen = chosen.then_some(&*frame.event_id);
        self.add(frame.position, topics, chosen, at, hashes);
    }

    pub(in crate::history) fn add_stored(&mut self, stored: &Stored<'_>, at: u64, hashes: &Hashes) {
        let chosen = stored.chosen.then_some(stored.event_id);
        self.add(stored.position, stored.topics(), chosen, at, hashes);
    }

    /// Adds an update. Positions that are skipped count as lost; one that is not after the last is ignored.
    fn add<'a>(
        &mut self,
        position: Position,
        topics: impl Iterator<Item = &'a str>,
        chosen: Option<&str>,
        at: u64,
        hashes: &Hashes,
    ) {
        let Ok(at) = u32::try_from(at) else { return };
        if position <= self.last() {
            return;
        }
        self.extend_to(position.back(1));
        self.offsets.push(at);
        for topic in topics {
            let postings = self.topics.entry(hashes.of(topic)).or_default();
            if postings.last() != Some(&at) {
                postings.push(at);
            }
        }
        if let Some(id) = chosen {
            self.chosen.entry(hashes.of(id)).or_default().push(at);
        }
    }

    /// Counts the positions after the last one, up to `last`, as lost.
    pub(in crate::history) fn extend_to(&mut self, last: Position) {
        let count = last.0.saturating_sub(self.last().0);
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        self.offsets.resize(self.offsets.len() + count, 0);
    }

    /// Adds the positions of events; ignores them if they are not after the last one.
    pub(in crate::history) fn add_events(&mut self, first: Position, last: Position) {
        if first > self.last() && first <= last {
            self.extend_to(first.back(1));
            self.holes.push(first, last);
        }
    }

    /// The positions of events, as ranges.
    pub(in crate::history) fn events(&self) -> Vec<(Position, Position)> {
        let holes = self.holes.iter();
        holes.map(|hole| (hole.first, hole.last)).collect()
    }

    /// The position and offset of the update at a position, or of the next update if an event has the
    /// position; `None` if the update is lost or not in this segment.
    pub(in crate::history) fn place(&self, position: Position) -> Option<(Position, u32)> {
        let (position, before) = self.holes.behind(position);
        let number = position.0.checked_sub(self.first.0)?.checked_sub(before)?;
        let at = *self.offsets.get(usize::try_from(number).ok()?)?;
        (at != 0).then_some((position, at))
    }

    /// The position of the update at an offset.
    pub(in crate::history) fn position_at(&self, at: u32) -> Option<Position> {
        let mut positions = self.holes.others(self.first);
        let number = self.offsets.iter().position(|offset| *offset == at)?;
        positions.nth(number)
    }

    pub(in crate::history) fn summary(&self) -> Summary {
        let mut chosen = Filter::with_room(self.chosen.len());
        self.chosen.keys().for_each(|hash| chosen.insert(*hash));
        let mut summary = Summary {
            chosen: Some(chosen),
            ..Summary::default()
        };
        for (position, at) in self.holes.others(self.first).zip(&self.offsets) {
            summary.note_offset(position, *at);
        }
        summary
    }

    /// At most `at_most` candidates for a topic, from an offset on.
    pub(in crate::history) fn topic(&self, hash: u64, from: u32, at_most: usize) -> Vec<u32> {
        postings(&self.topics, hash, from, at_most)
    }

    /// At most `at_most` candidates for a chosen id, from an offset on.
    pub(in crate::history) fn chosen(&self, hash: u64, from: u32, at_most: usize) -> Vec<u32> {
        postings(&self.chosen, hash, from, at_most)
    }
}

fn postings(table: &HashMap<u64, Vec<u32>>, hash: u64, from: u32, at_most: usize) -> Vec<u32> {
    let postings = table.get(&hash).map_or(&[][..], Vec::as_slice);
    let start = postings.partition_point(|at| *at < from);
    postings[start..].iter().take(at_most).copied().collect()
}
