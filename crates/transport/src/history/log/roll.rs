//! Begins the next segment, and removes the oldest ones.

use std::io;
use std::sync::Arc;

use super::writer::Log;
use crate::history::format::{SEGMENT_HEADER, SegmentHeader};
use crate::history::index::Subject;
use crate::history::names;
use crate::history::options::SyncMode;
use crate::history::segment::{Segment, create_segment};

/// The most zeros that are written ahead, in bytes.
const ALLOCATED: u64 = 1 << 20;
/// The least and the most bytes of a segment; a large update may exceed both.
const SEGMENT_BYTES: std::ops::RangeInclusive<u64> = 64 << 10..=16 << 20;

/// The bytes of a segment in a log that keeps `kept` bytes: a quarter of them, so that little stays on
/// the disk after its deletion.
fn segment_bytes(kept: u64) -> u64 {
    (kept / 4).clamp(*SEGMENT_BYTES.start(), *SEGMENT_BYTES.end())
}

impl Log {
    /// Writes zeros where the next groups will be, unless that was done. A sync of bytes that overwrite
    /// them takes two thirds of the time that a growing file takes.
    pub(super) fn allocate(&mut self, bytes: u64) {
        let end = self.end + bytes;
        if self.shared.options.sync != SyncMode::Always || end <= self.allocated {
            return;
        }
        let ahead = (self.target / 4).min(ALLOCATED);
        let zeros = vec![0; usize::try_from(ahead).unwrap_or_default()];
        // If that fails, the file grows group by group; it may be longer all the same.
        _ = self.file.write_at(&zeros, end);
        self.allocated = end + zeros.len() as u64;
    }

    /// Makes the active segment durable, and removes what was written ahead.
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

    /// Begins a new segment. The old one becomes durable first, in every mode.
    pub(super) fn roll(&mut self) -> io::Result<()> {
        self.finish_segment()?;
        self.sync_events()?;
        self.unsynced_since = None;
        // Without the floor of a group that is under way, which may be refused.
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
        // Closing files for a descriptor is acceptable: readers can open them again, but nothing can be
        // published without a segment.
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
        self.shared.tiers.ring();
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

    /// Decides how long the active segment may become.
    pub(in crate::history) fn set_target(&mut self) {
        self.target = segment_bytes(self.kept_bytes());
    }

    /// The bytes that kept updates take, estimated as if all updates of a segment had the same size.
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

    /// Writes the index of the active segment beside it, so that the next opening need not read it.
    pub(super) fn write_closed_index(&self) {
        self.write_index(&names::closed(self.active.number, self.active.first));
    }

    /// Writes the index of the active segment. It can be rebuilt from the segment at any time.
    fn write_index(&self, name: &str) {
        let Some(written) = self.active.written() else {
            return;
        };
        let written = written.read();
        let disk = &*self.shared.files.disk;
        if let Err(error) = written.index.write(disk, name, self.subject(), self.facts) {
            // The unfinished file takes room that a full disk does not have.
            drop(disk.remove(&format!("{name}{}", names::NEW)));
            tracing::warn!(name: "index_not_written", %error, index = disk.path(name), "an index could not be written and is rebuilt when it is needed");
        }
    }
}

impl Log {
    /// Removes the segments below the floor that is known to be durable.
    pub(super) fn remove_segments(&mut self) {
        let segments = self.shared.segments();
        // The active segment stays.
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
        if let Some(oldest) = segments.get(kept) {
            for name in self.shared.tiers.remove_before(oldest.number) {
                self.remove(name);
            }
        }
    }

    /// Tries again to remove the files that could not be removed.
    pub(super) fn remove_again(&mut self) {
        let disk = &*self.shared.files.disk;
        self.unremoved.retain(|name| match disk.remove(name) {
            Ok(()) => false,
            Err(error) => error.kind() != io::ErrorKind::NotFound,
        });
    }

    /// Removes the indexes of deleted segments whose files must stay, because the floor cannot be
    /// recorded. Indexes can be rebuilt, and their room may be what the disk lacks.
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
                    name: "file_not_removed",
                    %error,
                    file = disk.path(&name),
                    "a file that is no longer needed could not be removed; the hub tries again"
                );
                self.unremoved.push(name);
            }
            _ => {}
        }
    }
}
