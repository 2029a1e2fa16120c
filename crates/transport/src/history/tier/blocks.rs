//! Blocks with a checksum each: a read checks what it reads and nothing else, however large the file is.

use std::io;
use std::sync::Arc;

use crate::history::disk::File;

/// The bytes of a block.
pub(super) const BLOCK: usize = 512;
/// The bytes of a block without its checksum.
pub(super) const PAYLOAD: usize = BLOCK - 4;
/// The bytes that are written at a time, at least.
const CHUNK: usize = 64 << 10;

/// The content of a file of blocks.
pub(super) struct Blocks(pub(super) Arc<dyn File>);

impl Blocks {
    /// Reads a part of the content.
    ///
    /// # Errors
    /// If the file cannot be read, or with the kind `InvalidData` if a block is damaged.
    pub(super) fn read(&self, buffer: &mut [u8], at: u64) -> io::Result<()> {
        let first = at / PAYLOAD as u64;
        let mut skipped = (at % PAYLOAD as u64) as usize;
        let count = (skipped + buffer.len()).div_ceil(PAYLOAD);
        let mut raw = vec![0; count * BLOCK];
        let read = self.0.read_at(&mut raw, first * BLOCK as u64)?;
        if read < raw.len() {
            return Err(damaged());
        }
        let mut filled = 0;
        for (number, block) in (first..).zip(raw.chunks_exact(BLOCK)) {
            let (payload, stored) = block.split_at(PAYLOAD);
            if checksum(number, payload).to_le_bytes() != *stored {
                return Err(damaged());
            }
            let part = &payload[skipped..];
            let length = part.len().min(buffer.len() - filled);
            buffer[filled..filled + length].copy_from_slice(&part[..length]);
            filled += length;
            skipped = 0;
        }
        Ok(())
    }
}

/// The error of a block that is not as it was written.
pub(super) fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "a block of the tier is damaged")
}

/// The checksum of a block; it covers the place too, so that no block stands for another.
fn checksum(number: u64, payload: &[u8]) -> u32 {
    crc32c::crc32c_append(number as u32, payload)
}

/// The first offset from `at` on where a block begins, in bytes of content.
pub(super) fn aligned(at: u64) -> u64 {
    at.next_multiple_of(PAYLOAD as u64)
}

/// Writes content from the beginning of a block on.
pub(super) struct Writer<'a> {
    file: &'a dyn File,
    /// The number of the next block.
    next: u64,
    payload: Vec<u8>,
    blocks: Vec<u8>,
}

impl<'a> Writer<'a> {
    /// Writes from an offset of the content on, where a block begins.
    pub(super) fn new(file: &'a dyn File, at: u64) -> Self {
        Self {
            file,
            next: at / PAYLOAD as u64,
            payload: Vec::with_capacity(PAYLOAD),
            blocks: Vec::new(),
        }
    }

    pub(super) fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let room = PAYLOAD - self.payload.len();
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.payload.extend_from_slice(now);
            bytes = later;
            if self.payload.len() == PAYLOAD {
                self.end_block();
                if self.blocks.len() >= CHUNK {
                    self.flush()?;
                }
            }
        }
        Ok(())
    }

    /// Fills up the last block, and writes what is left.
    pub(super) fn finish(mut self) -> io::Result<()> {
        if !self.payload.is_empty() {
            self.payload.resize(PAYLOAD, 0);
            self.end_block();
        }
        self.flush()
    }

    fn end_block(&mut self) {
        let written = (self.blocks.len() / BLOCK) as u64;
        let checksum = checksum(self.next + written, &self.payload);
        self.blocks.append(&mut self.payload);
        self.blocks.extend_from_slice(&checksum.to_le_bytes());
    }

    fn flush(&mut self) -> io::Result<()> {
        if !self.blocks.is_empty() {
            self.file.write_at(&self.blocks, self.next * BLOCK as u64)?;
            self.next += (self.blocks.len() / BLOCK) as u64;
            self.blocks.clear();
        }
        Ok(())
    }
}
