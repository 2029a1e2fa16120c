//! The index of a segment in a file beside it. It is derived from the segment, never synced, and rebuilt
//! when in doubt.
//!
//! The file has a header, the offsets by position, the positions of events if there are any, and two
//! tables (topics, ids), each with the starts of its buckets, its entries sorted by hash, and its
//! postings. The last four bytes are the CRC32C of everything before. The highest bits of a hash name
//! its bucket, which has about one entry, so that a look-up reads a few bytes.

mod encode;
mod events;
mod layout;
mod whole;

use std::io;
use std::sync::Arc;

use self::layout::{
    CHUNK, ENTRY, EVENTS_HEADER, HEADER, HOLE, MAGIC, MOST_ENTRIES, VERSION, VERSION_OF_EVENTS,
    WORD, bucket_of, buckets,
};
use super::subject::{Facts, Subject};
use crate::Position;
use crate::history::disk::{Disk, File};
use crate::history::format::Fields;

/// An index file that is complete and undamaged.
pub(in crate::history) struct IndexFile {
    file: Arc<dyn File>,
    subject: Subject,
    facts: Facts,
    /// Where the offsets begin.
    offsets_at: u64,
    /// The number of offsets.
    offsets: u64,
    /// The number of ranges of events, which follow the offsets.
    holes: u32,
    topics: Table,
    chosen: Table,
}

/// The place of a table in the file.
#[derive(Debug, Clone, Copy)]
struct Table {
    /// Where the starts of its buckets begin.
    at: u64,
    entries: u32,
    postings: u32,
}

impl IndexFile {
    /// Opens an index file; `None` unless it is undamaged and belongs to the expected segment.
    pub(in crate::history) fn open(
        disk: &dyn Disk,
        name: &str,
        expected: impl Fn(&Subject) -> bool,
    ) -> io::Result<Option<Self>> {
        let Some(index) = Self::reopen(disk, name, expected)? else {
            return Ok(None);
        };
        let is_whole = is_whole(&*index.file, index.end() + WORD)?;
        Ok(Some(index).filter(|_| is_whole))
    }

    /// Opens an index file that this process has found undamaged before.
    pub(in crate::history) fn reopen(
        disk: &dyn Disk,
        name: &str,
        expected: impl Fn(&Subject) -> bool,
    ) -> io::Result<Option<Self>> {
        let file = match disk.open(name) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let length = file.len()?;
        let mut header = [0; HEADER + EVENTS_HEADER as usize];
        if file.read_at(&mut header, 0)? < HEADER {
            return Ok(None);
        }
        let found = Self::decode(&header, file);
        Ok(found.filter(|index| expected(&index.subject) && index.end() + WORD == length))
    }

    fn decode(header: &[u8], file: Arc<dyn File>) -> Option<Self> {
        let mut fields = Fields(header);
        if fields.take(8)? != MAGIC {
            return None;
        }
        let has_events = match fields.u32()? {
            VERSION => false,
            VERSION_OF_EVENTS => true,
            _ => return None,
        };
        let subject = Subject {
            number: fields.u64()?,
            first: Position(fields.u64()?),
            last: Position(fields.u64()?),
            length: fields.u64()?,
        };
        let facts = Facts {
            floor: Position(fields.u64()?),
            imported: fields.u64()?,
            time: fields.u64()?,
        };
        // The checksum is not checked yet, so a count may be larger than a segment can have.
        let count = subject.last.0.checked_add(1)?;
        let count = count.checked_sub(subject.first.0)?;
        let (holes, events, offsets_at) = if has_events {
            let mut fields = Fields(header.get(HEADER..)?);
            let at = HEADER as u64 + EVENTS_HEADER;
            (fields.u32()?, fields.u64()?, at)
        } else {
            (0, 0, HEADER as u64)
        };
        let offsets = u64::from(u32::try_from(count.checked_sub(events)?).ok()?);
        let mut table = |at| {
            Some(Table {
                at,
                entries: fields.u32().filter(|entries| *entries <= MOST_ENTRIES)?,
                postings: fields.u32()?,
            })
        };
        let topics = table(offsets_at + offsets * WORD + u64::from(holes) * HOLE)?;
        let chosen = table(topics.end())?;
        Some(Self {
            file,
            subject,
            facts,
            offsets_at,
            offsets,
            holes,
            topics,
            chosen,
        })
    }

    pub(in crate::history) fn subject(&self) -> Subject {
        self.subject
    }

