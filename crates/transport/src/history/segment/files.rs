//! The disk of a log, and which of its segments are open.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use super::Segment;
use crate::history::disk::Disk;
use crate::history::index::Hashes;
use crate::sync::Mutex;

/// Sealed segments that have their two files open at a time: all of 16 GiB.
const OPEN_SEGMENTS: usize = 1_024;

/// What all segments of a log share.
pub(in crate::history) struct Files {
    pub(in crate::history) disk: Arc<dyn Disk>,
    pub(in crate::history) hashes: Hashes,
    /// The sealed segments that are open, the longest open first.
    open: Mutex<VecDeque<Weak<Segment>>>,
    /// When it was last reported that the log cannot be read, in milliseconds since 1970.
    reported: AtomicU64,
}

impl Files {
    pub(in crate::history) fn new(disk: Arc<dyn Disk>, hashes: Hashes) -> Self {
        Self {
            disk,
            hashes,
            open: Mutex::default(),
            reported: AtomicU64::new(0),
        }
    }

    /// Whether a report at `now` is not too close to the last one, in milliseconds.
    pub(in crate::history) fn may_report(&self, now: u64, each: u64) -> bool {
        let last = self.reported.load(Ordering::Relaxed);
        let is_due = last == 0 || now.abs_diff(last) >= each;
        let now = now.max(1);
        is_due
            && self
                .reported
                .compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }

    /// Counts a segment that was opened, and closes the one that has been open longest.
    pub(super) fn opened(&self, segment: &Arc<Segment>) {
        let mut open = self.open.lock();
        open.push_back(Arc::downgrade(segment));
        if open.len() > OPEN_SEGMENTS {
            let longest = open.pop_front().and_then(|segment| segment.upgrade());
            drop(open);
            if let Some(segment) = longest {
                segment.close();
            }
        }
    }
}
