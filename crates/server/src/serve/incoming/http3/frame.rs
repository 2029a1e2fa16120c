//! The heads of HTTP/3 frames (RFC 9114, section 7.1), and the integers that they are made of.

use bytes::{Buf as _, Bytes};

pub(super) const DATA: u64 = 0x0;
pub(super) const HEADERS: u64 = 0x1;
pub(super) const CANCEL_PUSH: u64 = 0x3;
pub(super) const SETTINGS: u64 = 0x4;
const PUSH_PROMISE: u64 = 0x5;
pub(super) const GOAWAY: u64 = 0x7;
pub(super) const MAX_PUSH_ID: u64 = 0xd;
/// The types of HTTP/2 that HTTP/3 forbids (section 7.2.8).
const FORBIDDEN: [u64; 4] = [0x2, 0x6, 0x8, 0x9];

/// The most bytes of an integer (RFC 9000, section 16).
const INTEGER_BYTES: usize = 8;

/// A type and the length of what follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FrameHead {
    pub(super) kind: u64,
    pub(super) length: u64,
}

impl FrameHead {
    /// Whether h3 knows the type. Frames of other types are skipped, because h3 would keep them as a whole first.
    pub(super) fn is_known(self) -> bool {
        let known = [
            DATA,
            HEADERS,
            CANCEL_PUSH,
            SETTINGS,
            PUSH_PROMISE,
            GOAWAY,
            MAX_PUSH_ID,
        ];
        known.contains(&self.kind) || FORBIDDEN.contains(&self.kind)
    }

    /// The head as bytes.
    pub(super) fn written(self) -> Bytes {
        let mut bytes = Vec::with_capacity(2 * INTEGER_BYTES);
        write(self.kind, &mut bytes);
        write(self.length, &mut bytes);
        bytes.into()
    }
}

/// The beginning of an integer or of a frame's head, until the rest has come.
#[derive(Debug, Default)]
pub(super) struct Partial {
    bytes: [u8; 2 * INTEGER_BYTES],
    length: usize,
}

impl Partial {
    /// Takes the bytes of a frame's head off `input`; `None` if more of them must come.
    pub(super) fn head(&mut self, input: &mut Bytes) -> Option<FrameHead> {
        self.take(input, |bytes| {
            let (kind, first) = integer(bytes)?;
            let (length, _) = integer(bytes.get(first..)?)?;
            Some(FrameHead { kind, length })
        })
    }

    /// Takes the bytes of an integer off `input`; `None` if more of them must come.
    pub(super) fn integer(&mut self, input: &mut Bytes) -> Option<u64> {
        self.take(input, |bytes| Some(integer(bytes)?.0))
    }

    /// Whether nothing has begun.
    pub(super) fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Takes byte by byte, because what follows is not a part of it.
    fn take<T>(&mut self, input: &mut Bytes, read: impl Fn(&[u8]) -> Option<T>) -> Option<T> {
        while input.has_remaining() {
            let free = self.bytes.get_mut(self.length)?;
            *free = input.get_u8();
            self.length += 1;
            if let Some(whole) = read(self.bytes.get(..self.length)?) {
                self.length = 0;
                return Some(whole);
            }
        }
        None
    }
}

/// An integer, and how many bytes it takes.
fn integer(bytes: &[u8]) -> Option<(u64, usize)> {
    let first = bytes.first()?;
    let length = 1_usize << (first >> 6);
    let rest = bytes.get(1..length)?;
    let value = rest.iter().fold(u64::from(first & 0x3f), |value, byte| {
        value << 8 | u64::from(*byte)
    });
    Some((value, length))
}

/// An integer as bytes.
pub(super) fn written(value: u64) -> Bytes {
    let mut bytes = Vec::with_capacity(INTEGER_BYTES);
    write(value, &mut bytes);
    bytes.into()
}

/// Takes at most `left` bytes, and returns them and how many are left.
pub(super) fn split(bytes: &mut Bytes, left: u64) -> (Bytes, u64) {
    let count = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
    (bytes.split_to(count), left - count as u64)
}

fn write(value: u64, into: &mut Vec<u8>) {
    let bytes = value.to_be_bytes();
    let (length, flags) = match value {
        0..=0x3f => (1, 0),
        0x40..=0x3fff => (2, 0x40),
        0x4000..=0x3fff_ffff => (4, 0x80),
        _ => (8, 0xc0),
    };
    let from = into.len();
    into.extend(bytes.iter().skip(INTEGER_BYTES - length));
    if let Some(first) = into.get_mut(from) {
        *first |= flags;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of RFC 9000, appendix A.1, and the bounds of each length.
    #[test]
    fn integers_are_read_as_they_are_written() {
        assert_eq!(
            integer(b"\xc2\x19\x7c\x5e\xff\x14\xe8\x8c").unwrap().0,
            151_288_809_941_952_652
        );
        assert_eq!(integer(b"\x9d\x7f\x3e\x7d").unwrap().0, 494_878_333);
        assert_eq!(integer(b"\x7b\xbd").unwrap().0, 15_293);
        assert_eq!(integer(b"\x40\x25").unwrap().0, 37);
        for value in [
            0,
            0x3f,
            0x40,
            0x3fff,
            0x4000,
            0x3fff_ffff,
            0x4000_0000,
            (1 << 62) - 1,
        ] {
            let mut bytes = Vec::new();
            write(value, &mut bytes);
            assert_eq!(integer(&bytes), Some((value, bytes.len())));
            assert_eq!(integer(&bytes[..bytes.len() - 1]), None);
        }
    }

    /// A head is found whatever the pieces it comes in, and what follows stays.
    #[test]
    fn heads_come_in_pieces() {
        let head = FrameHead {
            kind: 0x2a2a,
            length: 70_000,
        };
        let bytes = [&head.written()[..], b"rest"].concat();
        for cut in 0..=6 {
            let mut partial = Partial::default();
            let mut first = Bytes::copy_from_slice(&bytes[..cut]);
            let mut second = Bytes::copy_from_slice(&bytes[cut..]);
            let found = partial
                .head(&mut first)
                .or_else(|| partial.head(&mut second));
            assert_eq!(found, Some(head), "{cut}");
            assert!(partial.is_empty());
            assert!(first.is_empty() && second == "rest", "{cut}");
        }
    }
}
