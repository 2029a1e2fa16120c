//! The other work of the writer: deleting, delayed syncing, and checking whether a failed disk works
//! again. It is done whether or not updates can be published.

use std::sync::Arc;
use std::time::Duration;

use super::writer::{LOOK_AGAIN, Log};
use crate::history::options::SyncMode;
use crate::history::retention::End;
use crate::history::segment::Segment;
use crate::{Health, Position};

impl Log {
    /// Deletes what the bounds no longer keep, and checks the free space, before readers see the log.
    pub(in crate::history) fn settle(&mut self) {
        self.raise_floor(true);
        self.retain();
        // Only its effect on the health matters, which is then right before the first publish.
        _ = self.check_space();
    }

    /// Raises the floor to what the bounds keep.
    fn raise_floor(&mut self, has_time: bool) -> Position {
        let end = End {
            head: self.active.last(),
            top: self.head,
            bytes: self.active.base + self.end,
            committed: self.facts.time,
            now: self.clock.now(),
        };
        let floor = self.retention.advance(end, &self.shared, has_time);
        self.shared.raise_floor(floor);
        floor
    }

    /// Deletes what retention no longer keeps: for readers at once, on the disk when a group header with the
    /// new floor is durable.
    pub(super) fn delete_what_is_over(&mut self) {
        let floor = self.raise_floor(false);
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
        self.remove_segments();
    }

    /// Deletes what retention no longer keeps without waiting for a publish, even if the disk is full:
    /// records the floor, and removes the segments below it, including the active one.
    pub(super) fn retain(&mut self) {
        let floor = self.raise_floor(false);
        if self.trouble.is_some() {
            self.remove_hidden_indexes();
            return;
        }
        let segments = self.shared.segments();
        let is_over =
            |segment: &Arc<Segment>| segment.last() <= floor && segment.last() >= segment.first;
        if is_over(&self.active) {
            // The header of the new segment makes the floor durable.
            if let Err(error) = self.roll() {
                self.roll_failed(&error);
                self.remove_hidden_indexes();
                return;
            }
        } else if segments.first().is_some_and(is_over) || self.must_record(floor) {
            self.floor_recorded = self.clock.moment();
            let is_written = floor <= self.facts.floor || self.write_nothing();
            if !is_written || !self.sync() {
                self.remove_hidden_indexes();
                return;
            }
        }
        self.remove_segments();
    }

    /// Whether to record the floor although no segment can be removed: what is deleted by age must stay
    /// deleted if the next start finds a clock that was set back.
    fn must_record(&self, floor: Position) -> bool {
        self.shared.options.max_age.is_some()
            && floor > self.facts.floor
            && self
                .clock
                .is_over(self.floor_recorded, LOOK_AGAIN.as_millis())
    }

    /// Syncs what was written; returns whether that succeeded.
    pub(super) fn sync(&mut self) -> bool {
        // After a failed sync the next one succeeds, although what the first one lost is not on the disk.
        if self.trouble.is_some() {
            return false;
        }
        if let Err(error) = self.sync_events() {
            tracing::debug!(%error, "the file of subscription events could not be written");
            return false;
        }
        if self.durable < self.end {
            if let Err(error) = self.syncer.sync(&self.file) {
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
            && self.clock.is_over_by_reading(since, interval.as_millis())
        {
            self.sync();
        }
    }

    fn is_failing(&self) -> bool {
        let has_trouble = self.trouble.is_some() || self.journal_in_doubt.is_some();
        has_trouble || self.shared.health() != Health::Ready
    }

    /// Does what is due while nothing is published; returns after what time to call it again.
    pub(super) fn keep_house(&mut self) -> Option<Duration> {
        self.remove_again();
        self.shorten_journal();
        self.retain();
        if self.is_failing() {
            self.probe();
            if self.trouble.is_none() {
                self.remove_segments();
            }
        }
        if self.trouble.is_none() {
            self.sync_if_due();
        }
        let is_unfinished =
            self.is_failing() || self.retention.is_looking() || !self.unremoved.is_empty();
        let ages = self.shared.options.max_age.is_some();
        let interval = match (self.shared.options.sync, self.unsynced_since) {
            (SyncMode::Interval(interval), Some(_)) => Some(interval),
            _ => None,
        };
        [interval, (ages || is_unfinished).then_some(LOOK_AGAIN)]
            .into_iter()
            .flatten()
            .min()
    }
}
