//! The places of a lane's readers at its bell.

use std::task::Waker;

/// A reader's place at the bell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seat(u32);

/// The number of seats in a row.
const ROW: usize = 256;

/// The seats of a lane. They are in rows, so that more readers do not copy those that are there, and empty
/// rows at the end are freed.
#[derive(Debug, Default)]
pub(super) struct Seats {
    rows: Vec<Row>,
    /// All rows in front of this one are full.
    full: usize,
    taken: usize,
}

#[derive(Debug, Default)]
struct Row {
    wakers: Vec<Option<Waker>>,
    /// The seats below the length of `wakers` that are not taken.
    free: Vec<u8>,
}

impl Row {
    fn taken(&self) -> usize {
        self.wakers.len() - self.free.len()
    }

    fn is_full(&self) -> bool {
        self.taken() == ROW
    }
}

impl Seats {
    pub(super) fn taken(&self) -> usize {
        self.taken
    }

    /// Gives a reader the first free seat.
    pub(super) fn take(&mut self) -> Seat {
        while self.rows.get(self.full).is_some_and(Row::is_full) {
            self.full += 1;
        }
        let place = self.full;
        if place == self.rows.len() {
            // Most lanes have one reader.
            self.rows.reserve_exact(usize::from(place == 0));
            self.rows.push(Row::default());
        }
        self.taken += 1;
        let row = &mut self.rows[place];
        let column = match row.free.pop() {
            Some(column) => usize::from(column),
            None => {
                row.wakers.reserve_exact(usize::from(row.wakers.is_empty()));
                row.wakers.push(None);
                row.wakers.len() - 1
            }
        };
        // More than 2³² readers of one interest do not fit into memory.
        Seat(u32::try_from(place * ROW + column).unwrap_or(u32::MAX))
    }

    /// Takes a seat back. Returns the waker that was left there.
    pub(super) fn give_back(&mut self, seat: Seat) -> Option<Waker> {
        let (place, column) = seat.place();
        let row = self.rows.get_mut(place)?;
        let waker = row.wakers.get_mut(column)?.take();
        row.free.extend(u8::try_from(column));
        self.full = self.full.min(place);
        self.taken -= 1;
        while self.rows.last().is_some_and(|row| row.taken() == 0) {
            self.rows.pop();
        }
        self.full = self.full.min(self.rows.len());
        waker
    }

    pub(super) fn waker(&mut self, seat: Seat) -> Option<&mut Option<Waker>> {
        let (place, column) = seat.place();
        self.rows.get_mut(place)?.wakers.get_mut(column)
    }

    pub(super) fn wakers(&mut self) -> impl Iterator<Item = &mut Option<Waker>> {
        self.rows.iter_mut().flat_map(|row| &mut row.wakers)
    }
}

impl Seat {
    fn place(self) -> (usize, usize) {
        let seat = self.0 as usize;
        (seat / ROW, seat % ROW)
    }
}

#[cfg(not(talaria_loom))]
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seats_are_used_again_and_freed_after_a_peak() {
        let mut seats = Seats::default();
        let taken: Vec<_> = (0..3 * ROW).map(|_| seats.take()).collect();
        assert_eq!((seats.rows.len(), seats.taken()), (3, 3 * ROW));
        for seat in &taken[1..] {
            assert!(seats.give_back(*seat).is_none());
        }
        assert_eq!((seats.rows.len(), seats.taken()), (1, 1));
        let again = seats.take();
        assert_ne!(again, taken[0]);
        assert_eq!(seats.rows.len(), 1);
        *seats.waker(again).expect("a seat") = Some(Waker::noop().clone());
        assert_eq!(seats.wakers().flatten().count(), 1);
        assert!(seats.give_back(again).is_some());
        assert!(seats.give_back(taken[0]).is_none());
        assert_eq!((seats.rows.len(), seats.taken()), (0, 0));
    }
}
