//! A tier in a file: header, a row for each segment, and two tables, of topics and of chosen ids.

use std::io;

use super::blocks::{BLOCK, Blocks, PAYLOAD, aligned, damaged};
use super::entry::{ENTRY, Entry, WORD, bucket_of, buckets};
use crate::Position;
use crate::history::disk::Disk;
use crate::history::format::{Fields, put_u32, put_u64};
use crate::history::names;

const MAGIC: [u8; 8] = *b"TALTIERS";
const VERSION: u32 = 1;
const HEADER: u64 = 8 + 4 + 8 + 8 + 4 + 8 + 4 + 4;
const ROW: u64 = 8 + 8 + 4;
/// More segments than a tier has.
const MOST_ROWS: u32 = 1 << 20;
/// A range of more entries is searched by halves, the rest read in one piece.
const FEW: u32 = 64;
/// The blocks that a check reads at a time.
const CHECKED: usize = 128;
const LOST: u32 = 1;
const EVENTS: u32 = 2;

/// What a tier says of a segment besides its topics and ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::history) struct Row {
    /// The position of its first update.
    pub(in crate::history) first: Position,
    /// Its bytes.
    pub(in crate::history) length: u64,
    /// Whether updates of it are lost.
    pub(in crate::history) lost: bool,
    /// Whether events have positions in it.
    pub(in crate::history) events: bool,
}

/// A segment in which a topic or an id may occur.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::history) struct Hit {
    /// The number of the segment.
    pub(in crate::history) segment: u64,
    /// The offset of the only record; `None` if there are several.
    pub(in crate::history) at: Option<u32>,
}

/// What identifies a tier, and how large its tables are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    /// Says that the tier is of this log.
    pub(super) log: u64,
    /// The number of the first segment.
    pub(super) first: u64,
    pub(super) segments: u32,
    /// The last position of the last segment.
    pub(super) last_position: Position,
    pub(super) topics: u32,
    pub(super) chosen: u32,
}

/// The place of a table in the content.
#[derive(Debug, Clone, Copy)]
pub(super) struct Table {
    /// Where the starts of its buckets begin.
    pub(super) starts_at: u64,
    pub(super) entries_at: u64,
    pub(super) entries: u32,
}

/// A tier whose header and rows were undamaged when it was opened.
pub(in crate::history) struct Tier {
    blocks: Blocks,
    header: Header,
    topics: Table,
    chosen: Table,
    /// The numbers of the segments of which updates are lost.
    lost: Box<[u64]>,
}

impl Table {
    /// A table from an offset on, and where it ends.
    fn from(at: u64, entries: u32) -> (Self, u64) {
        let starts_at = aligned(at);
        let starts = (u64::from(buckets(entries)) + 1) * WORD;
        let entries_at = aligned(starts_at + starts);
        let table = Self {
            starts_at,
            entries_at,
            entries,
        };
        (table, aligned(entries_at + u64::from(entries) * ENTRY))
    }
}

impl Header {
    /// The tables, and the bytes of the file.
    pub(super) fn layout(&self) -> (Table, Table, u64) {
        let rows_end = HEADER + u64::from(self.segments) * ROW;
        let (topics, end) = Table::from(rows_end, self.topics);
        let (chosen, end) = Table::from(end, self.chosen);
        (topics, chosen, end / PAYLOAD as u64 * BLOCK as u64)
    }

    pub(super) fn encode(&self, rows: &[Row]) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        put_u32(&mut out, VERSION);
        put_u64(&mut out, self.log);
        put_u64(&mut out, self.first);
        put_u32(&mut out, self.segments);
        put_u64(&mut out, self.last_position.0);
        put_u32(&mut out, self.topics);
        put_u32(&mut out, self.chosen);
        for row in rows {
            put_u64(&mut out, row.first.0);
            put_u64(&mut out, row.length);
            let flag = |is: bool, bit| if is { bit } else { 0 };
            put_u32(&mut out, flag(row.lost, LOST) | flag(row.events, EVENTS));
        }
        out
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields(bytes);
        if fields.take(8)? != MAGIC || fields.u32()? != VERSION {
            return None;
        }
        Some(Self {
            log: fields.u64()?,
            first: fields.u64()?,
            segments: fields.u32().filter(|rows| (1..MOST_ROWS).contains(rows))?,
            last_position: Position(fields.u64()?),
            topics: fields.u32()?,
            chosen: fields.u32()?,
        })
    }
}

fn decode_row(bytes: &[u8]) -> Option<Row> {
    let mut fields = Fields(bytes);
    let (first, length, flags) = (fields.u64()?, fields.u64()?, fields.u32()?);
    Some(Row {
        first: Position(first),
        length,
        lost: flags & LOST != 0,
        events: flags & EVENTS != 0,
    })
}

impl Tier {
    /// Opens the tier of these segments; `None` unless its header and its rows are undamaged and it is of
    /// the log `log`.
    pub(in crate::history) fn open(
        disk: &dyn Disk,
        (first, last): (u64, u64),
        log: u64,
    ) -> io::Result<Option<(Self, Vec<Row>)>> {
        let opened = Self::open_any(disk, first, last);
        let opened = match opened {
            Err(error) if error.kind() == io::ErrorKind::InvalidData => None,
            opened => opened?,
        };
        Ok(opened.filter(|(tier, _)| tier.header.log == log))
    }

