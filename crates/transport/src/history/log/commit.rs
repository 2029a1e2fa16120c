//! Commits groups: writes them, makes them durable, and then visible to readers.

use std::sync::Arc;
use std::time::Duration;

use talaria_protocol::Update;

use super::group::{Begun, Prepared};
use super::writer::{Log, NOT_WRITTEN};
use crate::committer::pipeline::Pipeline;
use crate::history::index::Facts;
use crate::history::options::SyncMode;
use crate::history::shared::Newest;
use crate::{AppendError, Frame, Health, Position};

/// A group of at least this many updates is synced on another thread. For fewer, waking the thread costs
/// more than preparing the next group meanwhile saves.
const SYNCED_ASIDE: usize = 64;

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
            // The group before it was refused, so this group has the wrong positions.
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
    /// Writes a group after the last one. Another thread syncs a large group, so that the next one can be
    /// prepared meanwhile.
    pub(super) fn write_group(&mut self, mut group: Prepared) -> Result<Begun, AppendError> {
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

    /// Waits until a written group is as durable as the mode promises, and makes it visible to readers and
    /// look-ups.
    pub(super) fn complete(&mut self, begun: Begun) -> Result<Vec<Arc<Frame>>, AppendError> {
        if begun.group.by_hub {
            return self.finish_events(begun.group);
        }
        if self.shared.options.sync == SyncMode::Always {
            let synced = if begun.aside {
                self.syncer.end()
            } else {
                self.syncer.sync(&self.file)
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

    /// Adds a committed group, and the events before it, to what readers see.
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

    /// Begins a new segment if the active one is large enough.
    fn roll_if_due(&mut self) -> Result<(), AppendError> {
        if self.end >= self.target && self.active.last() >= self.active.first {
            self.roll().map_err(|error| self.roll_failed(&error))?;
        }
        Ok(())
    }
}
