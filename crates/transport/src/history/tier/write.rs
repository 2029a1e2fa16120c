//! Writes a tier: merges the entries of its sources, which are sorted by hash.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::sync::Arc;
use std::vec;

use super::blocks::Writer;
use super::entry::{Entry, bucket_of, buckets};
use super::file::{Header, Row, Table, Tier};
use crate::Position;
use crate::history::disk::{Disk, File};
use crate::history::index::IndexFile;
use crate::history::names;

/// The entries that are read of a source at a time.
const PART: u32 = 512;
/// How many entries are merged between two looks whether the log is being closed.
const BETWEEN_LOOKS: u32 = 4_096;

/// A part of a new tier.
pub(super) enum Source {
    /// The index of a segment.
    Index(IndexFile, Row),
    /// A smaller tier.
    Tier(Arc<Tier>),
}

/// A tier that is to be written: its first segment, and its parts in order.
pub(super) struct Draft {
    /// Says that the tier is of this log.
    pub(super) log: u64,
    pub(super) first: u64,
    pub(super) last_position: Position,
    pub(super) sources: Vec<Source>,
}

impl Source {
    fn segments(&self) -> u32 {
        match self {
            Self::Index(..) => 1,
            Self::Tier(tier) => tier.header().segments,
        }
    }

    fn count(&self, of_topics: bool) -> u32 {
        match self {
            Self::Index(index, _) => index.count(of_topics),
            Self::Tier(tier) if of_topics => tier.header().topics,
            Self::Tier(tier) => tier.header().chosen,
        }
    }

    /// The entries from one on; `base` is the number of segments of the new tier before this source.
    fn part(&self, of_topics: bool, from: u32, base: u32) -> io::Result<Vec<Entry>> {
        match self {
            Self::Index(index, _) => {
                let part = index.part(of_topics, from, PART)?.into_iter();
                let entry = |(hash, at)| Entry {
                    hash,
                    segment: base,
                    at,
                };
                Ok(part.map(entry).collect())
            }
            Self::Tier(tier) => {
                let mut part = tier.part(of_topics, from, PART)?;
                part.iter_mut().for_each(|entry| entry.segment += base);
                Ok(part)
            }
        }
    }

    fn rows(&self) -> io::Result<Vec<Row>> {
        match self {
            Self::Index(_, row) => Ok(vec![*row]),
            Self::Tier(tier) => tier.rows(),
        }
    }
}

/// A source while it is merged.
struct Stream<'a> {
    source: &'a Source,
    of_topics: bool,
    base: u32,
    read: u32,
    part: vec::IntoIter<Entry>,
}

impl Stream<'_> {
    fn next(&mut self) -> io::Result<Option<Entry>> {
        if self.part.len() == 0 {
            let part = self.source.part(self.of_topics, self.read, self.base)?;
            self.read += part.len() as u32;
            self.part = part.into_iter();
        }
        Ok(self.part.next())
    }
}

impl Draft {
    /// Writes the tier; no file with its name is incomplete. `None` if the log is being closed.
    pub(super) fn write(
        &self,
        disk: &dyn Disk,
        is_ended: &dyn Fn() -> bool,
    ) -> io::Result<Option<(Tier, Vec<Row>)>> {
        let segments = self.sources.iter().map(Source::segments).sum::<u32>();
        let last = self.first + u64::from(segments) - 1;
        let name = names::tier(self.first, last);
        let new = format!("{name}{}", names::NEW);
        let write = || -> io::Result<bool> {
            let file = disk.create(&new)?;
            if !self.write_to(&*file, segments, is_ended)? {
                return Ok(false);
            }
            disk.rename(&new, &name)?;
            Ok(true)
        };
        match write() {
            Ok(true) => Tier::open(disk, (self.first, last), self.log),
            // The unfinished file takes room.
            Ok(false) => {
                drop(disk.remove(&new));
                Ok(None)
            }
            Err(error) => {
                drop(disk.remove(&new));
                Err(error)
            }
        }
    }

    fn write_to(
        &self,
        file: &dyn File,
        segments: u32,
        is_ended: &dyn Fn() -> bool,
    ) -> io::Result<bool> {
        let mut rows = Vec::new();
        for source in &self.sources {
            rows.extend(source.rows()?);
        }
        let header = Header {
            log: self.log,
            first: self.first,
            segments,
            last_position: self.last_position,
            topics: self.count(true)?,
            chosen: self.count(false)?,
        };
        let (topics, chosen, _) = header.layout();
        let mut head = Writer::new(file, 0);
        head.write(&header.encode(&rows))?;
        head.finish()?;
        Ok(self.write_table(file, topics, true, is_ended)?
            && self.write_table(file, chosen, false, is_ended)?)
    }

    fn count(&self, of_topics: bool) -> io::Result<u32> {
        let counts = self.sources.iter().map(|source| source.count(of_topics));
        let count = counts.map(u64::from).sum::<u64>();
        u32::try_from(count).map_err(|_| io::Error::other("a tier would have too many entries"))
    }

    fn write_table(
        &self,
        file: &dyn File,
        table: Table,
        of_topics: bool,
        is_ended: &dyn Fn() -> bool,
    ) -> io::Result<bool> {
        let (mut streams, mut heap) = (Vec::new(), BinaryHeap::new());
        let mut base = 0;
        for (number, source) in self.sources.iter().enumerate() {
            let mut stream = Stream {
                source,
                of_topics,
                base,
                read: 0,
                part: Vec::new().into_iter(),
            };
            base += source.segments();
            heap.extend(stream.next()?.map(|entry| Reverse((entry, number))));
            streams.push(stream);
        }
        let mut starts = Writer::new(file, table.starts_at);
        let mut entries = Writer::new(file, table.entries_at);
        let buckets = buckets(table.entries);
        let (mut written, mut next_bucket) = (0_u32, 0);
        let mut bytes = Vec::new();
        while let Some(Reverse((entry, number))) = heap.pop() {
            if written.is_multiple_of(BETWEEN_LOOKS) && is_ended() {
                return Ok(false);
            }
            while next_bucket <= bucket_of(entry.hash, buckets) {
                starts.write(&written.to_le_bytes())?;
                next_bucket += 1;
            }
            bytes.clear();
            entry.encode(&mut bytes);
            entries.write(&bytes)?;
            written += 1;
            heap.extend(
                streams[number]
                    .next()?
                    .map(|entry| Reverse((entry, number))),
            );
        }
        while next_bucket <= buckets {
            starts.write(&written.to_le_bytes())?;
            next_bucket += 1;
        }
        if written != table.entries {
            return Err(io::Error::other("an index has changed while it was read"));
        }
        starts.finish()?;
        entries.finish()?;
        Ok(true)
    }
}
