//! Walks through a segment, entry by entry.

use std::io;

use super::disk::File;
use super::format::{GROUP_HEADER, GROUP_MAGIC, GroupHeader, Record};

/// How much is read at a time, unless a record is larger. In bytes.
const CHUNK: usize = 64 << 10;

/// What stands at a place of a segment.
pub(super) enum Entry<'a> {
    Group(GroupHeader),
    Record(Record<'a>),
    /// Neither, or not all of it is there.
    Unreadable,
}

/// A place in a segment, and what was read around it.
pub(super) struct Scanner<'a> {
    file: &'a dyn File,
    buffer: Vec<u8>,
    /// Where the buffer begins.
    start: u64,
    /// The next entry's place.
    at: u64,
    /// Nothing is read from here on.
    end: u64,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(file: &'a dyn File, at: u64, end: u64) -> Self {
        Self {
            file,
            buffer: Vec::new(),
            start: at,
            at,
            end,
        }
    }

    /// The place of the entry that comes next.
    pub(super) fn at(&self) -> u64 {
        self.at
    }

    /// Goes on from another place.
    pub(super) fn go_to(&mut self, at: u64) {
        self.at = at;
    }

    /// The next entry and its place; `None` at the end. Stays in front of what is unreadable.
    pub(super) fn next(&mut self) -> io::Result<Option<(u64, Entry<'_>)>> {
        let at = self.at;
        if at >= self.end {
            return Ok(None);
        }
        self.fill(GROUP_HEADER)?;
        if let Some(length) = Record::length_of(self.here()) {
            self.fill(length)?;
        }
        let offset = (at - self.start) as usize;
        let bytes = self.buffer.get(offset..).unwrap_or_default();
        if bytes.starts_with(&GROUP_MAGIC) {
            let header = GroupHeader::decode(bytes).filter(|header| header.at == at);
            if header.is_some() {
                self.at += GROUP_HEADER as u64;
            }
            return Ok(Some((at, header.map_or(Entry::Unreadable, Entry::Group))));
        }
        let entry = match Record::parse(bytes) {
            Some(record) => {
                self.at += record.length as u64;
                Entry::Record(record)
            }
            None => Entry::Unreadable,
        };
        Ok(Some((at, entry)))
    }

    /// The next place from `from` on where a readable group header stands that `accept`s.
    pub(super) fn find_group(
        &mut self,
        from: u64,
        accept: impl Fn(&GroupHeader) -> bool,
    ) -> io::Result<Option<GroupHeader>> {
        self.at = from;
        while self.at < self.end {
            self.fill(GROUP_HEADER)?;
            let (at, bytes) = (self.at, self.here());
            let magic = bytes
                .windows(GROUP_MAGIC.len())
                .position(|window| window == GROUP_MAGIC);
            let Some(skip) = magic else {
                // A magic may begin in the last bytes.
                self.at += (bytes.len().saturating_sub(GROUP_MAGIC.len() - 1)).max(1) as u64;
                continue;
            };
            if skip > 0 {
                self.at += skip as u64;
                continue;
            }
            let header = GroupHeader::decode(bytes);
            if let Some(header) = header.filter(|header| header.at == at && accept(header)) {
                return Ok(Some(header));
            }
            self.at += 1;
        }
        Ok(None)
    }

    fn here(&self) -> &[u8] {
        let offset = usize::try_from(self.at.wrapping_sub(self.start)).unwrap_or(usize::MAX);
        self.buffer.get(offset..).unwrap_or_default()
    }

    /// Sees to it that so many bytes follow the place, if the file has them.
    fn fill(&mut self, wanted: usize) -> io::Result<()> {
        let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
        if self.here().len() >= wanted.min(left) {
            return Ok(());
        }
        self.buffer.resize(wanted.max(CHUNK).min(left), 0);
        self.start = self.at;
        let read = self.file.read_at(&mut self.buffer, self.at)?;
        self.buffer.truncate(read);
        Ok(())
    }
}
