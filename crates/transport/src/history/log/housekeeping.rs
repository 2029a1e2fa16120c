//! What the writer does besides writing: it deletes, syncs later, and looks whether a disk works again.

use std::sync::Arc;
use std::time::Duration;

use super::{LOOK_AGAIN, Log, roll};
use crate::Health;
use crate::history::options::SyncMode;
use crate::history::segment::Segment;

impl Log {
    /// Deletes what retention no longer keeps: at once for readers, on the disk once a header that
    /// says so is durable.
    pub(super) fn delete_what_is_over(&mut self) {
        let floor = self.shared.advance(self.head, self.active.base + self.end);
        let segments = self.shared.segments();
        let is_over = |segment: &Arc<Segment>| segment.last() <= self.facts.floor.min(floor);
        if !segments
            .first()
            .is_some_and(|oldest| oldest.number < self.active.number && is_over(oldest))
        {
            return;
        }
        if segments[0].last() > self.durable_floor && !self.sync() {
            return;
        }
        roll::remove_segments(&self.shared, self.durable_floor);
    }

    /// Syncs what was written; whether that succeeded.
    pub(super) fn sync(&mut self) -> bool {
        if self.durable < self.end {
            if let Err(error) = self.file.sync_data() {
                self.sync_failed(&error);
                return false;
            }
            self.durable = self.end;
        }
        self.unsynced_since = None;
        self.durable_floor = self.facts.floor;
        true
    }

    pub(super) fn sync_if_due(&mut self) {
        if let (SyncMode::Interval(interval), Some(since)) =
            (self.shared.options.sync, self.unsynced_since)
        {
            let waited = (self.shared.options.clock)().abs_diff(since);
            if u128::from(waited) >= interval.as_millis() {
                self.sync();
            }
        }
    }

    /// What is due while nobody publishes; when to come again.
    pub(super) fn keep_house(&mut self) -> Option<Duration> {
        if self.trouble.is_some() || self.shared.health() != Health::Ready {
            self.probe();
            return Some(LOOK_AGAIN);
        }
        self.sync_if_due();
        let ages = self.shared.options.max_age.is_some();
        if ages {
            self.delete_what_is_old();
        }
        let interval = match (self.shared.options.sync, self.unsynced_since) {
            (SyncMode::Interval(interval), Some(_)) => Some(interval),
            _ => None,
        };
        [interval, ages.then_some(LOOK_AGAIN)]
            .into_iter()
            .flatten()
            .min()
    }

    /// Removes segments whose updates have become too old, the active one's too.
    pub(super) fn delete_what_is_old(&mut self) {
        let floor = self.shared.advance(self.head, self.active.base + self.end);
        let segments = self.shared.segments();
        let is_over =
            |segment: &Arc<Segment>| segment.last() <= floor && segment.last() >= segment.first;
        if !segments.iter().any(is_over) {
            return;
        }
        self.facts.floor = floor;
        // The new segment's header makes the floor durable.
        match self.roll() {
            Ok(()) => roll::remove_segments(&self.shared, self.durable_floor),
            Err(error) => {
                self.roll_failed(&error);
            }
        }
    }
}
