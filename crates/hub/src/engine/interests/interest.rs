//! An interest: what readers with the same selection share.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use talaria_protocol::Base;

use super::keys::Keys;
use super::selection::Selection;
use crate::engine::lane::Lane;

/// Counts what enters the index: interests, patterns and groups of patterns.
pub(crate) type Serial = u64;

/// The serial of an interest. The patterns that the interest holds have at most this serial.
pub(crate) type Number = Serial;

/// A selection in use, and the lane of its readers.
#[derive(Debug)]
pub(crate) struct Interest {
    pub(crate) number: Number,
    pub(crate) selection: Selection,
    pub(super) keys: Keys,
    pub(crate) lane: Lane,
    pub(super) base: Arc<Base>,
    /// The place in the list of hits where routing has noted what this interest is due; a hint, which
    /// routing verifies.
    noted_at: AtomicUsize,
}

impl Interest {
    pub(crate) fn new(
        number: Number,
        selection: Selection,
        keys: Keys,
        base: Arc<Base>,
        lane: Lane,
    ) -> Self {
        Self {
            number,
            selection,
            keys,
            lane,
            base,
            noted_at: AtomicUsize::new(usize::MAX),
        }
    }

    pub(crate) fn noted_at(&self) -> usize {
        self.noted_at.load(Ordering::Relaxed)
    }

    pub(crate) fn note_at(&self, place: usize) {
        self.noted_at.store(place, Ordering::Relaxed);
    }
}
