//! The positions of subscription events, so that updates can be counted without them.

use std::collections::VecDeque;

use crate::Position;

/// The positions of events above a floor, as ranges. There is at most one range more than there are
/// updates above the floor.
#[derive(Debug, Default)]
pub(crate) struct EventRanges {
    /// First and last positions, in order; no two ranges touch.
    ranges: VecDeque<(Position, Position)>,
    /// How many positions the ranges hold.
    count: u64,
}

impl EventRanges {
    /// Adds positions after all others.
    pub(crate) fn push(&mut self, first: Position, last: Position) {
        if first > last {
            return;
        }
        self.count += last.0 - first.0 + 1;
        match self.ranges.back_mut() {
            Some((_, end)) if end.next() == first => *end = last,
            _ => self.ranges.push_back((first, last)),
        }
    }

    /// Adds positions before all others.
    pub(crate) fn push_front(&mut self, first: Position, last: Position) {
        self.count += last.0 - first.0 + 1;
        match self.ranges.front_mut() {
            Some((start, _)) if last.next() == *start => *start = first,
            _ => self.ranges.push_front((first, last)),
        }
    }

    /// Removes the positions up to a floor.
    pub(crate) fn forget(&mut self, floor: Position) {
        while let Some((first, last)) = self.ranges.front_mut() {
            if *first > floor {
                return;
            }
            if *last > floor {
                self.count -= floor.0 - first.0 + 1;
                *first = floor.next();
                return;
            }
            self.count -= last.0 - first.0 + 1;
            self.ranges.pop_front();
        }
    }

    /// The floor that leaves the newest `size` updates of those between `floor` and `head`. No position
    /// up to `floor` is in the ranges any more.
    pub(crate) fn floor(&self, floor: Position, head: Position, size: u64) -> Position {
        let updates = (head.0.saturating_sub(floor.0)).saturating_sub(self.count);
        let mut over = updates.saturating_sub(size);
        let mut floor = floor;
        for (first, last) in &self.ranges {
            let before = first.0 - 1 - floor.0;
            if over <= before {
                break;
            }
            over -= before;
            floor = *last;
        }
        Position(floor.0 + over)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// The result is that of counting one by one.
        #[test]
        fn the_newest_updates_are_above_the_floor(
            events in prop::collection::vec(any::<bool>(), 0..40),
            size in 0_u64..20,
            floors in prop::collection::vec(0_u64..40, 0..3),
        ) {
            let head = Position(events.len() as u64);
            let is_event = |position: u64| events[position as usize - 1];
            let mut ranges = EventRanges::default();
            for position in (1..=head.0).filter(|position| is_event(*position)) {
                ranges.push(Position(position), Position(position));
            }
            let mut floor = 0;
            for next in [0].into_iter().chain(floors) {
                floor = next.min(head.0).max(floor);
                ranges.forget(Position(floor));
                let expected = (floor..=head.0).find(|floor| {
                    (*floor + 1..=head.0).filter(|at| !is_event(*at)).count() as u64 <= size
                });
                let found = ranges.floor(Position(floor), head, size);
                prop_assert_eq!(Some(found.0), expected);
            }
        }
    }
}
