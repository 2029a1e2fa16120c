//! Reads of a whole index file, for the part of it that is kept in memory.

use std::io;

use super::IndexFile;
use super::layout::{CHUNK, ENTRY, WORD};
use crate::Position;
use crate::history::format::Fields;
use crate::history::index::filter::Filter;
use crate::history::index::summary::Summary;

impl IndexFile {
    /// As `Index::position_at`.
    pub(in crate::history) fn position_at(&self, at: u32) -> io::Result<Option<Position>> {
        let mut found = None;
        self.each_offset(|position, offset| {
            if offset == at {
                found.get_or_insert(position);
            }
        })?;
        Ok(found)
    }

    /// As `Index::summary`.
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
        let holes = self.read_holes()?;
        let mut positions = holes.others(self.subject.first);
        self.each_chunk(self.offsets_at, self.offsets * WORD, |chunk| {
            let mut fields = Fields(chunk);
            while let Some(at) = fields.u32() {
                each(positions.next().unwrap_or_default(), at);
            }
        })
    }

    /// Reads a part of the file in chunks, which never divide an entry.
    pub(super) fn each_chunk(
        &self,
        at: u64,
        length: u64,
        mut each: impl FnMut(&[u8]),
    ) -> io::Result<()> {
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
