//! Seats: the places of readers that share something, each with a value, such as the waker that a lane's
//! reader leaves at the bell.

/// A reader's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seat(u32);

/// The number of seats in a row.
const ROW: usize = 256;

/// The seats of readers. They are in rows, so that more readers do not copy those that are there, and empty
/// rows at the end are freed.
#[derive(Debug, Default)]
pub(crate) struct Seats<T> {
    rows: Vec<Row<T>>,
    /// All rows in front of this one are full.
    full: usize,
    taken: usize,
}

#[derive(Debug, Default)]
struct Row<T> {
    values: Vec<T>,
    /// The seats below the length of `values` that are not taken.
    free: Vec<u8>,
}

impl<T> Row<T> {
    fn taken(&self) -> usize {
        self.values.len() - self.free.len()
    }

    fn is_full(&self) -> bool {
        self.taken() == ROW
    }
}

impl<T: Default> Seats<T> {
    pub(crate) fn taken(&self) -> usize {
        self.taken
    }

    /// Gives a reader the first free seat, with an empty value.
    pub(crate) fn take(&mut self) -> Seat {
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
                row.values.reserve_exact(usize::from(row.values.is_empty()));
                row.values.push(T::default());
                row.values.len() - 1
            }
        };
        // More than 2³² readers of one interest do not fit into memory.
        Seat(u32::try_from(place * ROW + column).unwrap_or(u32::MAX))
    }

    /// Takes a seat back. Returns the value that was left there.
    pub(crate) fn give_back(&mut self, seat: Seat) -> T {
        let (place, column) = seat.place();
        let Some(row) = self.rows.get_mut(place) else {
            return T::default();
        };
        let value = row
            .values
            .get_mut(column)
            .map(std::mem::take)
            .unwrap_or_default();
        row.free.extend(u8::try_from(column));
        self.full = self.full.min(place);
        self.taken -= 1;
        while self.rows.last().is_some_and(|row| row.taken() == 0) {
            self.rows.pop();
        }
        self.full = self.full.min(self.rows.len());
        value
    }

    /// The value of a seat.
    pub(crate) fn value(&mut self, seat: Seat) -> Option<&mut T> {
        let (place, column) = seat.place();
        self.rows.get_mut(place)?.values.get_mut(column)
    }

    /// The values of all seats; those of free seats are empty.
    pub(crate) fn values(&mut self) -> impl Iterator<Item = &mut T> {
        self.rows.iter_mut().flat_map(|row| &mut row.values)
    }

    /// The values of a row of seats; `None` behind the last row.
    pub(crate) fn row(&self, row: usize) -> Option<&[T]> {
        Some(&self.rows.get(row)?.values)
    }

    /// As [`Self::row`], to be changed.
    pub(crate) fn row_mut(&mut self, row: usize) -> Option<&mut [T]> {
        Some(&mut self.rows.get_mut(row)?.values)
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
    use std::task::Waker;

    use super::*;

    #[test]
    fn seats_are_used_again_and_freed_after_a_peak() {
        let mut seats = Seats::<Option<Waker>>::default();
        let taken: Vec<_> = (0..3 * ROW).map(|_| seats.take()).collect();
        assert_eq!((seats.rows.len(), seats.taken()), (3, 3 * ROW));
        assert_eq!(seats.row(2).map(<[_]>::len), Some(ROW));
        assert!(seats.row(3).is_none());
        for seat in &taken[1..] {
            assert!(seats.give_back(*seat).is_none());
        }
        assert_eq!((seats.rows.len(), seats.taken()), (1, 1));
        let again = seats.take();
        assert_ne!(again, taken[0]);
        assert_eq!(seats.rows.len(), 1);
        *seats.value(again).expect("a seat") = Some(Waker::noop().clone());
        assert_eq!(seats.values().flatten().count(), 1);
        assert!(seats.give_back(again).is_some());
        assert!(seats.give_back(taken[0]).is_none());
        assert_eq!((seats.rows.len(), seats.taken()), (0, 0));
    }
}
