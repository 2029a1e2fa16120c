//! The writer's side of the log: groups, segments, and what to do when the disk fails.

mod events;
mod failure;
mod group;
mod housekeeping;
mod roll;
mod syncer;

use std::sync::Arc;
use std::time::Duration;

use talaria_protocol::Update;

use self::failure::Trouble;
use super::Imported;
use super::clock::{Clock, Moment};
use super::disk::File;
use super::format::{EVENTS, GROUP_HEADER};
use super::index::Facts;
use super::journal::Journal;
use super::options::SyncMode;
use super::retention::Retention;
use super::run::Run;
use super::segment::Segment;
use super::shared::{Newest, Shared};
use crate::committer::pipeline::Pipeline;
use crate::{AppendError, Frame, Health, Position, Ring};

pub(super) use self::roll::create_segment;
pub(super) use self::syncer::Syncer;

const NOT_WRITTEN: &str = "the history could not be written; the hub's log says why";
const ALMOST_FULL: &str =
    "the disk is almost full; free space, or let the history keep less (size, max_bytes, max_age)";
/// Where the records of a group begin in its bytes: the header is before them, and what tells of the
/// events before the group, if there are some.
const RECORDS: usize = GROUP_HEADER + EVENTS;
/// A group of at least this many updates is synced on another thread. For fewer, waking it costs more
/// than preparing the next group takes.
const SYNCED_ASIDE: usize = 64;
/// The disk's free space is checked again after this time, or after this many bytes.
const SPACE_SEEN_MS: u128 = 100;
const SPACE_SEEN_BYTES: u64 = 1 << 20;
/// Publishing is refused below this much free space, or [`FREE_SHARE`] of the disk if that is less.
const FREE_BYTES: u64 = 1 << 30;
/// One twentieth of the disk.
const FREE_SHARE: u64 = 20;
/// How often to check for expired updates, and whether a failed disk works again.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// The only one who writes.
pub(super) struct Log {
    pub(super) shared: Arc<Shared>,
    pub(super) run: Run,
    pub(super) active: Arc<Segment>,
    pub(super) file: Arc<dyn File>,
    /// Where the last committed group of the active segment ends.
    pub(super) end: u64,
    /// Up to here the active segment is known to be durable.
    pub(super) durable: u64,
    /// Up to here the active segment's file has room that was written before.
    pub(super) allocated: u64,
    /// When the active segment has this many bytes, the next one begins.
    pub(super) target: u64,
    /// When and at how many bytes of the log the disk's free space was last looked at.
    pub(super) space_seen: Option<(Moment, u64)>,
    /// The newest position. What lies between it and the last one of the active segment are events.
    pub(super) head: Position,
    pub(super) journal: Journal,
    /// When it was last tried to write the journal anew, if it may hold events that were refused.
    pub(super) journal_in_doubt: Option<Moment>,
    pub(super) ring: Arc<Ring>,
    pub(super) clock: Clock,
    pub(super) retention: Retention,
    /// When the floor was last written without a publish.
    pub(super) floor_recorded: Moment,
    /// Files that could not be removed yet.
    pub(super) unremoved: Vec<String>,
    /// Of the last committed group.
    pub(super) facts: Facts,
    /// The retention floor that is known to be durable; what is above it is not removed.
    pub(super) durable_floor: Position,
    /// When the oldest update that is not durable was committed.
    pub(super) unsynced_since: Option<Moment>,
    pub(super) trouble: Option<Trouble>,
    /// Reused for groups.
    pub(super) buffers: Vec<Vec<u8>>,
    pub(super) syncer: Syncer,
    /// Keeps other processes out; dropped last.
    pub(super) _lock: Box<dyn Send + Sync>,
}

