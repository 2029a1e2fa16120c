//! Parts of the log behind the ring, read once for all readers that need them.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Mutex as AsyncMutex, Semaphore};

use crate::{Frame, Position};

/// How many records a piece has at most. Pieces begin at multiples of it where they can, so that readers that come at
/// different places share them.
pub(super) const RECORDS: usize = 512;
/// How many bytes a piece has at most, or one record.
pub(super) const BYTES: usize = 1 << 20;
/// How many pieces are read from the server at a time.
const AT_A_TIME: usize = 4;
/// More pieces than this are not read at a time, unless some were given up.
const MANY: usize = 1_024;
/// The least that is held.
const LEAST_BYTES: usize = 4 * BYTES;

/// A part of the log.
#[derive(Debug)]
pub(super) struct Piece {
    /// It has what follows this position …
    pub(super) after: Position,
    /// … up to and including this one.
    pub(super) up_to: Position,
    /// What the log had deleted when it was read.
    pub(super) floor: Position,
    pub(super) frames: Vec<Arc<Frame>>,
    bytes: usize,
    /// Whether it ends where it does because of its bytes.
    is_cut: bool,
}

impl Piece {
    pub(super) fn new(
        after: Position,
        up_to: Position,
        floor: Position,
        frames: Vec<Arc<Frame>>,
    ) -> Self {
        Self {
            after,
            up_to,
            floor,
            bytes: frames.iter().map(|frame| frame.weight()).sum(),
            is_cut: frames.len() < RECORDS
                && frames.last().is_some_and(|last| last.position == up_to),
            frames,
        }
    }

    /// The frames after a position.
    pub(super) fn after(&self, position: Position) -> impl Iterator<Item = &Arc<Frame>> {
        let start = self
            .frames
            .partition_point(|frame| frame.position <= position);
        self.frames.iter().skip(start)
    }
}

/// The pieces that were read lately.
pub(super) struct Pages {
    held: Mutex<Held>,
    most_bytes: usize,
    pub(super) reads: Semaphore,
}

#[derive(Default)]
struct Held {
    pieces: BTreeMap<Position, Arc<Piece>>,
    /// Oldest first.
    order: VecDeque<Position>,
    bytes: usize,
    /// Those that are being read, by where they begin.
    under_way: HashMap<Position, Arc<AsyncMutex<()>>>,
    /// How often all was dropped.
    clears: u64,
    /// A power of two: pieces begin at its multiples. It is as many records as a piece of this log holds.
    stride: Stride,
}

#[derive(Clone, Copy)]
struct Stride(u64);

impl Default for Stride {
    fn default() -> Self {
        Self(RECORDS as u64)
    }
}

/// Where a reader's piece is.
pub(super) enum Found {
    Piece(Arc<Piece>),
    /// It is to be read after this position, by the task that has the lock. The number is to be given back.
    Read(Position, Arc<AsyncMutex<()>>, u64),
}

impl Pages {
    pub(super) fn new(most_bytes: usize) -> Self {
        Self {
            held: Mutex::default(),
            most_bytes: most_bytes.max(LEAST_BYTES),
            reads: Semaphore::new(AT_A_TIME),
        }
    }

    /// The piece that has what follows a position.
    pub(super) fn find(&self, position: Position) -> Found {
        let mut held = self.lock();
        let before = held.pieces.range(..=position).next_back();
        let before = before.map(|(_, piece)| Arc::clone(piece));
        let aligned = Position(position.0 - position.0 % held.stride.0);
        let start = match before {
            Some(piece) if piece.up_to > position => return Found::Piece(piece),
            Some(piece) => aligned.max(piece.up_to),
            None => aligned,
        };
        if held.under_way.len() > MANY {
            // What is left of readers that went away.
            held.under_way.retain(|_, lock| Arc::strong_count(lock) > 1);
        }
        let lock = Arc::clone(held.under_way.entry(start).or_default());
        Found::Read(start, lock, held.clears)
    }

    /// Keeps a piece, unless all pieces were dropped after the search for it.
    pub(super) fn insert(&self, piece: &Arc<Piece>, clears: u64) {
        let mut held = self.lock();
        held.under_way.remove(&piece.after);
        // Records that are larger than those before make pieces shorter.
        let stride = match piece.frames.len() as u64 {
            count if count < held.stride.0 && piece.is_cut => (count / 2 + 1).next_power_of_two(),
            _ if piece.is_cut => held.stride.0,
            _ => (held.stride.0 * 2).min(RECORDS as u64),
        };
        held.stride = Stride(stride);
        if held.clears != clears || piece.up_to <= piece.after {
            return;
        }
        held.bytes += piece.bytes;
        held.order.push_back(piece.after);
        if let Some(before) = held.pieces.insert(piece.after, Arc::clone(piece)) {
            held.bytes -= before.bytes;
            let place = held.order.iter().position(|after| *after == piece.after);
            place.and_then(|place| held.order.remove(place));
        }
        while held.bytes > self.most_bytes
            && held.order.len() > 1
            && let Some(oldest) = held.order.pop_front()
            && let Some(piece) = held.pieces.remove(&oldest)
        {
            held.bytes -= piece.bytes;
        }
    }

    /// Forgets that a piece is being read.
    pub(super) fn give_up(&self, start: Position) {
        self.lock().under_way.remove(&start);
    }

    /// Drops all pieces.
    pub(super) fn clear(&self) {
        let mut held = self.lock();
        let clears = held.clears + 1;
        *held = Held {
            clears,
            stride: held.stride,
            ..Held::default()
        };
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
