//! Reads of a whole index file, for the part of it that is kept in memory.

use std::io;

use super::layout::{CHUNK, ENTRY, WORD};
use super::{IndexFile, Table};
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

    /// As `Index::summary`; without the filter of chosen ids unless `with_chosen`.
    pub(in crate::history) fn summary(&self, with_chosen: bool) -> io::Result<Summary> {
        let mut summary = Summary::default();
        self.each_offset(|position, at| summary.note_offset(position, at))?;
        if !with_chosen {
            return Ok(summary);
        }
        let mut chosen = Filter::with_room(self.chosen.entries as usize);
        let entries = u64::from(self.chosen.entries) * ENTRY;
        self.each_chunk(self.chosen.entries_at(), entries, |chunk| {
            for entry in chunk.chunks_exact(ENTRY as usize) {
                if let Some(hash) = Fields(entry).u64() {
                    chosen.insert(hash);
                }
            }
        })?;
        summary.chosen = Some(chosen);
        Ok(summary)
    }

    /// The number of topics, or of chosen ids.
    pub(in crate::history) fn count(&self, of_topics: bool) -> u32 {
        self.table(of_topics).entries
    }

    fn table(&self, of_topics: bool) -> Table {
        if of_topics { self.topics } else { self.chosen }
    }

    /// At most `count` entries from one on, in the order of their hashes: each hash, and the offset of its
    /// only record, or 0 if it has several.
    pub(in crate::history) fn part(
        &self,
        of_topics: bool,
        from: u32,
        count: u32,
    ) -> io::Result<Vec<(u64, u32)>> {
        let table = self.table(of_topics);
        let count = count.min(table.entries.saturating_sub(from));
        let mut bytes = vec![0; count as usize * ENTRY as usize];
        self.read(&mut bytes, table.entries_at() + u64::from(from) * ENTRY)?;
        let entries = bytes.chunks_exact(ENTRY as usize).filter_map(|entry| {
            let mut fields = Fields(entry);
            let (hash, start, count) = (fields.u64()?, fields.u32()?, fields.u32()?);
            Some((hash, if count == 1 { start } else { 0 }))
        });
        Ok(entries.collect())
    }

    /// Whether events have positions in the segment.
    pub(in crate::history) fn has_events(&self) -> bool {
        self.holes > 0
    }

    /// Whether updates of the segment are lost.
    pub(in crate::history) fn has_losses(&self) -> io::Result<bool> {
        let mut found = false;
        self.each_chunk(self.offsets_at, self.offsets * WORD, |chunk| {
            found |= chunk.chunks_exact(WORD as usize).any(|at| at == [0; 4]);
        })?;
        Ok(found)
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
