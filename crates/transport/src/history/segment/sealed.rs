//! Segments that have a successor. Their files are opened when a reader needs them.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Weak};

use super::files::{Close, Files};
use crate::Position;
use crate::history::disk::File;
use crate::history::index::{Facts, Index, IndexFile, Subject, Summary};
use crate::history::names;
use crate::history::tier::Row;
use crate::history::walk::{Met, walk};
use crate::sync::{Mutex, RwLock};

/// A segment that has a successor.
pub(super) struct Sealed {
    pub(super) subject: Subject,
    /// Locked for moments only, because a reader that lacks a descriptor closes the files of others.
    opened: Mutex<Opened>,
    /// Locked while files are opened or an index is made.
    loading: Mutex<()>,
    /// Whether this process has checked the index file; later openings skip the check.
    is_checked: AtomicBool,
    cover: AtomicU8,
    /// The summary of the index, whether that came from the file or from memory.
    pub(super) summary: RwLock<Option<Box<Summary>>>,
}

/// The files of a segment that are open.
#[derive(Default)]
struct Opened {
    file: Option<Arc<dyn File>>,
    finder: Option<Arc<Finder>>,
}

/// What tiers say of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::history) struct Cover(u8);

impl Cover {
    /// No tier covers it.
    pub(in crate::history) const NONE: Self = Self(0);
    const COVERED: u8 = 1;
    const LOST: u8 = 2;
    const EVENTS: u8 = 4;