/// A group as it will be written.
pub(super) struct Prepared {
    /// The position of its newest update.
    head: Position,
    /// Whether it is of events.
    by_hub: bool,
    frames: Vec<Arc<Frame>>,
    /// Whether their ids were chosen by publishers.
    chosen: Vec<bool>,
    /// Room for what precedes the records, then those.
    bytes: Vec<u8>,
    /// Where in the bytes the records begin.
    offsets: Vec<usize>,
    time: u64,
    imported: u64,
}

/// A group that was written, and is perhaps not durable yet.
pub(super) struct Begun {
    group: Prepared,
    /// Of the segment, with the group.
    end: u64,
    /// Where in its bytes the group begins.
    start: usize,
    facts: Facts,
    /// Whether it is being synced aside.
    aside: bool,
}

impl Pipeline for Log {
    type Prepared = Prepared;
    type Begun = Begun;

    fn prepare(
        &mut self,
        updates: Vec<Update>,
        prepared: Option<Prepared>,
        begun: Option<&Begun>,
    ) -> Prepared {
        let mut group = prepared.unwrap_or_else(|| match begun {
            Some(begun) => self.new_group(begun.group.head, begun.facts.time),
            None => self.new_group(self.head, self.facts.time),
        });
        self.add_to(&mut group, updates);
        group
    }

    fn is_long(&mut self, group: &Begun) -> bool {
        group.aside && self.syncer.wait_for_most()
    }

    fn begin(&mut self, group: Prepared) -> Result<Begun, AppendError> {
        let follows = group
            .frames
            .first()
            .is_none_or(|first| first.position == self.head.next());
        if !follows {
            // The group before it was refused, so its places were never given.
            return Err(AppendError::Refused(NOT_WRITTEN));
        }
        self.recover_from_trouble()?;
        self.look_for_room()?;
        if group.by_hub {
            return self.write_events(group);
        }
        self.roll_if_due()?;
        self.write_group(group)
    }

    fn finish(&mut self, group: Begun) -> Result<Vec<Arc<Frame>>, AppendError> {
        let frames = self.complete(group)?;
        self.shared.set_health(Health::Ready);
        self.delete_what_is_over();
        self.sync_if_due();
        Ok(frames)
    }

    fn routed(&mut self) {
        self.forget_events();
    }

    fn idle(&mut self) -> Option<Duration> {
        self.keep_house()
    }
}

impl Log {
    /// Appends a group of another store's updates.
    pub(super) fn import(&mut self, entries: Vec<Imported>) -> Result<(), AppendError> {
        let mut group = self.new_group(self.head, self.facts.time);
        let now = group.time;
        // The time of an empty log is that of its opening, and no update's. A time to come is that of a
        // clock that was wrong.
        group.time = if self.head == Position::ORIGIN {
            0
        } else {
            self.facts.time.min(now)
        };
        for entry in entries {
            group.imported = entry.sequence;
            group.time = entry.time.unwrap_or(now).clamp(group.time, now);
            self.add_to(&mut group, vec![entry.update]);
        }
        let begun = self.begin(group)?;
        self.finish(begun)?;
        Ok(())
    }

    /// Writes a group behind the last one; large ones are synced aside, so that the next can be
    /// prepared meanwhile.
    fn write_group(&mut self, mut group: Prepared) -> Result<Begun, AppendError> {
        let facts = Facts {
            floor: self.retention.floor_at(group.head),
            imported: group.imported,
            time: group.time,
        };
        let start = self.put_group_header(&mut group, facts);
        let bytes = &group.bytes[start..];
        let length = bytes.len() as u64;
        self.allocate(length);
        if let Err(error) = self.file.write_at(&group.bytes[start..], self.end) {
            return Err(self.write_failed(&error));
        }
        let aside = self.shared.options.sync == SyncMode::Always
            && group.frames.len() >= SYNCED_ASIDE
            && self.syncer.begin(&self.file);
        Ok(Begun {
            end: self.end + length,
            start,
            group,
            facts,
            aside,
        })
    }

