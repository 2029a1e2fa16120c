//! The disk of a log, and the segments that are open.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};

use crate::history::disk::Disk;
use crate::history::index::Hashes;
use crate::sync::Mutex;

/// The most sealed segments whose two files are open at a time; they can hold 16 GiB.
const OPEN_SEGMENTS: u64 = 1_024;
/// Open segments take at most one of this many descriptors of the process.
const SHARE: u64 = 4;
const FILES_OF_SEGMENT: u64 = 2;

/// How many sealed segments may be open if the process may open `descriptors` files; `None` for no
/// limit.
fn most_open(descriptors: Option<u64>) -> usize {
    let share = descriptors.unwrap_or(u64::MAX) / SHARE / FILES_OF_SEGMENT;
    share.clamp(1, OPEN_SEGMENTS) as usize
}

/// Whether an error says that the process or the system has no descriptor left.
fn is_out_of_descriptors(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::MFILE | Errno::NFILE)
    )
}

/// A segment whose files can be closed; a later reader opens them again.
pub(super) trait Close: Send + Sync {
    fn close(&self);
}

/// The state that all segments of a log share.
pub(in crate::history) struct Files {
    pub(in crate::history) disk: Arc<dyn Disk>,
    pub(in crate::history) hashes: Hashes,
    /// The sealed segments that are open; those that were opened first stand first.
    open: Mutex<VecDeque<Weak<dyn Close>>>,
    /// How many segments may be open.
    most_open: usize,
    /// When an unreadable log was last reported, in milliseconds since 1970.
    reported: AtomicU64,
}

impl Files {
    pub(in crate::history) fn new(disk: Arc<dyn Disk>, hashes: Hashes) -> Self {
        Self {
            disk,
            hashes,
            open: Mutex::default(),
            most_open: most_open(getrlimit(Resource::Nofile).current),
            reported: AtomicU64::new(0),
        }
    }

    /// Whether an unreadable log may be reported at `now`: the last report is at least `each` ago, in
    /// milliseconds.
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

    /// Counts a segment that was opened; closes the one that has been open longest if there are too many.
    pub(super) fn opened(&self, segment: Weak<dyn Close>) {
        let mut open = self.open.lock();
        open.push_back(segment);
        let is_over = open.len() > self.most_open;
        drop(open);
        if is_over {
            self.close_longest();
        }
    }

    /// Calls `open`, which opens files. If no descriptor is left, closes up to `most` segments, one at a
    /// time, and calls it again after each.
    pub(in crate::history) fn retry<T>(
        &self,
        most: usize,
        open: impl Fn() -> io::Result<T>,
    ) -> io::Result<T> {
        let mut outcome = open();
        for _ in 0..most {
            match &outcome {
                Err(error) if is_out_of_descriptors(error) && self.close_longest() => {
                    outcome = open();
                }
                _ => break,
            }
        }
        outcome
    }

    /// Closes the segment that has been open longest; returns whether there was one.
    fn close_longest(&self) -> bool {
        loop {
            let Some(longest) = self.open.lock().pop_front() else {
                return false;
            };
            // The last reader of a deleted segment has closed it.
            if let Some(segment) = longest.upgrade() {
                segment.close();
                return true;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// However few descriptors there are, open segments leave most of them to connections.
    #[test]
    fn open_segments_take_a_share_of_the_descriptors() {
        for (descriptors, most) in [
            (Some(0), 1),
            (Some(100), 12),
            (Some(1_024), 128),
            (Some(1 << 20), 1_024),
            (None, 1_024),
        ] {
            assert_eq!(most_open(descriptors), most, "{descriptors:?}");
        }
    }
}
