//! The bounds of what is kept, and what they say of an update.

use crate::Position;

/// The end of the log.
#[derive(Debug, Clone, Copy)]
pub(in crate::history) struct End {
    /// The position of the newest update; events do not count.
    pub(in crate::history) head: Position,
    /// The newest position, events included.
    pub(in crate::history) top: Position,
    /// The bytes of all segments.
    pub(in crate::history) bytes: u64,
    /// When the newest update was committed, as it was stored, in milliseconds since 1970.
    pub(in crate::history) committed: u64,
    /// The time of day that ages are judged by, in milliseconds since 1970.
    pub(in crate::history) now: u64,
}

/// That an update was there at a time although it was committed at one that is still to come. In
/// milliseconds since 1970.
#[derive(Debug, Clone, Copy)]
pub(super) struct Witness {
    pub(super) position: Position,
    time: u64,
}

/// The bounds, those that are a look at the disk away first.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) max_bytes: Option<u64>,
    /// In milliseconds.
    pub(super) max_age: Option<u64>,
    /// If the newest update is of a time that is still to come, since when that is known.
    pub(super) witness: Option<Witness>,
}

/// A stored update, as far as bounds ask.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stored {
    pub(super) position: Position,
    /// Where it begins, in bytes of all segments.
    pub(super) start: u64,
    /// When it was committed, in milliseconds since 1970.
    pub(super) time: u64,
}

/// What bounds say of an update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Kept,
    /// It is over, as are those before it.
    Over(Position),
    /// It is lost, or was committed at a time that is still to come: it is as old as what follows.
    Unknown,
}

impl Limits {
    pub(super) fn judge(self, end: End, update: Stored) -> Verdict {
        let is_too_large = self
            .max_bytes
            .is_some_and(|most| end.bytes.saturating_sub(update.start) > most);
        if is_too_large && update.position < end.head {
            return Verdict::Over(update.position);
        }
        let Some(age) = self.max_age else {
            return Verdict::Kept;
        };
        let witnessed = self
            .witness
            .filter(|known| update.position <= known.position);
        match (update.time > end.now, witnessed) {
            (false, _) if update.time.saturating_add(age) <= end.now => {
                Verdict::Over(update.position)
            }
            (false, _) => Verdict::Kept,
            (true, Some(known)) if known.time.saturating_add(age) <= end.now => {
                Verdict::Over(update.position)
            }
            (true, _) => Verdict::Unknown,
        }
    }

    /// Remembers since when the newest update is of a time that is still to come. If a later one is
    /// of a time that has come, they are as old as that.
    pub(super) fn witness(&mut self, end: End) {
        let is_known = |known: &Witness| known.time <= end.now && known.position == end.head;
        let known = self.witness.filter(is_known);
        let is_to_come = end.committed > end.now;
        self.witness = is_to_come.then(|| {
            known.unwrap_or(Witness {
                position: end.head,
                time: end.now,
            })
        });
    }
}
