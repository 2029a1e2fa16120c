//! A lane: the newest positions that one interest may receive, and the bell of its readers.

use std::collections::VecDeque;
use std::task::Waker;

use talaria_transport::Position;
use talaria_transport::sync::Mutex;

use crate::engine::seats::{Seat, Seats};

/// The number of positions that a lane holds. A reader that is further behind scans the ring with its
/// interest.
pub(crate) const LANE_POSITIONS: usize = 64;

/// What a look at a lane brings.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// The lane has dropped a position that the reader has not seen, so the reader must scan.
    Behind,
    /// The lane holds everything after the reader's position. The visible positions were handed over.
    Complete,
}

/// The newest positions of one interest, shared by its readers. Lanes make the common case cheap;
/// correctness depends on their floor only, and never on their content.
#[derive(Debug)]
pub(crate) struct Lane(Mutex<State>);

#[derive(Debug)]
struct State {
    /// The greatest position that the lane no longer holds, for whatever reason it was dropped.
    floor: Position,
    capacity: usize,
    positions: VecDeque<Position>,
    seats: Seats<Option<Waker>>,
    waiting: usize,
}

impl State {
    fn drop_up_to(&mut self, position: Position) {
        while let Some(dropped) = self.positions.pop_front_if(|held| *held <= position) {
            self.floor = self.floor.max(dropped);
        }
    }
}

impl Lane {
    /// A lane of at most `capacity` positions whose floor is `visible`.
    pub(crate) fn new(visible: Position, capacity: usize) -> Self {
        Self(Mutex::new(State {
            floor: visible,
            capacity,
            positions: VecDeque::new(),
            seats: Seats::default(),
            waiting: 0,
        }))
    }

    /// Gives a reader its place at the bell.
    pub(crate) fn enter(&self) -> Seat {
        self.0.lock().seats.take()
    }

    /// Takes a reader's place back. Returns whether another reader is left.
    pub(crate) fn leave(&self, seat: Seat) -> bool {
        let mut state = self.0.lock();
        let waker = state.seats.give_back(seat);
        state.waiting -= usize::from(waker.is_some());
        let is_used = state.seats.taken() > 0;
        drop(state);
        // Dropping a waker may free its task.
        drop(waker);
        is_used
    }

    /// Puts routed positions on the lane, which are in order and newer than what it holds.
    pub(crate) fn push(&self, positions: &[Position]) {
        let mut state = self.0.lock();
        for position in positions {
            if state.positions.len() >= state.capacity
                && let Some(dropped) = state.positions.pop_front()
            {
                state.floor = state.floor.max(dropped);
            }
            state.positions.push_back(*position);
        }
    }

    /// Drops everything up to a position, whether the lane holds it or not: its readers scan up to there.
    pub(crate) fn skip(&self, up_to: Position) {
        let mut state = self.0.lock();
        state.drop_up_to(up_to);
        state.floor = state.floor.max(up_to);
    }

    /// Registers a reader with the bell. It must look once more before it waits.
    pub(crate) fn register(&self, seat: Seat, waker: &Waker) {
        let mut state = self.0.lock();
        if let Some(registered) = state.seats.value(seat) {
            match registered {
                Some(registered) => registered.clone_from(waker),
                empty => {
                    *empty = Some(waker.clone());
                    state.waiting += 1;
                }
            }
        }
    }

    /// Reads the floor and, if the reader is not behind it, the positions after the reader's, not
    /// beyond `visible`, in one step.
    pub(crate) fn look(
        &self,
        after: Position,
        visible: Position,
        found: &mut Vec<Position>,
    ) -> Look {
        let mut state = self.0.lock();
        if state.seats.taken() == 1 {
            // The only reader has seen them. The floor rises, so that a reader that joins later with an
            // older cursor does not assume that the lane still holds them.
            state.drop_up_to(after);
        }
        if after < state.floor {
            return Look::Behind;
        }
        found.extend(
            state
                .positions
                .iter()
                .filter(|held| **held > after && **held <= visible),
        );
        Look::Complete
    }

    /// Wakes a reader, if it waits.
    pub(crate) fn ring_one(&self, seat: Seat) {
        let mut state = self.0.lock();
        let waker = state.seats.value(seat).and_then(Option::take);
        state.waiting -= usize::from(waker.is_some());
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Wakes every waiting reader.
    pub(crate) fn ring(&self) {
        let mut woken = Vec::new();
        let mut state = self.0.lock();
        if state.waiting > 0 {
            state.waiting = 0;
            woken.extend(state.seats.values().filter_map(Option::take));
        }
        drop(state);
        woken.into_iter().for_each(Waker::wake);
    }
}

#[cfg(not(talaria_loom))]
#[cfg(test)]
mod tests {
    use super::*;

    fn look(lane: &Lane, after: u64, visible: u64) -> Option<Vec<u64>> {
        let mut found = Vec::new();
        let look = lane.look(Position(after), Position(visible), &mut found);
        (look == Look::Complete).then(|| found.into_iter().map(|position| position.0).collect())
    }

    #[test]
    fn a_reader_behind_the_floor_must_scan() {
        let lane = Lane::new(Position(5), LANE_POSITIONS);
        lane.enter();
        lane.enter();
        assert_eq!(look(&lane, 4, 9), None);
        for position in 6..6 + LANE_POSITIONS as u64 {
            lane.push(&[Position(position)]);
        }
        assert!(look(&lane, 5, 99).is_some());
        lane.push(&[Position(1000)]);
        assert_eq!(look(&lane, 5, 1000), None, "6 was dropped");
        assert!(look(&lane, 6, 1000).is_some());
    }

    #[test]
    fn a_lane_with_one_member_drops_what_was_read_and_raises_its_floor() {
        let lane = Lane::new(Position(0), LANE_POSITIONS);
        let first = lane.enter();
        lane.push(&[Position(1), Position(2)]);
        assert_eq!(look(&lane, 0, 2), Some(vec![1, 2]));
        assert_eq!(look(&lane, 1, 2), Some(vec![2]));
        lane.enter();
        assert_eq!(
            look(&lane, 0, 2),
            None,
            "1 is gone, which a second reader must notice"
        );
        assert!(lane.leave(first));
    }

    #[test]
    fn readers_of_a_lane_that_skips_must_scan_up_to_there() {
        let lane = Lane::new(Position(0), LANE_POSITIONS);
        lane.enter();
        lane.push(&[Position(1), Position(2)]);
        lane.skip(Position(5));
        assert_eq!(look(&lane, 4, 9), None, "any of 1 to 5 may concern it");
        lane.push(&[Position(7)]);
        assert_eq!(look(&lane, 5, 9), Some(vec![7]));
        lane.skip(Position(3));
        assert_eq!(look(&lane, 5, 9), Some(vec![7]), "a floor never falls");
    }

    #[test]
    fn nothing_beyond_visible_is_taken() {
        let lane = Lane::new(Position(0), LANE_POSITIONS);
        lane.enter();
        lane.push(&[Position(1), Position(2)]);
        assert_eq!(look(&lane, 0, 1), Some(vec![1]));
    }
}
