//! The bounds on what is kept, and how they judge an update.

use crate::Position;
use crate::history::clock::STEP;

/// The state at the end of the log.
#[derive(Debug, Clone, Copy)]
pub(in crate::history) struct End {
    /// The position of the newest update, without events.
    pub(in crate::history) head: Position,
    /// The newest position, including events.
    pub(in crate::history) top: Position,
    /// The bytes of all segments.
    pub(in crate::history) bytes: u64,
    /// The stored commit time of the newest update, in milliseconds since 1970.
    pub(in crate::history) committed: u64,
    /// The time by which ages are counted, in milliseconds since 1970.
    pub(in crate::history) now: u64,
}

/// A time at which an update existed, for an update whose commit time is in the future.
#[derive(Debug, Clone, Copy)]
pub(super) struct Witness {
    pub(super) position: Position,
    time: u64,
}

/// The bounds that need a read of the disk.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) max_bytes: Option<u64>,
    /// In milliseconds.
    pub(super) max_age: Option<u64>,
    /// If the commit time of the newest update is in the future: when that was noticed.
    pub(super) witness: Option<Witness>,
    /// The time of the last look.
    pub(super) seen: u64,
}

/// The facts about a stored update that bounds need.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stored {
    pub(super) position: Position,
    /// Its offset, in the bytes of all segments.
    pub(super) start: u64,
    /// When it was committed, in milliseconds since 1970.
    pub(super) time: u64,
}

/// What the bounds say about an update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Kept,
    /// The update and all before it are deleted.
    Over(Position),
    /// The update is lost or its commit time is in the future, so it is as old as the next one.
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

    /// Notes the present time if the commit time of the newest update is in the future. Once a later
    /// update has a time that is not, earlier ones are as old as that update. When the time has jumped ahead
    /// since the last look, the clock was wrong before, and what was noted then would delete updates.
    pub(super) fn witness(&mut self, end: End) {
        let has_jumped = end.now.saturating_sub(self.seen) > STEP;
        self.seen = end.now;
        let is_known =
            |known: &Witness| known.time <= end.now && known.position == end.head && !has_jumped;
        let known = self.witness.filter(is_known);
        let is_in_the_future = end.committed > end.now;
        self.witness = is_in_the_future.then(|| {
            known.unwrap_or(Witness {
                position: end.head,
                time: end.now,
            })
        });
    }
}
