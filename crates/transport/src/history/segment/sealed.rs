//! Segments that have a successor. Their files are opened when a reader needs them.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use super::files::{Close, Files};
use crate::Position;
use crate::history::disk::File;
use crate::history::index::{Facts, Index, IndexFile, Subject, Summary};
use crate::history::names;
use crate::history::walk::{Met, walk};
use crate::sync::{Mutex, RwLock};

/// A segment that has a successor.
pub(super) struct Sealed {
    pub(super) subject: Subject,
    opened: Mutex<Option<Arc<Opened>>>,
    /// Whether this process has checked the index file; later openings skip the check.
    is_checked: AtomicBool,
    /// The summary of the index, whether that came from the file or from memory.
    pub(super) summary: RwLock<Option<Summary>>,
}

/// The open files of a segment.
pub(super) struct Opened {
    pub(super) file: Arc<dyn File>,
    pub(super) finder: Finder,
}

/// Finds the updates of a segment.
pub(super) enum Finder {
    File(IndexFile),
    /// In memory, because the index file could not be written.
    Memory(Index),
}

impl Finder {
    /// As [`Index::place`].
    pub(super) fn place(&self, position: Position) -> io::Result<Option<(Position, u32)>> {
        match self {
            Self::File(index) => index.place(position),
            Self::Memory(index) => Ok(index.place(position)),
        }
    }

    /// As [`Index::events`].
    pub(super) fn events(&self) -> io::Result<Vec<(Position, Position)>> {
        match self {
            Self::File(index) => index.events(),
            Self::Memory(index) => Ok(index.events()),
        }
    }

    /// As [`Index::topic`].
    pub(super) fn topic(&self, hash: u64, from: u32, at_most: usize) -> io::Result<Vec<u32>> {
        match self {
            Self::File(index) => index.topic(hash, from, at_most),
            Self::Memory(index) => Ok(index.topic(hash, from, at_most)),
        }
    }

    /// As [`Index::chosen`].
    pub(super) fn chosen(&self, hash: u64, from: u32, at_most: usize) -> io::Result<Vec<u32>> {
        match self {
            Self::File(index) => index.chosen(hash, from, at_most),
            Self::Memory(index) => Ok(index.chosen(hash, from, at_most)),
        }
    }

    /// As [`Index::position_at`].
    pub(super) fn position_at(&self, at: u32) -> io::Result<Option<Position>> {
        match self {
            Self::File(index) => index.position_at(at),
            Self::Memory(index) => Ok(index.position_at(at)),
        }
    }
}

impl Sealed {
    pub(super) fn new(subject: Subject) -> Self {
        Self {
            subject,
            opened: Mutex::default(),
            is_checked: AtomicBool::new(false),
            summary: RwLock::new(None),
        }
    }

    pub(super) fn is_summarized(&self) -> bool {
        self.summary.read().is_some()
    }

    /// Checks and summarizes the index, unless that was done. Keeps no file open.
    pub(super) fn summarize(&self, files: &Files) -> io::Result<()> {
        let opened = self.opened.lock();
        if opened.is_none() && !self.is_summarized() {
            files.retry(1, || self.load(files))?;
        }
        Ok(())
    }

    /// The open files; opens them if necessary.
    pub(super) fn opened(self: &Arc<Self>, files: &Files) -> io::Result<Arc<Opened>> {
        let mut opened = self.opened.lock();
        if let Some(opened) = &*opened {
            return Ok(Arc::clone(opened));
        }
        let found = Arc::new(files.retry(1, || self.load(files))?);
        *opened = Some(Arc::clone(&found));
        drop(opened);
        let this: Weak<Self> = Arc::downgrade(self);
        files.opened(this);
        Ok(found)
    }

    /// The positions of events, as ranges.
    pub(super) fn events(self: &Arc<Self>, files: &Files) -> io::Result<Vec<(Position, Position)>> {
        let name = names::index(self.subject.number, self.subject.first);
        if files.retry(1, || IndexFile::has_no_events(&*files.disk, &name))? {
            return Ok(Vec::new());
        }
        self.opened(files)?.finder.events()
    }

    /// Opens the files, rebuilds the index if it is damaged or missing, and keeps a summary of it.
    fn load(&self, files: &Files) -> io::Result<Opened> {
        let subject = self.subject;
        let file = files
            .disk
            .open(&names::segment(subject.number, subject.first))?;
        let name = names::index(subject.number, subject.first);
        let expected = |found: &Subject| *found == subject;
        let index = if self.is_checked.load(Ordering::Acquire) {
            IndexFile::reopen(&*files.disk, &name, expected)?
        } else {
            IndexFile::open(&*files.disk, &name, expected)?
        };
        let finder = match index {
            Some(index) => {
                if !self.is_summarized() {
                    *self.summary.write() = Some(index.summary()?);
                }
                Finder::File(index)
            }
            None => {
                let (finder, made) = rebuild(files, &*file, &name, subject)?;
                // More may be lost now than when the segment was summarized.
                *self.summary.write() = Some(made);
                finder
            }
        };
        self.is_checked
            .store(matches!(finder, Finder::File(_)), Ordering::Release);
        Ok(Opened { file, finder })
    }
}

impl Close for Sealed {
    fn close(&self) {
        *self.opened.lock() = None;
    }
}

/// Rebuilds the index of a sealed segment from the segment; also returns its summary.
fn rebuild(
    files: &Files,
    file: &dyn File,
    name: &str,
    subject: Subject,
) -> io::Result<(Finder, Summary)> {
    tracing::warn!(
        name: "index_rebuilt",
        index = files.disk.path(name),
        "an index is missing or damaged and is rebuilt from its segment"
    );
    let mut index = Index::new(subject.first);
    walk(file, subject.number, subject.length, &mut |met| match met {
        // Later updates were cut off, although the cut may have been lost; their positions were given
        // out again.
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
        // On a read-only or full disk the index in memory serves as well.
        _ => Finder::Memory(index),
    };
    Ok((finder, summary))
}