    pub(in crate::history) fn facts(&self) -> Facts {
        self.facts
    }

    fn end(&self) -> u64 {
        self.chosen.end()
    }

    /// As `Index::topic`.
    pub(in crate::history) fn topic(
        &self,
        hash: u64,
        from: u32,
        at_most: usize,
    ) -> io::Result<Vec<u32>> {
        self.postings(self.topics, hash, from, at_most)
    }

    /// As `Index::chosen`.
    pub(in crate::history) fn chosen(
        &self,
        hash: u64,
        from: u32,
        at_most: usize,
    ) -> io::Result<Vec<u32>> {
        self.postings(self.chosen, hash, from, at_most)
    }

    fn postings(&self, table: Table, hash: u64, from: u32, at_most: usize) -> io::Result<Vec<u32>> {
        let bucket = bucket_of(hash, buckets(table.entries));
        let bounds = self.words(table.at + u64::from(bucket) * WORD, 2)?;
        if bounds[0] > bounds[1] || bounds[1] > table.entries {
            return Err(garbled());
        }
        let mut entries = vec![0; (bounds[1] - bounds[0]) as usize * ENTRY as usize];
        self.read(
            &mut entries,
            table.entries_at() + u64::from(bounds[0]) * ENTRY,
        )?;
        let mut fields = Fields(&entries);
        while let (Some(found), Some(start), Some(count)) =
            (fields.u64(), fields.u32(), fields.u32())
        {
            if found != hash {
                continue;
            }
            if count == 1 {
                return Ok(if start < from { vec![] } else { vec![start] });
            }
            if count
                .checked_add(start)
                .is_none_or(|end| end > table.postings)
            {
                return Err(garbled());
            }
            let list_at = table.postings_at() + u64::from(start) * WORD;
            let skipped = self.lower_bound(list_at, count, from)?;
            let count = (count - skipped).min(u32::try_from(at_most).unwrap_or(u32::MAX));
            return self.words(list_at + u64::from(skipped) * WORD, count as usize);
        }
        Ok(Vec::new())
    }

    /// The number of offsets of the list that are below `from`.
    fn lower_bound(&self, list_at: u64, count: u32, from: u32) -> io::Result<u32> {
        let (mut low, mut high) = (0, if from == 0 { 0 } else { count });
        while low < high {
            let middle = low + (high - low) / 2;
            if self.word(list_at + u64::from(middle) * WORD)? < from {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(low)
    }

    fn word(&self, at: u64) -> io::Result<u32> {
        let mut bytes = [0; WORD as usize];
        self.read(&mut bytes, at)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn words(&self, at: u64, count: usize) -> io::Result<Vec<u32>> {
        let mut bytes = vec![0; count * WORD as usize];
        self.read(&mut bytes, at)?;
        let mut fields = Fields(&bytes);
        Ok(std::iter::from_fn(|| fields.u32()).collect())
    }

    fn read(&self, buffer: &mut [u8], at: u64) -> io::Result<()> {
        if self.file.read_at(buffer, at)? < buffer.len() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }
}

/// The error of an index that was undamaged when it was opened, but no longer is.
fn garbled() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "the index has changed since it was opened",
    )
}

impl Table {
    fn entries_at(self) -> u64 {
        self.at + (u64::from(buckets(self.entries)) + 1) * WORD
    }

    fn postings_at(self) -> u64 {
        self.entries_at() + u64::from(self.entries) * ENTRY
    }

    fn end(self) -> u64 {
        self.postings_at() + u64::from(self.postings) * WORD
    }
}

/// Whether the file ends with the checksum of the bytes before.
fn is_whole(file: &dyn File, length: u64) -> io::Result<bool> {
    let Some(content) = length.checked_sub(WORD) else {
        return Ok(false);
    };
    let (mut at, mut checksum) = (0, 0);
    let mut buffer = vec![0; CHUNK];
    while at < content {
        let wanted = buffer
            .len()
            .min(usize::try_from(content - at).unwrap_or(usize::MAX));
        let read = file.read_at(&mut buffer[..wanted], at)?;
        if read == 0 {
            return Ok(false);
        }
        checksum = crc32c::crc32c_append(checksum, &buffer[..read]);
        at += read as u64;
    }
    let mut last = [0; WORD as usize];
    let read = file.read_at(&mut last, content)?;
    Ok(read == last.len() && u32::from_le_bytes(last) == checksum)
}
