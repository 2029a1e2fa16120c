//! A segment: a file of groups, and the index that finds its updates.

mod files;
mod record;
mod write;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

pub(super) use self::files::Files;
pub(super) use self::record::{read_frame, read_record};
pub(super) use self::write::{create_segment, rewrite};
use super::disk::File;
use super::index::{Facts, Index, IndexFile, Subject, Summary};
use super::names;
use super::walk::{Met, walk};
use crate::Position;
use crate::sync::{Mutex, RwLock};

/// Candidates for a chosen id that are fetched at a time: all but the first have its hash by chance.
const CANDIDATES: usize = 16;

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
        /// Whether this process has found the index file whole; later openings rely on it.
        is_checked: AtomicBool,
        /// What the index says, whether it came from the file or from memory.
        summary: RwLock<Option<Summary>>,
    },
}

/// Where the earliest kept update of a segment is that has an id chosen by its publisher.
pub(super) enum Chosen {
    Nowhere,
    At(Position),
    /// The index names it, and its record is not readable.
    Lost(Position),
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
                is_checked: AtomicBool::new(false),
                summary: RwLock::new(None),
            },
        }
    }

    /// Keeps the summary of the index that the segment had while it was active.
    pub(super) fn with_index(self, index: &Index) -> Self {
        if let Source::Sealed { summary, .. } = &self.source {
            *summary.write() = Some(index.summary());
        }
        self
    }

    /// Whether a publisher may have chosen an id with this hash; `None` if the segment must be
    /// summarized first.
    pub(super) fn may_hold(&self, hash: u64) -> Option<bool> {
        match &self.source {
            Source::Active { .. } => Some(true),
            Source::Sealed { summary, .. } => Some(summary.read().as_ref()?.chosen.may_hold(hash)),
        }
    }

    pub(super) fn is_summarized(&self) -> bool {
        match &self.source {
            Source::Active { .. } => true,
            Source::Sealed { summary, .. } => summary.read().is_some(),
        }
    }

    /// Checks the index, unless that was done, so that the segment can be asked without the disk.
    /// Opens no file for longer than that takes.
    pub(super) fn summarize(&self, files: &Files) -> io::Result<()> {
        if let Source::Sealed { opened, .. } = &self.source {
            let opened = opened.lock();
            if opened.is_none() && !self.is_summarized() {
                files.retry(1, || self.load(files))?;
            }
        }
        Ok(())
    }

    /// The first lost update after `from`, not beyond `up_to`, as the index says that postings were
    /// last read from.
    pub(super) fn first_lost(
        &self,
        from: Position,
        up_to: Position,
        files: &Files,
    ) -> io::Result<Option<Position>> {
        self.summarize(files)?;
        Ok(match &self.source {
            Source::Active { .. } => None,
            Source::Sealed { summary, .. } => summary
                .read()
                .as_ref()
                .and_then(|summary| summary.first_lost(from, up_to)),
        })
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

    /// Where the update at a position begins, or the one behind the events at that position; `None`
    /// if it is lost or not of this segment.
    pub(super) fn place(
        self: &Arc<Self>,
        position: Position,
        files: &Files,
    ) -> io::Result<Option<(Position, u32)>> {
        match &self.source {
            Source::Active { written, .. } => Ok(written.read().index.place(position)),
            Source::Sealed { .. } => match &self.opened(files)?.finder {
                Finder::File(index) => index.place(position),
                Finder::Memory(index) => Ok(index.place(position)),
            },
        }
    }

    /// The offset of [`Self::place`].
    pub(super) fn offset(
        self: &Arc<Self>,
        position: Position,
        files: &Files,
    ) -> io::Result<Option<u32>> {
        let place = self.place(position, files)?;
        Ok(place.map(|(_, at)| at))
    }

    /// The positions of events: first and last ones.
    pub(super) fn events(self: &Arc<Self>, files: &Files) -> io::Result<Vec<(Position, Position)>> {
        match &self.source {
            Source::Active { written, .. } => Ok(written.read().index.events()),
            Source::Sealed { .. } => {
                let name = names::index(self.number, self.first);
                if files.retry(1, || IndexFile::has_no_events(&*files.disk, &name))? {
                    return Ok(Vec::new());
                }
                match &self.opened(files)?.finder {
                    Finder::File(index) => index.events(),
                    Finder::Memory(index) => Ok(index.events()),
                }
            }
        }
    }

    /// At most `at_most` candidates for a topic from an offset on.
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

    /// Finds the earliest update after `floor` that has the id, chosen by its publisher.
    pub(super) fn chosen(
        self: &Arc<Self>,
        event_id: &str,
        floor: Position,
        files: &Files,
    ) -> io::Result<Chosen> {
        let hash = files.hashes.of(event_id);
        // What lies below the floor may have the id any number of times.
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

    /// Candidates for a chosen id from an offset on.
    fn candidates(self: &Arc<Self>, hash: u64, from: u32, files: &Files) -> io::Result<Vec<u32>> {
        match &self.source {
            Source::Active { written, .. } => {
                Ok(written.read().index.chosen(hash, from, CANDIDATES))
            }
            Source::Sealed { .. } => match &self.opened(files)?.finder {
                Finder::File(index) => index.chosen(hash, from, CANDIDATES),
                Finder::Memory(index) => Ok(index.chosen(hash, from, CANDIDATES)),
            },
        }
    }

    /// The position of the update that begins at an offset.
    fn position_at(self: &Arc<Self>, at: u32, files: &Files) -> io::Result<Option<Position>> {
        match &self.source {
            Source::Active { written, .. } => Ok(written.read().index.position_at(at)),
            Source::Sealed { .. } => match &self.opened(files)?.finder {
                Finder::File(index) => index.position_at(at),
                Finder::Memory(index) => Ok(index.position_at(at)),
            },
        }
    }

    fn opened(self: &Arc<Self>, files: &Files) -> io::Result<Arc<Opened>> {
        let Source::Sealed { opened, .. } = &self.source else {
            return Err(io::Error::other("the active segment has no index file"));
        };
        let mut opened = opened.lock();
        if let Some(opened) = &*opened {
            return Ok(Arc::clone(opened));
        }
        let found = Arc::new(files.retry(1, || self.load(files))?);
        *opened = Some(Arc::clone(&found));
        drop(opened);
        files.opened(self);
        Ok(found)
    }

    /// Opens the files of a sealed segment, makes its index anew if it is not whole, and keeps the
    /// summary of the index.
    fn load(&self, files: &Files) -> io::Result<Opened> {
        let Source::Sealed {
            last,
            length,
            is_checked,
            summary,
            ..
        } = &self.source
        else {
            return Err(io::Error::other("the active segment has no index file"));
        };
        let subject = Subject {
            number: self.number,
            first: self.first,
            last: *last,
            length: *length,
        };
        let file = files.disk.open(&names::segment(self.number, self.first))?;
        let name = names::index(self.number, self.first);
        let expected = |found: &Subject| *found == subject;
        let index = if is_checked.load(Ordering::Acquire) {
            IndexFile::reopen(&*files.disk, &name, expected)?
        } else {
            IndexFile::open(&*files.disk, &name, expected)?
        };
        let finder = match index {
            Some(index) => {
                if !self.is_summarized() {
                    *summary.write() = Some(index.summary()?);
                }
                Finder::File(index)
            }
            None => {
                let (finder, made) = rebuild(files, &*file, &name, subject)?;
                // More may be lost now than when the segment was summarized.
                *summary.write() = Some(made);
                finder
            }
        };
        is_checked.store(matches!(finder, Finder::File(_)), Ordering::Release);
        Ok(Opened { file, finder })
    }

    fn close(&self) {
        if let Source::Sealed { opened, .. } = &self.source {
            *opened.lock() = None;
        }
    }
}

/// Makes the index of a sealed segment anew, and its summary.
fn rebuild(
    files: &Files,
    file: &dyn File,
    name: &str,
    subject: Subject,
) -> io::Result<(Finder, Summary)> {
    tracing::warn!(
        index = files.disk.path(name),
        "an index is missing or damaged; it is made anew from its segment"
    );
    let mut index = Index::new(subject.first);
    walk(file, subject.number, subject.length, &mut |met| match met {
        // What lies beyond was cut, and a cut may be lost; its places were given anew.
        Met::Update(stored, at) if stored.position <= subject.last => {
            index.add_stored(&stored, at, &files.hashes);
        }
        Met::Events(first, last, _) if last <= subject.last => index.add_events(first, last),
        _ => {}
    })?;
    index.extend_to(subject.last);
    let written = index.write(&*files.disk, name, subject, Facts::default());
    let written =
        written.and_then(|()| IndexFile::open(&*files.disk, name, |found| *found == subject));
    let summary = index.summary();
    let finder = match written {
        Ok(Some(file)) => Finder::File(file),
        // Read-only or full: it works from memory as well.
        _ => Finder::Memory(index),
    };
    Ok((finder, summary))
}
