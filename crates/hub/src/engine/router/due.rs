//! What the lanes that a group concerns are told.

use std::sync::Arc;

use talaria_transport::Position;

use crate::engine::interests::Interest;

/// The positions that a lane is told of, of one group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Due {
    /// The update at this position is for the lane.
    One(Position),
    /// The updates at these positions are for the lane. They are in order.
    Several(Vec<Position>),
    /// Any update up to this position may be for the lane: its readers judge for themselves.
    Skip(Position),
}

impl Due {
    pub(super) fn newest(&self) -> Position {
        match self {
            Self::One(position) | Self::Skip(position) => *position,
            Self::Several(positions) => positions.last().copied().unwrap_or_default(),
        }
    }

    pub(super) fn skip(&self) -> Self {
        Self::Skip(self.newest())
    }

    fn positions(&self) -> &[Position] {
        match self {
            Self::One(position) => std::slice::from_ref(position),
            Self::Several(positions) => positions,
            Self::Skip(_) => &[],
        }
    }

    /// Adds what is due for another reason. If that makes more than `most` positions, which a lane holds,
    /// all are skipped.
    pub(super) fn merge(&mut self, other: &Self, most: usize) {
        if self == other {
            return;
        }
        let newest = self.newest().max(other.newest());
        if matches!(self, Self::Skip(_)) || matches!(other, Self::Skip(_)) {
            *self = Self::Skip(newest);
            return;
        }
        let mut all = match self {
            Self::Several(positions) => std::mem::take(positions),
            Self::One(position) => vec![*position],
            Self::Skip(_) => Vec::new(),
        };
        for position in other.positions() {
            if let Err(place) = all.binary_search(position) {
                all.insert(place, *position);
            }
        }
        *self = match all[..] {
            [only] => Self::One(only),
            _ if all.len() > most => Self::Skip(newest),
            _ => Self::Several(all),
        };
    }
}

/// An interest that a group concerns.
#[derive(Debug)]
pub(crate) struct Hit {
    pub(crate) interest: Arc<Interest>,
    pub(crate) due: Due,
}

impl Hit {
    /// Tells the lane of the interest what is due to it.
    pub(super) fn deliver(&self) {
        match &self.due {
            Due::Skip(position) => self.interest.lane.skip(*position),
            due => self.interest.lane.push(due.positions()),
        }
    }
}

/// The interests that a group concerns, each once.
#[derive(Debug)]
pub(super) struct Hits(Vec<Hit>);

impl Hits {
    pub(super) fn with_capacity(capacity: usize) -> Self {
        Self(Vec::with_capacity(capacity))
    }

    /// Notes what is due to an interest. Called under the router's mutex.
    pub(super) fn add(&mut self, interest: &Arc<Interest>, due: &Due, most: usize) {
        match self.0.get_mut(interest.noted_at()) {
            Some(hit) if Arc::ptr_eq(&hit.interest, interest) => hit.due.merge(due, most),
            _ => {
                interest.note_at(self.0.len());
                self.0.push(Hit {
                    interest: Arc::clone(interest),
                    due: due.clone(),
                });
            }
        }
    }

    pub(super) fn reserve(&mut self, more: usize) {
        self.0.reserve(more);
    }

    pub(super) fn all(&self) -> &[Hit] {
        &self.0
    }
}

#[cfg(not(talaria_loom))]
#[cfg(test)]
mod tests {
    use super::*;

    fn several(positions: &[u64]) -> Due {
        Due::Several(positions.iter().copied().map(Position).collect())
    }

    #[test]
    fn what_is_due_for_several_reasons_is_due_once_and_in_order() {
        let mut due = Due::One(Position(5));
        due.merge(&Due::One(Position(5)), 3);
        assert_eq!(due, Due::One(Position(5)));
        due.merge(&Due::One(Position(2)), 3);
        due.merge(&several(&[2, 4]), 3);
        assert_eq!(due, several(&[2, 4, 5]));
    }

    #[test]
    fn more_than_a_lane_holds_is_skipped() {
        let mut due = several(&[2, 4, 5]);
        due.merge(&Due::One(Position(3)), 3);
        assert_eq!(due, Due::Skip(Position(5)));
        due.merge(&Due::One(Position(7)), 3);
        assert_eq!(due, Due::Skip(Position(7)));
        let mut due = Due::One(Position(9));
        due.merge(&Due::Skip(Position(1)), 3);
        assert_eq!(due, Due::Skip(Position(9)));
    }
}
