//! What is read of a whole index file: once, for what is kept of it in memory.

use std::io;

use super::{CHUNK, ENTRY, HEADER, IndexFile, WORD};
use crate::Position;
use crate::history::format::Fields;
use crate::history::index::{Filter, Summary};

impl IndexFile {
    /// As [`Index::position_at`].
    pub(in crate::history) fn position_at(&self, at: u32) -> io::Result<Option<Position>> {
        let mut found = None;
        self.each_offset(|position, offset| {
            if offset == at {
                found.get_or_insert(position);
            }
        })?;
        Ok(found)
    }

    /// As [`Index::summary`].
    pub(in crate::history) fn summary(&self) -> io::Result<Summary> {
        let mut summary = Summary {
            chosen: Filter::with_room(self.chosen.entries as usize),
            lost: Vec::new(),
        };
        self.each_offset(|position, at| summary.note_offset(position, at))?;
        let entries = u64::from(self.chosen.entries) * ENTRY;
        self.each_chunk(self.chosen.entries_at(), entries, |chunk| {
            for entry in chunk.chunks_exact(ENTRY as usize) {
                if let Some(hash) = Fields(entry).u64() {
                    summary.chosen.insert(hash);
                }
            }
        })?;
        Ok(summary)
    }

    fn each_offset(&self, mut each: impl FnMut(Position, u32)) -> io::Result<()> {
        let (mut position, last) = (self.subject.first, self.subject.last);
        let count = last.0 + 1 - position.0;
        self.each_chunk(HEADER as u64, count * WORD, |chunk| {
            let mut fields = Fields(chunk);
            while let Some(at) = fields.u32() {
                each(position, at);
                position = position.next();
            }
        })
    }

    /// Reads a part of the file in chunks; an entry is never divided between two of them.
    fn each_chunk(&self, at: u64, length: u64, mut each: impl FnMut(&[u8])) -> io::Result<()> {
        let mut buffer = vec![0; CHUNK];
        let mut done = 0;
        while done < length {
            let wanted = CHUNK.min(usize::try_from(length - done).unwrap_or(CHUNK));
            self.read(&mut buffer[..wanted], at + done)?;
            each(&buffer[..wanted]);
            done += wanted as u64;
        }
        Ok(())
    }
}
