//! A segment: a file of groups, and the index that finds the updates in it.

mod files;
mod record;
mod sealed;
mod write;

use std::io;
use std::sync::Arc;

pub(super) use self::files::Files;
pub(super) use self::record::{read_frame, read_record};
pub(super) use self::sealed::Cover;
use self::sealed::Sealed;
pub(super) use self::write::{create_segment, rewrite};
use super::disk::File;
use super::format::{SEGMENT_HEADER, SegmentHeader};
use super::index::{Index, IndexFile, Subject};
use crate::Position;
use crate::sync::RwLock;

/// The candidates for a chosen id that are fetched at a time. Usually the first one has the id; others
/// only share its hash.
const CANDIDATES: usize = 16;

/// A part of the log, in a file.
pub(super) struct Segment {
    pub(super) number: u64,
    /// The position of its first update.
    pub(super) first: Position,
    /// The bytes of all segments before it.
    pub(super) base: u64,
    source: Source,
}

enum Source {
    /// The newest segment, which is being written.
    Active {
        file: Arc<dyn File>,
        written: Box<RwLock<Written>>,
    },
    /// A segment that has a successor.
    Sealed(Arc<Sealed>),
}

/// The earliest kept update of a segment with an id that its publisher chose.
pub(super) enum Chosen {
    Nowhere,
    At(Position),
    /// The index has the update, but its record is not readable.
    Lost(Position),
}

/// What is committed of the active segment.
pub(super) struct Written {
    pub(super) index: Index,
    /// Where the last committed group ends.
    pub(super) end: u64,
}

impl Segment {
    /// A segment that was just created, after `base` bytes of other segments.
    pub(super) fn active(header: &SegmentHeader, base: u64, file: Arc<dyn File>) -> Self {
        let written = Box::new(RwLock::new(Written {
            index: Index::new(header.first),
            end: SEGMENT_HEADER as u64,
        }));
        Self {
            number: header.number,
            first: header.first,
            base,
            source: Source::Active { file, written },
        }
    }

    /// A segment that has a successor, after `base` bytes of other segments.
    pub(super) fn sealed(subject: Subject, base: u64) -> Self {
        Self {
            number: subject.number,
            first: subject.first,
            base,
            source: Source::Sealed(Arc::new(Sealed::new(subject))),
        }
    }

    /// Keeps a summary of the index that the segment had while it was active.
    pub(super) fn with_index(self, index: &Index) -> Self {
        if let Source::Sealed(sealed) = &self.source {
            *sealed.summary.write() = Some(Box::new(index.summary()));
        }
        self
    }

    /// Notes what tiers say of the segment.
    pub(super) fn cover(&self, cover: Cover) {
        if let Source::Sealed(sealed) = &self.source {
            sealed.cover(cover);
        }
    }

    /// The index of a sealed segment, checked; it is made again if it is damaged or missing.
    pub(super) fn index(&self, files: &Files) -> io::Result<IndexFile> {
        match &self.source {
            Source::Active { .. } => Err(io::ErrorKind::InvalidInput.into()),
            Source::Sealed(sealed) => sealed.index(files),
        }
    }

    /// Whether a publisher may have chosen an id with this hash; `None` if the segment must be
    /// summarized first.
    pub(super) fn may_hold(&self, hash: u64) -> Option<bool> {
        match &self.source {
            Source::Active { .. } => Some(true),
            Source::Sealed(sealed) => {
                let summary = sealed.summary.read();
                Some(summary.as_ref()?.chosen.as_ref()?.may_hold(hash))
            }
        }
    }

    pub(super) fn is_summarized(&self) -> bool {
        match &self.source {
            Source::Active { .. } => true,
            // A tier has what a summary would say.
            Source::Sealed(sealed) => sealed.is_covered() || sealed.is_summarized(true),
        }
    }

    /// Checks and summarizes the index, unless that was done, so that [`may_hold`](Self::may_hold) needs
    /// no disk. Keeps no file open.
    pub(super) fn summarize(&self, files: &Files) -> io::Result<()> {
        match &self.source {
            Source::Active { .. } => Ok(()),
            Source::Sealed(sealed) => sealed.summarize(files, true),
        }
    }

    /// The first lost update after `from`, up to and including `up_to`, as the index says from which
    /// postings were read last.
    pub(super) fn first_lost(
        &self,
        from: Position,
        up_to: Position,
        files: &Files,
    ) -> io::Result<Option<Position>> {
        Ok(match &self.source {
            Source::Active { .. } => None,
            Source::Sealed(sealed) => {
                sealed.summarize(files, false)?;
                let summary = sealed.summary.read();
                summary
                    .as_ref()
                    .and_then(|summary| summary.first_lost(from, up_to))
            }
        })
    }

