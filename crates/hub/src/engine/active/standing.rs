//! What the log is known to hold of a subscription of this process.

use std::sync::atomic::{AtomicU8, Ordering};

/// The newest event of the subscription is its beginning.
const BEGUN: u8 = 1;
/// The newest event of the subscription is its end.
const ENDED: u8 = 2;
const EVENTS: u8 = BEGUN | ENDED;
/// The subscriber has left.
const GONE: u8 = 4;
/// Nothing more is appended for it.
const SETTLED: u8 = 8;

/// Which event of a subscription is the newest in the log, as far as is known, and whether the subscriber is still
/// there.
///
/// On a log of several processes another one may end the subscription, and this one announces it again, so that
/// the newest event counts, and not which events there were. Both are in one atomic value: of a leaving subscriber and
/// an end that comes at the same moment, the second sees the first.
#[derive(Debug, Default)]
pub(super) struct Standing(AtomicU8);

impl Standing {
    /// Notes the newest event. Returns whether the newest one before was the beginning.
    pub(super) fn set(&self, active: bool) -> bool {
        let newest = if active { BEGUN } else { ENDED };
        let set = |before: u8| Some((before & !EVENTS) | newest);
        let before = self
            .0
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, set);
        // The update never fails.
        let (Ok(before) | Err(before)) = before;
        before & EVENTS == BEGUN
    }

    /// Notes an event, if none is known.
    pub(super) fn set_first(&self, active: bool) {
        let newest = if active { BEGUN } else { ENDED };
        let set = |before: u8| (before & EVENTS == 0).then_some(before | newest);
        _ = self
            .0
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, set);
    }

    /// Notes that the subscriber has left.
    pub(super) fn leave(&self) {
        self.0.fetch_or(GONE, Ordering::AcqRel);
    }

    /// Notes that nothing more is appended for the subscription.
    pub(super) fn settle(&self) {
        self.0.fetch_or(SETTLED, Ordering::AcqRel);
    }

    pub(super) fn is_settled(&self) -> bool {
        self.0.load(Ordering::Acquire) & SETTLED != 0
    }

    pub(super) fn is_begun(&self) -> bool {
        self.0.load(Ordering::Acquire) & EVENTS == BEGUN
    }

    pub(super) fn is_gone(&self) -> bool {
        self.0.load(Ordering::Acquire) & GONE != 0
    }
}