    /// Waits until a written group is as durable as the mode promises; then it can be read and
    /// looked up.
    fn complete(&mut self, begun: Begun) -> Result<Vec<Arc<Frame>>, AppendError> {
        if begun.group.by_hub {
            return self.finish_events(begun.group);
        }
        if self.shared.options.sync == SyncMode::Always {
            let synced = if begun.aside {
                self.syncer.end()
            } else {
                self.file.sync_data()
            };
            if let Err(error) = synced {
                return Err(self.sync_failed(&error));
            }
            self.durable = begun.end;
            self.durable_floor = begun.facts.floor;
        } else if self.unsynced_since.is_none() {
            self.unsynced_since = Some(self.clock.moment());
        }
        let start = self.end - begun.start as u64;
        let events = self.events_before(&begun.group);
        self.head = begun.group.head;
        self.end = begun.end;
        self.facts = begun.facts;
        let Prepared {
            frames,
            chosen,
            bytes,
            offsets,
            ..
        } = begun.group;
        self.buffers.push(bytes);
        let offsets: Vec<u64> = offsets.iter().map(|at| start + *at as u64).collect();
        self.publish(events, &frames, &chosen, &offsets);
        Ok(frames)
    }

    /// Makes a committed group known to readers, and the events before it.
    fn publish(
        &mut self,
        events: Option<(Position, Position)>,
        frames: &[Arc<Frame>],
        chosen: &[bool],
        offsets: &[u64],
    ) {
        if let Some(written) = self.active.written() {
            let mut written = written.write();
            if let Some((first, last)) = events {
                written.index.add_events(first, last);
            }
            for ((frame, chosen), at) in frames.iter().zip(chosen).zip(offsets) {
                written
                    .index
                    .add_frame(frame, *chosen, *at, &self.shared.files.hashes);
            }
            written.end = self.end;
        }
        if let Some(newest) = frames.last() {
            self.shared.set_newest(Newest {
                head: self.head,
                event_id: Some(newest.event_id.clone()),
            });
        }
    }

    /// Looks now and then whether the disk has room. On a full disk it first deletes what is over, since
    /// refused publishes may leave no time to do so later.
    fn look_for_room(&mut self) -> Result<(), AppendError> {
        let bytes = self.active.base + self.end;
        let is_due = self.space_seen.is_none_or(|(since, at)| {
            bytes.abs_diff(at) >= SPACE_SEEN_BYTES || self.clock.is_over(since, SPACE_SEEN_MS)
        });
        if is_due {
            if self.check_space().is_err() {
                self.retain();
                self.recover_from_trouble()?;
                self.check_space()?;
            }
            self.space_seen = Some((self.clock.moment(), bytes));
        }
        Ok(())
    }

    /// Begins a new segment if the active one is large enough.
    fn roll_if_due(&mut self) -> Result<(), AppendError> {
        if self.end >= self.target && self.active.last() >= self.active.first {
            self.roll().map_err(|error| self.roll_failed(&error))?;
        }
        Ok(())
    }

    pub(super) fn check_space(&mut self) -> Result<(), AppendError> {
        let is_full = match self.shared.files.disk.space() {
            Ok(space) => space.available < FREE_BYTES.min(space.total / FREE_SHARE),
            // Writing will tell.
            Err(_) => false,
        };
        if is_full {
            self.shared.set_health(Health::Refusing(ALMOST_FULL));
            return Err(AppendError::Refused(ALMOST_FULL));
        }
        Ok(())
    }
}

impl Drop for Log {
    /// Leaves the log so that it opens without being read.
    fn drop(&mut self) {
        if let Err(error) = self.sync_events() {
            tracing::warn!(%error, "the file of subscription events could not be written");
        }
        let is_empty = self.active.last() < self.active.first;
        if self.trouble.is_some() || is_empty {
            return;
        }
        match self.finish_segment() {
            Ok(()) => self.write_closed_index(),
            Err(error) => tracing::warn!(
                %error,
                "the history was not closed cleanly; the next start reads its newest segment"
            ),
        }
    }
}
