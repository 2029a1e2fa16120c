//! Interests: what readers want and may receive, shared by those who want and may the same.

mod index;
mod judge;
mod keys;
mod members;
mod patterns;
mod table;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use talaria_protocol::{Base, MatcherSet};

pub(crate) use self::index::{Condition, Family, Index, SetName};
pub(crate) use self::judge::{Allowance, PageFilter, Progress};
pub(crate) use self::keys::{Hashing, Keys};
pub(crate) use self::members::Members;
pub(crate) use self::patterns::{Candidates, Place};
use crate::lane::Lane;

/// Counts what enters the index: interests, patterns and groups of patterns.
pub(crate) type Serial = u64;

/// An interest's serial: no less than that of any pattern it holds.
pub(crate) type Number = Serial;

/// The canonical matchers of a subscription request and the canonical read grants of its token.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Selection {
    /// What is asked for.
    pub(crate) matchers: MatcherSet,
    /// Which private updates may be read.
    pub(crate) grants: MatcherSet,
}

/// A selection in use, and the lane of its readers.
#[derive(Debug)]
pub(crate) struct Interest {
    pub(crate) number: Number,
    pub(crate) selection: Selection,
    keys: Keys,
    pub(crate) lane: Lane,
    base: Arc<Base>,
    /// Where routing has noted what it owes to this interest; a hint that it verifies.
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
