//! The next segment, and the end of the oldest ones.

use std::io;
use std::sync::Arc;

use super::writer::Log;
use crate::history::format::{SEGMENT_HEADER, SegmentHeader};
use crate::history::index::Subject;
use crate::history::names;
use crate::history::options::SyncMode;
use crate::history::segment::{Segment, create_segment};

/// Zeros that are written ahead, at most, in bytes.
const ALLOCATED: u64 = 1 << 20;
/// The least and the most bytes of a segment; large updates may exceed both.
const SEGMENT_BYTES: std::ops::RangeInclusive<u64> = 64 << 10..=16 << 20;

/// The bytes of a segment in a log that keeps `kept` bytes: a quarter, so that little outlives its
/// deletion.
fn segment_bytes(kept: u64) -> u64 {
    (kept / 4).clamp(*SEGMENT_BYTES.start(), *SEGMENT_BYTES.end())
}

impl Log {
    /// Writes zeros where the next groups will be, unless there are some: to sync what overwrites
    /// them takes the disk two thirds of the time that a growing file takes.
    pub(super) fn allocate(&mut self, bytes: u64) {
        let end = self.end + bytes;
        if self.shared.options.sync != SyncMode::Always || end <= self.allocated {
            return;
        }
        let ahead = (self.target / 4).min(ALLOCATED);
        let zeros = vec![0; usize::try_from(ahead).unwrap_or_default()];
        // Where that fails the file grows group by group, and may be longer all the same.
        _ = self.file.write_at(&zeros, end);
        self.allocated = end + zeros.len() as u64;
    }

    /// Makes the active segment durable, and no longer than what it holds.
    pub(super) fn finish_segment(&mut self) -> io::Result<()> {
        let is_longer = self.allocated > self.end;
        if is_longer {
            self.file.set_len(self.end)?;
        }
        if is_longer || self.durable < self.end {
            self.file.sync_data()?;
        }
        self.durable = self.end;
        self.allocated = self.end;
        Ok(())
    }

    /// Begins a new segment. The old one is durable first, whatever the mode says.
    pub(super) fn roll(&mut self) -> io::Result<()> {
        self.finish_segment()?;
        self.sync_events()?;
        self.unsynced_since = None;
        // Not what a group that is under way says: it may be refused.
        let floor = self.facts.floor.max(self.retention.floor());
        let header = SegmentHeader {
            number: self.active.number + 1,
            first: self.active.last().next(),
            run: self.run,
            floor,
            imported: self.facts.imported,
            created: self.clock.believed(),
            key: self.shared.manifest.key,
        };
        let files = &self.shared.files;
        // Readers can open their files again; without a segment nothing can be published.
        let file = files.retry(usize::MAX, || create_segment(&*files.disk, &header))?;
        let subject = self.subject();
        self.write_index(&names::index(subject.number, subject.first));
        let mut sealed = Segment::sealed(subject, self.active.base);
        if let Some(written) = self.active.written() {
            sealed = sealed.with_index(&written.read().index);
        }
        let active = Arc::new(Segment::active(
            &header,
            self.active.base + self.end,
            Arc::clone(&file),
        ));
        let mut segments = self.shared.segments().to_vec();
        segments.pop();
        segments.extend([Arc::new(sealed), Arc::clone(&active)]);
        self.shared.replace_segments(segments);
        self.active = active;
        self.file = file;
        self.end = SEGMENT_HEADER as u64;
        self.durable = self.end;
        self.allocated = self.end;
        self.facts.floor = floor;
        self.durable_floor = floor;
        self.set_target();
        Ok(())
    }

    /// Decides how long the active segment becomes.
    pub(in crate::history) fn set_target(&mut self) {
        self.target = segment_bytes(self.kept_bytes());
    }

    /// The bytes that kept updates occupy, as if all of a segment were of one size.
    fn kept_bytes(&self) -> u64 {
        let floor = self.facts.floor;
        let segments = self.shared.segments();
        let oldest = segments.partition_point(|segment| segment.last() <= floor);
        let start = segments.get(oldest).map_or(self.active.base, |segment| {
            let deleted = (floor.0 + 1).saturating_sub(segment.first.0);
            let all = (segment.last().0 + 1)
                .saturating_sub(segment.first.0)
                .max(1);
            let share = u128::from(segment.end()) * u128::from(deleted) / u128::from(all);
            segment.base + u64::try_from(share).unwrap_or_default()
        });
        (self.active.base + self.end).saturating_sub(start)
    }

    fn subject(&self) -> Subject {
        Subject {
            number: self.active.number,
            first: self.active.first,
            last: self.active.last(),
            length: self.end,
        }
    }

    /// Leaves the index of the active segment beside it, for an opening that need not read it.
    pub(super) fn write_closed_index(&self) {
        self.write_index(&names::closed(self.active.number, self.active.first));
    }

    /// Writes the active segment's index. It can be made again from the segment at any time.
    fn write_index(&self, name: &str) {
        let Some(written) = self.active.written() else {
            return;
        };
        let written = written.read();
        let disk = &*self.shared.files.disk;
        if let Err(error) = written.index.write(disk, name, self.subject(), self.facts) {
            // What was begun takes room that a full disk does not have.
            drop(disk.remove(&format!("{name}{}", names::NEW)));
            tracing::warn!(%error, index = disk.path(name), "an index could not be written; it is made when it is needed");
        }
    }
}

impl Log {
    /// Removes the segments that lie wholly below a floor that is known to be durable.
    pub(super) fn remove_segments(&mut self) {
        let segments = self.shared.segments();
        // The active one stays.
        let sealed = &segments[..segments.len().saturating_sub(1)];
        let kept = sealed.partition_point(|segment| segment.last() <= self.durable_floor);
        if kept > 0 {
            self.shared.replace_segments(segments[kept..].to_vec());
        }
        let files = segments[..kept].iter().flat_map(|segment| {
            let (number, first) = (segment.number, segment.first);
            [names::segment(number, first), names::index(number, first)]
        });
        for name in files {
            self.remove(name);
        }
    }

    /// Tries again what could not be removed.
    pub(super) fn remove_again(&mut self) {
        let disk = &*self.shared.files.disk;
        self.unremoved.retain(|name| match disk.remove(name) {
            Ok(()) => false,
            Err(error) => error.kind() != io::ErrorKind::NotFound,
        });
    }

    /// Removes the indexes of segments that are hidden, while the segments must stay because no
    /// floor can be written: they can be made again, and their room may be what is missing.
    pub(super) fn remove_hidden_indexes(&mut self) {
        let floor = self.retention.floor();
        let segments = self.shared.segments();
        let sealed = &segments[..segments.len().saturating_sub(1)];
        for segment in sealed.iter().take_while(|segment| segment.last() <= floor) {
            self.remove(names::index(segment.number, segment.first));
        }
    }

    fn remove(&mut self, name: String) {
        let disk = &*self.shared.files.disk;
        match disk.remove(&name) {
            Err(error)
                if error.kind() != io::ErrorKind::NotFound && !self.unremoved.contains(&name) =>
            {
                tracing::warn!(
                    %error,
                    file = disk.path(&name),
                    "what is no longer kept could not be removed; it is tried again"
                );
                self.unremoved.push(name);
            }
            _ => {}
        }
    }
}