    /// As a tier's row says.
    pub(in crate::history) fn of(row: &Row) -> Self {
        let flag = |is: bool, bit| if is { bit } else { 0 };
        Self(Self::COVERED | flag(row.lost, Self::LOST) | flag(row.events, Self::EVENTS))
    }
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
            loading: Mutex::default(),
            is_checked: AtomicBool::new(false),
            cover: AtomicU8::new(0),
            summary: RwLock::new(None),
        }
    }

    /// Notes what tiers say. A tier has the chosen ids too, so their filter is dropped.
    pub(super) fn cover(&self, cover: Cover) {
        self.cover.store(cover.0, Ordering::Release);
        if cover != Cover::NONE
            && let Some(summary) = &mut *self.summary.write()
        {
            summary.chosen = None;
        }
    }

    /// Whether a tier covers the segment.
    pub(super) fn is_covered(&self) -> bool {
        self.cover.load(Ordering::Acquire) & Cover::COVERED != 0
    }

    /// Whether a tier says that nothing of the segment is lost.
    fn is_known_whole(&self) -> bool {
        let cover = self.cover.load(Ordering::Acquire);
        cover & (Cover::COVERED | Cover::LOST) == Cover::COVERED
    }

    /// Whether the losses are known, and the chosen ids if `with_chosen`.
    pub(super) fn is_summarized(&self, with_chosen: bool) -> bool {
        match &*self.summary.read() {
            Some(summary) => !with_chosen || summary.chosen.is_some(),
            None => !with_chosen && self.is_known_whole(),
        }
    }

    /// Checks and summarizes the index, unless that was done. Keeps no file open.
    pub(super) fn summarize(&self, files: &Files, with_chosen: bool) -> io::Result<()> {
        if self.is_summarized(with_chosen) {
            return Ok(());
        }
        let _loading = self.loading.lock();
        if !self.is_summarized(with_chosen) {
            files.retry(1, || self.load(files, with_chosen))?;
        }
        Ok(())
    }

    /// The segment's file; opens it if necessary.
    pub(super) fn file(self: &Arc<Self>, files: &Files) -> io::Result<Arc<dyn File>> {
        let opened = || self.opened.lock().file.clone();
        if let Some(file) = opened() {
            return Ok(file);
        }
        let _loading = self.loading.lock();
        if let Some(file) = opened() {
            return Ok(file);
        }
        let file = files.retry(1, || self.open_file(files))?;
        self.keep_open(files, |opened| opened.file = Some(Arc::clone(&file)));
        Ok(file)
    }

    /// What finds the updates; opens the index if necessary.
    pub(super) fn finder(self: &Arc<Self>, files: &Files) -> io::Result<Arc<Finder>> {
        let opened = || self.opened.lock().finder.clone();
        if let Some(finder) = opened() {
            return Ok(finder);
        }
        let _loading = self.loading.lock();
        if let Some(finder) = opened() {
            return Ok(finder);
        }
        let with_chosen = !self.is_covered();
        let finder = Arc::new(files.retry(1, || self.load(files, with_chosen))?);
        self.keep_open(files, |opened| opened.finder = Some(Arc::clone(&finder)));
        Ok(finder)
    }

    /// Keeps a file open, and counts the segment as open unless it is.
    fn keep_open(self: &Arc<Self>, files: &Files, keep: impl FnOnce(&mut Opened)) {
        let mut opened = self.opened.lock();
        let was_open = opened.file.is_some() || opened.finder.is_some();
        keep(&mut opened);
        drop(opened);
        if !was_open {
            let this: Weak<Self> = Arc::downgrade(self);
            files.opened(this);
        }
    }

    fn open_file(&self, files: &Files) -> io::Result<Arc<dyn File>> {
        let name = names::segment(self.subject.number, self.subject.first);
        files.disk.open(&name)
    }

    /// The positions of events, as ranges.
    pub(super) fn events(self: &Arc<Self>, files: &Files) -> io::Result<Vec<(Position, Position)>> {
        let cover = self.cover.load(Ordering::Acquire);
        if cover & (Cover::COVERED | Cover::EVENTS) == Cover::COVERED {
            return Ok(Vec::new());
        }
        let name = names::index(self.subject.number, self.subject.first);
        if files.retry(1, || IndexFile::has_no_events(&*files.disk, &name))? {
            return Ok(Vec::new());
        }
        self.finder(files)?.events()
    }

    /// The index file, checked; it is made again if it is damaged or missing. Keeps no file open.
    pub(super) fn index(&self, files: &Files) -> io::Result<IndexFile> {
        let subject = self.subject;
        let name = names::index(subject.number, subject.first);
        let open = || IndexFile::open(&*files.disk, &name, |found| *found == subject);
        if let Some(index) = files.retry(1, open)? {
            return Ok(index);
        }
        let loading = self.loading.lock();
        files.retry(1, || self.load(files, false))?;
        drop(loading);
        let unwritten = || io::Error::other("the index of a segment could not be written");
        files.retry(1, open)?.ok_or_else(unwritten)
    }

    /// Opens the index, rebuilds it if it is damaged or missing, and keeps a summary of it unless that is
    /// known.
    fn load(&self, files: &Files, with_chosen: bool) -> io::Result<Finder> {
        let subject = self.subject;
        let name = names::index(subject.number, subject.first);
        let expected = |found: &Subject| *found == subject;
        let index = if self.is_checked.load(Ordering::Acquire) {
            IndexFile::reopen(&*files.disk, &name, expected)?
        } else {
            IndexFile::open(&*files.disk, &name, expected)?
        };
        let finder = match index {
            Some(index) => {
                if !self.is_summarized(with_chosen) {
                    *self.summary.write() = Some(Box::new(index.summary(with_chosen)?));
                }
                Finder::File(index)
            }
            None => {
                let file = self.open_file(files)?;
                let (finder, mut made) = rebuild(files, &*file, &name, subject)?;
                if !with_chosen {
                    made.chosen = None;
                }
                // More may be lost now than when the segment was summarized.
                *self.summary.write() = Some(Box::new(made));
                finder
            }
        };
        self.is_checked
            .store(matches!(finder, Finder::File(_)), Ordering::Release);
        Ok(finder)
    }
}

impl Close for Sealed {
    fn close(&self) {
        *self.opened.lock() = Opened::default();
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
