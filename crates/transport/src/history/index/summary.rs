//! The part of an index that is kept in memory.

use super::filter::Filter;
use crate::Position;

/// The part of a sealed segment's index that is kept in memory after it was checked.
#[derive(Debug, Default)]
pub(in crate::history) struct Summary {
    /// The hashes of the ids that publishers chose, unless a tier has them.
    pub(in crate::history) chosen: Option<Filter>,
    /// The first and last positions of lost updates, in order. Their topics are lost too, so the postings
    /// of a topic do not include them.
    pub(super) lost: Vec<(Position, Position)>,
}

impl Summary {
    /// The first lost position after `from`, up to and including `up_to`.
    pub(in crate::history) fn first_lost(
        &self,
        from: Position,
        up_to: Position,
    ) -> Option<Position> {
        let next = self.lost.partition_point(|(_, last)| *last <= from);
        let (first, _) = self.lost.get(next)?;
        let first = (*first).max(from.next());
        (first <= up_to).then_some(first)
    }

    /// Adds the offset of the next position.
    pub(super) fn note_offset(&mut self, position: Position, at: u32) {
        if at != 0 {
            return;
        }
        match self.lost.last_mut() {
            Some((_, last)) if last.next() == position => *last = position,
            _ => self.lost.push((position, position)),
        }
    }
}
