//! Chunks (RFC 9112, section 7.1), whose data is shared with other streams.

use std::io::{IoSlice, Write as _};

use bytes::{Buf, Bytes};

/// The most bytes of a line that says how long a chunk is.
const SIZE_BYTES: usize = 18;

/// A chunk that is being written.
#[derive(Default)]
pub(super) struct Chunk {
    size: Size,
    data: Bytes,
    end: &'static [u8],
}

impl Chunk {
    /// The most slices that a chunk has.
    pub(super) const SLICES: usize = 3;

    /// The chunk of these data. Empty data would end the stream, so they make no chunk.
    pub(super) fn of(data: Bytes) -> Self {
        if data.is_empty() {
            return Self::default();
        }
        Self {
            size: Size::of(data.len()),
            data,
            end: b"\r\n",
        }
    }

    /// The chunk that ends a stream.
    pub(super) fn last() -> Self {
        Self {
            end: b"0\r\n\r\n",
            ..Self::default()
        }
    }
}

impl Buf for Chunk {
    fn remaining(&self) -> usize {
        self.size.left().len() + self.data.len() + self.end.len()
    }

    fn chunk(&self) -> &[u8] {
        let parts = [self.size.left(), &self.data, self.end];
        let first = parts.into_iter().find(|part| !part.is_empty());
        first.unwrap_or_default()
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let parts = [self.size.left(), &self.data, self.end];
        let parts = parts.into_iter().filter(|part| !part.is_empty());
        let filled = slices.iter_mut().zip(parts);
        filled
            .map(|(slice, part)| *slice = IoSlice::new(part))
            .count()
    }

    fn advance(&mut self, count: usize) {
        let of_size = count.min(self.size.left().len());
        self.size.at += of_size as u8;
        let of_data = (count - of_size).min(self.data.len());
        self.data.advance(of_data);
        self.end.advance(count - of_size - of_data);
    }
}

/// The line that says how long a chunk is.
#[derive(Default)]
struct Size {
    line: [u8; SIZE_BYTES],
    at: u8,
    end: u8,
}

impl Size {
    fn of(length: usize) -> Self {
        let mut line = [0; SIZE_BYTES];
        let mut left = line.as_mut_slice();
        // It has room for every length.
        _ = write!(left, "{length:X}\r\n");
        let end = SIZE_BYTES - left.len();
        Self {
            line,
            at: 0,
            end: end as u8,
        }
    }

    fn left(&self) -> &[u8] {
        &self.line[usize::from(self.at)..usize::from(self.end)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(mut chunk: Chunk, at_once: usize) -> String {
        let mut written = Vec::new();
        while chunk.has_remaining() {
            let mut slices = [IoSlice::new(&[]); Chunk::SLICES];
            let count = chunk.chunks_vectored(&mut slices);
            let filled = slices[..count].iter();
            let all: Vec<u8> = filled.flat_map(|slice| slice.iter().copied()).collect();
            assert_eq!(all.len(), chunk.remaining());
            assert_eq!(chunk.chunk(), &*slices[0]);
            let taken = all.len().min(at_once);
            written.extend_from_slice(&all[..taken]);
            chunk.advance(taken);
        }
        String::from_utf8(written).unwrap()
    }

    /// However little the kernel takes, every byte is written once (RFC 9112, section 7.1).
    #[test]
    fn a_chunk_is_written_in_pieces() {
        let data = "a".repeat(300);
        for at_once in [1, 2, 3, 4, 5, 6, 304, 305, 306, 307, 400] {
            let chunk = Chunk::of(data.clone().into());
            assert_eq!(written(chunk, at_once), format!("12C\r\n{data}\r\n"));
            assert_eq!(written(Chunk::last(), at_once), "0\r\n\r\n");
            assert_eq!(written(Chunk::of(Bytes::new()), at_once), "");
        }
        let largest = Size::of(usize::MAX);
        assert_eq!(largest.left(), format!("{:X}\r\n", usize::MAX).as_bytes());
    }
}
