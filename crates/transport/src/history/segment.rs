//! A segment: a file of groups, and the index that finds its updates.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Weak};

use super::disk::{Disk, File};
use super::format::{Content, Record};
use super::index::{Facts, Hashes, Index, IndexFile, Subject};
use super::names;
use super::walk::{Met, walk};
use crate::sync::{Mutex, RwLock};
use crate::{Frame, Position};

/// Sealed segments that have their two files open at a time: all of 16 GiB. Beyond it a look-up in
/// every segment opens and checks indexes again, which took 12 ms where they were 600.
const OPEN_SEGMENTS: usize = 1_024;
/// What is read of a record before its length is known, in bytes.
const FIRST_LOOK: usize = 1 << 10;

/// What all segments of a log share.
pub(super) struct Files {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) hashes: Hashes,
    /// The sealed segments that are open, the longest open first.
    open: Mutex<VecDeque<Weak<Segment>>>,
}

impl Files {
    pub(super) fn new(disk: Arc<dyn Disk>, hashes: Hashes) -> Self {
        Self {
            disk,
            hashes,
            open: Mutex::default(),
        }
    }

    /// Counts a segment that was opened, and closes the one that has been open longest.
    fn opened(&self, segment: &Arc<Segment>) {
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

/// A part of the log in a file.
pub(super) struct Segment {
    pub(super) number: u64,
    /// The position of its first update.
    pub(super) first: Position,
    /// The bytes of all segments before it.
    pub(super) base: u64,
    source: Source,
}

enum Source {
    /// The newest one, still written to.
    Active {
        file: Arc<dyn File>,
        written: RwLock<Written>,
    },
    /// A later one exists; its files are opened when somebody reads it.
    Sealed {
        last: Position,
        length: u64,
        opened: Mutex<Option<Arc<Opened>>>,
    },
}

/// What is committed of the active segment.
pub(super) struct Written {
    pub(super) index: Index,
    /// Where the last committed group ends.
    pub(super) end: u64,
}

struct Opened {
    file: Arc<dyn File>,
    finder: Finder,
}

enum Finder {
    File(IndexFile),
    /// The index could not be written.
    Memory(Index),
}

impl Segment {
    pub(super) fn active(
        number: u64,
        first: Position,
        base: u64,
        file: Arc<dyn File>,
        end: u64,
    ) -> Self {
        let written = RwLock::new(Written {
            index: Index::new(first),
            end,
        });
        Self {
            number,
            first,
            base,
            source: Source::Active { file, written },
        }
    }

    pub(super) fn sealed(subject: Subject, base: u64) -> Self {
        Self {
            number: subject.number,
            first: subject.first,
            base,
            source: Source::Sealed {
                last: subject.last,
                length: subject.length,
                opened: Mutex::default(),
            },
        }
    }

    /// What is committed of it, if it is the active one.
    pub(super) fn written(&self) -> Option<&RwLock<Written>> {
        match &self.source {
            Source::Active { written, .. } => Some(written),
            Source::Sealed { .. } => None,
        }
    }

    /// The position of its last update; the one before its first if it has none.
    pub(super) fn last(&self) -> Position {
        match &self.source {
            Source::Active { written, .. } => written.read().index.last(),
            Source::Sealed { last, .. } => *last,
        }
    }

    /// Its committed bytes.
    pub(super) fn end(&self) -> u64 {
        match &self.source {
            Source::Active { written, .. } => written.read().end,
            Source::Sealed { length, .. } => *length,
        }
    }

    pub(super) fn file(self: &Arc<Self>, files: &Files) -> io::Result<Arc<dyn File>> {
        match &self.source {
            Source::Active { file, .. } => Ok(Arc::clone(file)),
            Source::Sealed { .. } => Ok(Arc::clone(&self.opened(files)?.file)),
        }
    }

    /// Where the update at a position begins; `None` if it is lost or not of this segment.
    pub(super) fn offset(
        self: &Arc<Self>,
        position: Position,
        files: &Files,
    ) -> io::Result<Option<u32>> {
        match &self.source {
            Source::Active { written, .. } => Ok(written.read().index.offset(position)),
            Source::Sealed { .. } => match &self.opened(files)?.finder {
                Finder::File(index) => index.offset(position),
                Finder::Memory(index) => Ok(index.offset(position)),
            },
        }
    }

    /// Candidates for a topic from an offset on, at most so many.
    pub(super) fn topic(
        self: &Arc<Self>,
        hash: u64,
        from: u32,
        at_most: usize,
        files: &Files,
    ) -> io::Result<Vec<u32>> {
        match &self.source {
            Source::Active { written, .. } => Ok(written.read().index.topic(hash, from, at_most)),
            Source::Sealed { .. } => match &self.opened(files)?.finder {
                Finder::File(index) => index.topic(hash, from, at_most),
                Finder::Memory(index) => Ok(index.topic(hash, from, at_most)),
            },
        }
    }

    /// The earliest update after `floor` that has the id, chosen by its publisher.
    pub(super) fn chosen(
        self: &Arc<Self>,
        event_id: &str,
        floor: Position,
        files: &Files,
    ) -> io::Result<Option<Position>> {
        let hash = files.hashes.of(event_id);
        let candidates = match &self.source {
            Source::Active { written, .. } => written.read().index.chosen(hash),
            Source::Sealed { .. } => match &self.opened(files)?.finder {
                Finder::File(index) => index.chosen(hash)?,
                Finder::Memory(index) => index.chosen(hash),
            },
        };
        if candidates.is_empty() {
            return Ok(None);
        }
        let file = self.file(files)?;
        for at in candidates {
            let frame = read_frame(&*file, at.into(), self.end())?;
            let kept = frame.filter(|frame| frame.position > floor && *frame.event_id == *event_id);
            if let Some(frame) = kept {
                return Ok(Some(frame.position));
            }
        }
        Ok(None)
    }

    fn opened(self: &Arc<Self>, files: &Files) -> io::Result<Arc<Opened>> {
        let Source::Sealed {
            last,
            length,
            opened,
        } = &self.source
        else {
            return Err(io::Error::other("the active segment has no index file"));
        };
        let mut opened = opened.lock();
        if let Some(opened) = &*opened {
            return Ok(Arc::clone(opened));
        }
        let subject = Subject {
            number: self.number,
            first: self.first,
            last: *last,
            length: *length,
        };
        let file = files.disk.open(&names::segment(self.number, self.first))?;
        let name = names::index(self.number, self.first);
        let index = IndexFile::open(&*files.disk, &name, |found| *found == subject)?;
        let finder = match index {
            Some(index) => Finder::File(index),
            None => rebuild(files, &*file, &name, subject)?,
        };
        let found = Arc::new(Opened { file, finder });
        *opened = Some(Arc::clone(&found));
        drop(opened);
        files.opened(self);
        Ok(found)
    }

    fn close(&self) {
        if let Source::Sealed { opened, .. } = &self.source {
            *opened.lock() = None;
        }
    }
}

/// Makes the index of a sealed segment anew.
fn rebuild(files: &Files, file: &dyn File, name: &str, subject: Subject) -> io::Result<Finder> {
    tracing::warn!(
        index = files.disk.path(name),
        "an index is missing or damaged; it is made anew from its segment"
    );
    let mut index = Index::new(subject.first);
    walk(file, subject.number, subject.length, &mut |met| {
        // What lies beyond was cut, and a cut may be lost; its places were given anew.
        if let Met::Update(stored, at) = met
            && stored.position <= subject.last
        {
            index.add_stored(&stored, at, &files.hashes);
        }
    })?;
    index.extend_to(subject.last);
    let written = index.write(&*files.disk, name, subject, Facts::default());
    let written =
        written.and_then(|()| IndexFile::open(&*files.disk, name, |found| *found == subject));
    match written {
        Ok(Some(file)) => Ok(Finder::File(file)),
        // Read-only or full: it works from memory as well.
        _ => Ok(Finder::Memory(index)),
    }
}

/// Reads the update at an offset; `None` if it is not readable.
pub(super) fn read_frame(file: &dyn File, at: u64, end: u64) -> io::Result<Option<Frame>> {
    let bytes = read_record(file, at, end)?;
    Ok(
        bytes.and_then(|bytes| match Record::parse(&bytes)?.content {
            Content::Update(stored) => Some(stored.to_frame()),
            Content::Snapshot | Content::Void => None,
        }),
    )
}

/// Reads the bytes of a record, not yet checked; `None` if there is not all of it.
pub(super) fn read_record(file: &dyn File, at: u64, end: u64) -> io::Result<Option<Vec<u8>>> {
    let left = usize::try_from(end.saturating_sub(at)).unwrap_or(usize::MAX);
    let mut bytes = vec![0; FIRST_LOOK.min(left)];
    let mut read = file.read_at(&mut bytes, at)?;
    let Some(length) = Record::length_of(&bytes[..read]).filter(|length| *length <= left) else {
        return Ok(None);
    };
    bytes.resize(length, 0);
    if length > read {
        let rest = file.read_at(&mut bytes[read..], at + read as u64)?;
        read += rest;
    }
    Ok(Some(bytes).filter(|bytes| read >= bytes.len()))
}
