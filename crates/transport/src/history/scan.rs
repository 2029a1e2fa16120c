//! Reads a segment entry by entry.

use std::io;

use super::disk::File;
use super::format::{GROUP_HEADER, GROUP_MAGIC, GroupHeader, Record};

/// The bytes that are read at a time, unless a record is larger.
const CHUNK: usize = 64 << 10;

/// What was read at an offset of a segment.
pub(super) enum Entry<'a> {
    Group(GroupHeader),
    Record(Record<'a>),
    /// Neither of them, or a part is missing.
    Unreadable,
}

/// An offset in a segment, and the bytes that were read around it.
pub(super) struct Scanner<'a> {
    file: &'a dyn File,
    buffer: Vec<u8>,
    /// The offset of the buffer.
    start: u64,
    /// The offset of the next entry.
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

    /// The offset of the next entry.
    pub(super) fn at(&self) -> u64 {
        self.at
    }

    /// Continues from another offset.
    pub(super) fn go_to(&mut self, at: u64) {
        self.at = at;
    }

    /// The next entry and its offset; `None` at the end. Does not advance past an unreadable entry.
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

    /// The next readable group header from the offset `from` on that `accept` accepts.
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

    /// Reads on, if necessary, so that the buffer has `wanted` bytes from the offset on, or as many as
    /// there are.
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