    fn open_any(disk: &dyn Disk, first: u64, last: u64) -> io::Result<Option<(Self, Vec<Row>)>> {
        let blocks = Blocks(disk.open(&names::tier(first, last))?);
        let mut bytes = vec![0; HEADER as usize];
        blocks.read(&mut bytes, 0)?;
        let Some(header) = Header::decode(&bytes) else {
            return Ok(None);
        };
        let (topics, chosen, length) = header.layout();
        if header.first != first
            || header.first + u64::from(header.segments) != last.saturating_add(1)
            || blocks.0.len()? != length
        {
            return Ok(None);
        }
        let mut bytes = vec![0; header.segments as usize * ROW as usize];
        blocks.read(&mut bytes, HEADER)?;
        let rows = bytes.chunks_exact(ROW as usize).map(decode_row);
        let rows: Vec<Row> = rows.collect::<Option<_>>().unwrap_or_default();
        let lost = (first..).zip(&rows).filter(|(_, row)| row.lost);
        let tier = Self {
            lost: lost.map(|(number, _)| number).collect(),
            blocks,
            header,
            topics,
            chosen,
        };
        Ok(Some((tier, rows)))
    }

    /// The number of its first segment.
    pub(in crate::history) fn first(&self) -> u64 {
        self.header.first
    }

    /// The number of its last segment.
    pub(in crate::history) fn last(&self) -> u64 {
        self.header.first + u64::from(self.header.segments) - 1
    }

    /// The last position of its last segment.
    pub(in crate::history) fn last_position(&self) -> Position {
        self.header.last_position
    }

    /// The name of its file.
    pub(in crate::history) fn name(&self) -> String {
        names::tier(self.first(), self.last())
    }

    /// The segments from a number on of which updates are lost.
    pub(in crate::history) fn lost_from(&self, number: u64) -> &[u64] {
        &self.lost[self.lost.partition_point(|lost| *lost < number)..]
    }

    /// At most `at_most` segments from a number on in which a topic may occur, in order.
    pub(in crate::history) fn topic(
        &self,
        hash: u64,
        from: u64,
        at_most: usize,
    ) -> io::Result<Vec<Hit>> {
        self.find(self.topics, hash, from, at_most)
    }

    /// At most `at_most` segments from a number on in which a chosen id may occur, in order.
    pub(in crate::history) fn chosen(
        &self,
        hash: u64,
        from: u64,
        at_most: usize,
    ) -> io::Result<Vec<Hit>> {
        self.find(self.chosen, hash, from, at_most)
    }

    fn find(&self, table: Table, hash: u64, from: u64, at_most: usize) -> io::Result<Vec<Hit>> {
        let from = u32::try_from(from.saturating_sub(self.first())).unwrap_or(u32::MAX);
        let bucket = u64::from(bucket_of(hash, buckets(table.entries)));
        let mut words = [0; 2 * WORD as usize];
        let words_at = table.starts_at + bucket * WORD;
        self.blocks.read(&mut words, words_at)?;
        let mut words = Fields(&words);
        let (Some(mut low), Some(end)) = (words.u32(), words.u32()) else {
            return Err(damaged());
        };
        if low > end || end > table.entries {
            return Err(damaged());
        }
        let mut high = end;
        while high - low > FEW {
            let middle = low + (high - low) / 2;
            match self.entries(table, middle, 1)?.first() {
                Some(entry) if (entry.hash, entry.segment) < (hash, from) => low = middle + 1,
                _ => high = middle,
            }
        }
        let mut hits = Vec::new();
        while low < end {
            let count = (end - low).min(FEW);
            for entry in self.entries(table, low, count)? {
                if entry.hash > hash || hits.len() == at_most {
                    return Ok(hits);
                }
                if (entry.hash, entry.segment) >= (hash, from) {
                    hits.push(Hit {
                        segment: self.first() + u64::from(entry.segment),
                        at: (entry.at != 0).then_some(entry.at),
                    });
                }
            }
            low += count;
        }
        Ok(hits)
    }

    fn entries(&self, table: Table, from: u32, count: u32) -> io::Result<Vec<Entry>> {
        let mut bytes = vec![0; count as usize * ENTRY as usize];
        let at = table.entries_at + u64::from(from) * ENTRY;
        self.blocks.read(&mut bytes, at)?;
        let entries = bytes.chunks_exact(ENTRY as usize);
        Ok(entries.filter_map(Entry::decode).collect())
    }

    /// At most `count` entries of a table, from one on.
    pub(super) fn part(&self, of_topics: bool, from: u32, count: u32) -> io::Result<Vec<Entry>> {
        let table = if of_topics { self.topics } else { self.chosen };
        self.entries(table, from, count.min(table.entries.saturating_sub(from)))
    }

    pub(super) fn header(&self) -> &Header {
        &self.header
    }

    /// Reads the rows again.
    pub(super) fn rows(&self) -> io::Result<Vec<Row>> {
        let mut bytes = vec![0; self.header.segments as usize * ROW as usize];
        self.blocks.read(&mut bytes, HEADER)?;
        let rows = bytes.chunks_exact(ROW as usize).map(decode_row);
        rows.collect::<Option<_>>().ok_or_else(damaged)
    }
}

/// Whether every block of a tier is undamaged; one that was removed meanwhile counts as such.
pub(in crate::history) fn is_whole(disk: &dyn Disk, first: u64, last: u64) -> io::Result<bool> {
    let check = || -> io::Result<bool> {
        let Some((tier, _)) = Tier::open_any(disk, first, last)? else {
            return Ok(false);
        };
        let (_, _, length) = tier.header.layout();
        let (mut at, end) = (0, length / BLOCK as u64 * PAYLOAD as u64);
        let mut content = vec![0; CHECKED * PAYLOAD];
        while at < end {
            let left = usize::try_from(end - at).unwrap_or(usize::MAX);
            let wanted = content.len().min(left);
            tier.blocks.read(&mut content[..wanted], at)?;
            at += wanted as u64;
        }
        Ok(true)
    };
    match check() {
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Ok(false),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        checked => checked,
    }
}
