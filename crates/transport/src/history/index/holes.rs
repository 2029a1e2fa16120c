//! The positions of events among those of a segment, which has no records of them.

use crate::Position;

/// The positions of events between two updates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hole {
    pub(super) first: Position,
    pub(super) last: Position,
    /// The number of events of the segment before it.
    pub(super) before: u64,
}

impl Hole {
    fn end(&self) -> u64 {
        self.before + (self.last.0 - self.first.0) + 1
    }

    /// The result of [`Holes::behind`], if this is the last hole that begins at or before the position.
    pub(super) fn place_behind(self, position: Position) -> (Position, u64) {
        (position.max(self.last.next()), self.end())
    }
}

/// All holes of a segment, in order; no two of them touch.
#[derive(Debug, Default)]
pub(super) struct Holes(Vec<Hole>);

impl Holes {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The number of events in the segment.
    pub(super) fn count(&self) -> u64 {
        self.0.last().map_or(0, Hole::end)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Hole> {
        self.0.iter()
    }

    /// Adds positions after the last.
    pub(super) fn push(&mut self, first: Position, last: Position) {
        let before = self.count();
        match self.0.last_mut() {
            Some(hole) if hole.last.next() == first => hole.last = last,
            _ => self.0.push(Hole {
                first,
                last,
                before,
            }),
        }
    }

    /// The first position from `position` on that is not an event's, and the number of events before it.
    pub(super) fn behind(&self, position: Position) -> (Position, u64) {
        let next = self.0.partition_point(|hole| hole.first <= position);
        let hole = next.checked_sub(1).and_then(|hole| self.0.get(hole));
        hole.map_or((position, 0), |hole| hole.place_behind(position))
    }

    /// All positions from `first` on that are not those of events.
    pub(super) fn others(&self, first: Position) -> impl Iterator<Item = Position> {
        let mut holes = self.0.iter().peekable();
        let mut next = first;
        std::iter::from_fn(move || {
            if let Some(hole) = holes.next_if(|hole| hole.first <= next) {
                next = hole.last.next();
            }
            let position = next;
            next = next.next();
            Some(position)
        })
    }
}
