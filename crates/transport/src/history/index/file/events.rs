//! The positions of events, as an index file has them.

use std::io;

use super::layout::{HOLE, MAGIC, VERSION, WORD};
use super::{IndexFile, garbled};
use crate::Position;
use crate::history::disk::Disk;
use crate::history::format::Fields;
use crate::history::index::holes::{Hole, Holes};

impl IndexFile {
    /// Whether an index says that its segment has no events. Does not check the rest of the file.
    pub(in crate::history) fn has_no_events(disk: &dyn Disk, name: &str) -> io::Result<bool> {
        let file = match disk.open(name) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        let mut start = [0; 12];
        let read = file.read_at(&mut start, 0)?;
        let version = start[..read].strip_prefix(&MAGIC);
        Ok(version == Some(&VERSION.to_le_bytes()))
    }

    /// As `Index::place`.
    pub(in crate::history) fn place(
        &self,
        position: Position,
    ) -> io::Result<Option<(Position, u32)>> {
        if position < self.subject.first || position > self.subject.last {
            return Ok(None);
        }
        let (position, before) = self.behind(position)?;
        let number = (position.0 - self.subject.first.0).checked_sub(before);
        let Some(number) = number.filter(|number| *number < self.offsets) else {
            return Ok(None);
        };
        let at = self.word(self.offsets_at + number * WORD)?;
        Ok((at != 0).then_some((position, at)))
    }

    /// As [`Holes::behind`].
    fn behind(&self, position: Position) -> io::Result<(Position, u64)> {
        let (mut low, mut high) = (0, self.holes);
        let mut found = (position, 0);
        while low < high {
            let middle = low + (high - low) / 2;
            let hole = self.hole(middle)?;
            if hole.first <= position {
                found = hole.place_behind(position);
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(found)
    }

    fn hole(&self, number: u32) -> io::Result<Hole> {
        let mut bytes = [0; HOLE as usize];
        let at = self.offsets_at + self.offsets * WORD + u64::from(number) * HOLE;
        self.read(&mut bytes, at)?;
        decode_hole(&bytes).ok_or_else(garbled)
    }

    /// As `Index::events`.
    pub(in crate::history) fn events(&self) -> io::Result<Vec<(Position, Position)>> {
        let holes = self.read_holes()?;
        Ok(holes.iter().map(|hole| (hole.first, hole.last)).collect())
    }

    pub(super) fn read_holes(&self) -> io::Result<Holes> {
        let mut holes = Holes::default();
        let at = self.offsets_at + self.offsets * WORD;
        self.each_chunk(at, u64::from(self.holes) * HOLE, |chunk| {
            let read = chunk.chunks_exact(HOLE as usize);
            for hole in read.filter_map(decode_hole) {
                holes.push(hole.first, hole.last);
            }
        })?;
        Ok(holes)
    }
}

fn decode_hole(bytes: &[u8]) -> Option<Hole> {
    let mut fields = Fields(bytes);
    let hole = Hole {
        first: Position(fields.u64()?),
        last: Position(fields.u64()?),
        before: fields.u64()?,
    };
    // Within these bounds the arithmetic on positions cannot overflow.
    (hole.first <= hole.last && hole.last.0 < u64::MAX / 2 && hole.before < u64::MAX / 2)
        .then_some(hole)
}
