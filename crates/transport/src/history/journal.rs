//! The journal: the file of the subscription events that are kept, beside the segments (ADR 0017).
//!
//! Events are appended to it. When most of it is no longer kept, a shorter file replaces it; a separate
//! thread writes a long one, so that no publisher waits for it. Losing the journal costs events and
//! nothing else. `docs/history-format.md` describes its bytes.

mod bytes;
mod recall;

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;

use self::bytes::encode_header;
pub(super) use self::bytes::{Given, NAME, encode_entry};
pub(super) use self::recall::{Recalled, recall};
use super::disk::{Disk, File};
use super::manifest::Manifest;
use crate::events::{Event, Events};

const NEW: &str = "events.new";
/// The bytes that are written at once.
const CHUNK: usize = 256 << 10;
/// The journal is not rewritten to save fewer bytes than this.
const SLACK: u64 = 64 << 10;

/// The bytes that may be appended during a rewrite before the writer waits for its end.
const MOST_MEANWHILE: usize = 4 << 20;

/// The journal that is being appended to.
#[derive(Default)]
pub(super) struct Journal {
    /// `None` until there is an event, and if the journal must be rewritten before the next one.
    file: Option<Arc<dyn File>>,
    end: u64,
    /// How many of its bytes are known to be durable.
    durable: u64,
    /// It is not rewritten before it has this many bytes.
    least: u64,
    shortening: Option<Shortening>,
}

/// A file and its length.
type Written = (Arc<dyn File>, u64);

/// A shorter journal that is being written.
struct Shortening {
    thread: JoinHandle<io::Result<Written>>,
    /// The bytes that were appended meanwhile.
    meanwhile: Vec<u8>,
}

impl Journal {
    /// Whether events can be appended.
    pub(super) fn is_open(&self) -> bool {
        self.file.is_some()
    }

    /// Appends entries.
    pub(super) fn append(&mut self, entries: &[u8]) -> io::Result<()> {
        let Some(file) = &self.file else {
            return Err(io::Error::other("the journal is not open"));
        };
        file.write_at(entries, self.end)?;
        self.end += entries.len() as u64;
        if let Some(shortening) = &mut self.shortening {
            shortening.meanwhile.extend_from_slice(entries);
        }
        Ok(())
    }

    /// Makes all appended entries durable.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        if let Some(file) = &self.file
            && self.durable < self.end
        {
            file.sync_data()?;
            self.durable = self.end;
        }
        Ok(())
    }

    /// Stops using the file, because it is unknown what follows its durable part.
    pub(super) fn abandon(&mut self) {
        self.file = None;
    }

    /// Whether most of the journal is no longer kept.
    pub(super) fn is_long(&self, events: &Events) -> bool {
        self.end > (2 * events.bytes() as u64 + SLACK).max(self.least)
    }

    /// Replaces the journal by a new file of the kept events, durably.
    ///
    /// # Errors
    /// If writing fails. The journal is then as it was, or abandoned if it is unknown which of the two
    /// files has the name.
    pub(super) fn rewrite(
        &mut self,
        disk: &dyn Disk,
        given: Given,
        manifest: &Manifest,
        events: &[Event],
    ) -> io::Result<()> {
        self.wait_for_shortening();
        self.least = self.end + 16 * SLACK;
        let written = write_new(disk, given, manifest, events)?;
        self.put_in_place(disk, written)
    }

    /// Whether a shorter journal is being written.
    pub(super) fn is_shortening(&self) -> bool {
        self.shortening.is_some()
    }

    /// Begins to write a shorter journal.
    ///
    /// # Errors
    /// If no thread can be started.
    pub(super) fn begin_shortening(
        &mut self,
        write: impl FnOnce() -> io::Result<Written> + Send + 'static,
    ) -> io::Result<()> {
        self.least = self.end + 16 * SLACK;
        let thread = std::thread::Builder::new().name("talaria-events".to_owned());
        self.shortening = Some(Shortening {
            thread: thread.spawn(write)?,
            meanwhile: Vec::new(),
        });
        Ok(())
    }

    /// Replaces the journal by the shorter one, if that is written.
    ///
    /// # Errors
    /// As for [`Self::rewrite`].
    pub(super) fn end_shortening(&mut self, disk: &dyn Disk) -> io::Result<()> {
        let is_due = |shortening: &mut Shortening| {
            shortening.thread.is_finished() || shortening.meanwhile.len() > MOST_MEANWHILE
        };
        let Some(Shortening { thread, meanwhile }) = self.shortening.take_if(is_due) else {
            return Ok(());
        };
        let written = thread.join();
        let (file, end) = written
            .map_err(|_| io::Error::other("the thread that writes the file has panicked"))??;
        file.write_at(&meanwhile, end)?;
        file.sync_data()?;
        self.put_in_place(disk, (file, end + meanwhile.len() as u64))
    }

    /// Waits until the shorter journal is written, and does not use it.
    fn wait_for_shortening(&mut self) {
        if let Some(shortening) = self.shortening.take() {
            // Its outcome does not matter, because the file is not used.
            _ = shortening.thread.join();
        }
    }

    fn put_in_place(&mut self, disk: &dyn Disk, (file, end): Written) -> io::Result<()> {
        self.file = None;
        disk.rename(NEW, NAME)?;
        disk.sync()?;
        self.file = Some(file);
        (self.end, self.durable, self.least) = (end, end, 0);
        Ok(())
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.wait_for_shortening();
    }
}

/// Writes the kept events to a new file, durably. It does not have the journal's name yet.
pub(super) fn write_new(
    disk: &dyn Disk,
    given: Given,
    manifest: &Manifest,
    events: &[Event],
) -> io::Result<Written> {
    let write = || {
        let file = disk.create(NEW)?;
        let mut bytes = encode_header(given);
        let mut end = 0;
        for event in events {
            let run = manifest.run_of(event.frame.position);
            let tag = run.map_or(given.run, |run| run.tag);
            encode_entry(tag, &event.frame, event.time, &mut bytes);
            if bytes.len() >= CHUNK {
                file.write_at(&bytes, end)?;
                end += bytes.len() as u64;
                bytes.clear();
            }
        }
        file.write_at(&bytes, end)?;
        end += bytes.len() as u64;
        file.sync_data()?;
        Ok((file, end))
    };
    // The unfinished file takes room that a full disk does not have.
    write().inspect_err(|_| drop(disk.remove(NEW)))
}