    /// What is committed of the segment, if it is the active one.
    pub(super) fn written(&self) -> Option<&RwLock<Written>> {
        match &self.source {
            Source::Active { written, .. } => Some(written),
            Source::Sealed(_) => None,
        }
    }

    /// The position of its last update, or the one before its first if it is empty.
    pub(super) fn last(&self) -> Position {
        match &self.source {
            Source::Active { written, .. } => written.read().index.last(),
            Source::Sealed(sealed) => sealed.subject.last,
        }
    }

    /// Its committed bytes.
    pub(super) fn end(&self) -> u64 {
        match &self.source {
            Source::Active { written, .. } => written.read().end,
            Source::Sealed(sealed) => sealed.subject.length,
        }
    }

    pub(super) fn file(&self, files: &Files) -> io::Result<Arc<dyn File>> {
        match &self.source {
            Source::Active { file, .. } => Ok(Arc::clone(file)),
            Source::Sealed(sealed) => sealed.file(files),
        }
    }

    /// The position and offset of the update at a position, or of the next update if an event has the
    /// position; `None` if the update is lost or not in this segment.
    pub(super) fn place(
        &self,
        position: Position,
        files: &Files,
    ) -> io::Result<Option<(Position, u32)>> {
        match &self.source {
            Source::Active { written, .. } => Ok(written.read().index.place(position)),
            Source::Sealed(sealed) => sealed.finder(files)?.place(position),
        }
    }

    /// The offset of [`Self::place`].
    pub(super) fn offset(&self, position: Position, files: &Files) -> io::Result<Option<u32>> {
        let place = self.place(position, files)?;
        Ok(place.map(|(_, at)| at))
    }

    /// The positions of events, as ranges.
    pub(super) fn events(&self, files: &Files) -> io::Result<Vec<(Position, Position)>> {
        match &self.source {
            Source::Active { written, .. } => Ok(written.read().index.events()),
            Source::Sealed(sealed) => sealed.events(files),
        }
    }

    /// At most `at_most` candidates for a topic, from an offset on.
    pub(super) fn topic(
        &self,
        hash: u64,
        from: u32,
        at_most: usize,
        files: &Files,
    ) -> io::Result<Vec<u32>> {
        match &self.source {
            Source::Active { written, .. } => Ok(written.read().index.topic(hash, from, at_most)),
            Source::Sealed(sealed) => sealed.finder(files)?.topic(hash, from, at_most),
        }
    }

    /// Finds the earliest update after `floor` with this id, chosen by its publisher.
    pub(super) fn chosen(
        &self,
        event_id: &str,
        floor: Position,
        files: &Files,
    ) -> io::Result<Chosen> {
        let hash = files.hashes.of(event_id);
        // Deleted updates may have the id any number of times.
        let mut from = if floor < self.first {
            0
        } else {
            self.offset(floor.next(), files)?.unwrap_or_default()
        };
        loop {
            let candidates = self.candidates(hash, from, files)?;
            let Some(last) = candidates.last() else {
                return Ok(Chosen::Nowhere);
            };
            from = last.saturating_add(1);
            let file = self.file(files)?;
            for at in candidates {
                let found = match read_frame(&*file, at.into(), self.end())? {
                    Some(frame) if *frame.event_id != *event_id => continue,
                    Some(frame) => Chosen::At(frame.position),
                    None => match self.position_at(at, files)? {
                        Some(position) => Chosen::Lost(position),
                        None => continue,
                    },
                };
                match found {
                    Chosen::At(position) | Chosen::Lost(position) if position > floor => {
                        return Ok(found);
                    }
                    _ => {}
                }
            }
        }
    }

    /// Candidates for a chosen id, from an offset on.
    fn candidates(&self, hash: u64, from: u32, files: &Files) -> io::Result<Vec<u32>> {
        match &self.source {
            Source::Active { written, .. } => {
                Ok(written.read().index.chosen(hash, from, CANDIDATES))
            }
            Source::Sealed(sealed) => sealed.finder(files)?.chosen(hash, from, CANDIDATES),
        }
    }

    /// The position of the update at an offset.
    fn position_at(&self, at: u32, files: &Files) -> io::Result<Option<Position>> {
        match &self.source {
            Source::Active { written, .. } => Ok(written.read().index.position_at(at)),
            Source::Sealed(sealed) => sealed.finder(files)?.position_at(at),
        }
    }
}
