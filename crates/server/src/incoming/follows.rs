//! Where the body of an HTTP/1.1 request ends (RFC 9112, section 6.3).
//!
//! hyper decides that for itself. Were the two to disagree, bytes of a body could be taken for a
//! request line; so whatever is not read here exactly as hyper reads it ends the reading.

/// What comes next on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Follows {
    /// A request's head.
    Head,
    /// This many bytes of a body.
    Bytes(u64),
    /// A chunked body.
    Chunks(Chunk),
    /// It is not known where the next head begins, if there is one.
    Unknown,
}

/// Within a chunked body (RFC 9112, section 7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chunk {
    /// The size, of which there are this many digits.
    Size { size: u64, digits: u8 },
    /// An extension.
    Extension { size: u64 },
    /// The LF of the size's line.
    SizeEnd { size: u64 },
    /// This many bytes of data.
    Data(u64),
    /// The CR after the data.
    DataEnd,
    /// The LF after the data.
    DataEndLf,
    /// A trailer field, or the end.
    Trailers,
    /// Within a trailer field.
    Trailer,
    /// The LF of a trailer field.
    TrailerLf,
    /// The LF of the end.
    EndLf,
}

/// More than hyper takes; no client means a size of this many digits.
const SIZE_DIGITS: u8 = 15;

impl Follows {
    /// A chunked body from its beginning.
    pub const CHUNKS: Self = Self::Chunks(Chunk::Size { size: 0, digits: 0 });

    /// Takes the bytes of a body, and returns how many of them are part of it.
    pub fn take(&mut self, bytes: &[u8]) -> usize {
        let mut at = 0;
        while at < bytes.len() {
            let (left, after) = match self {
                Self::Head | Self::Unknown => break,
                Self::Bytes(left) => (left, Self::Head),
                Self::Chunks(Chunk::Data(left)) => (left, Self::Chunks(Chunk::DataEnd)),
                Self::Chunks(chunk) => {
                    *self = chunk.next(bytes[at]);
                    at += 1;
                    continue;
                }
            };
            let here =
                usize::try_from(*left).map_or(bytes.len() - at, |left| left.min(bytes.len() - at));
            *left -= here as u64;
            at += here;
            if *left == 0 {
                *self = after;
            }
        }
        at
    }
}

impl Chunk {
    fn next(self, byte: u8) -> Follows {
        let next = match (self, byte) {
            (Self::Size { size, digits }, byte)
                if byte.is_ascii_hexdigit() && digits < SIZE_DIGITS =>
            {
                let digit = char::from(byte).to_digit(16).unwrap_or_default();
                Self::Size {
                    size: size << 4 | u64::from(digit),
                    digits: digits + 1,
                }
            }
            (Self::Size { size, digits: 1.. }, b';') => Self::Extension { size },
            (Self::Size { size, digits: 1.. } | Self::Extension { size }, b'\r') => {
                Self::SizeEnd { size }
            }
            (Self::Extension { size }, byte) if byte != b'\n' => Self::Extension { size },
            (Self::SizeEnd { size: 0 }, b'\n') => Self::Trailers,
            (Self::SizeEnd { size }, b'\n') => Self::Data(size),
            (Self::DataEnd, b'\r') => Self::DataEndLf,
            (Self::DataEndLf, b'\n') => Self::Size { size: 0, digits: 0 },
            (Self::Trailers, b'\r') => Self::EndLf,
            (Self::Trailer, b'\r') => Self::TrailerLf,
            (Self::Trailers | Self::Trailer, _) => Self::Trailer,
            (Self::TrailerLf, b'\n') => Self::Trailers,
            (Self::EndLf, b'\n') => return Follows::Head,
            _ => return Follows::Unknown,
        };
        Follows::Chunks(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes of `body`, however they are cut, and nothing of what follows.
    #[test]
    fn a_body_ends_where_it_says() {
        let cases: [(Follows, &str); 5] = [
            (Follows::Bytes(5), "a\r\n\r\n"),
            (Follows::CHUNKS, "0\r\n\r\n"),
            (Follows::CHUNKS, "3\r\nabc\r\n0\r\n\r\n"),
            (
                Follows::CHUNKS,
                "00a;x=\"1\"\r\n\r\n0\r\n\r\nGET\r\n0\r\n\r\n",
            ),
            (Follows::CHUNKS, "1\r\na\r\n0\r\nx: y\r\nz: \r\n\r\n"),
        ];
        for (start, body) in cases {
            let sent = format!("{body}GET / HTTP/1.1\r\n\r\n");
            for cut in 0..sent.len() {
                let mut follows = start;
                let first = follows.take(&sent.as_bytes()[..cut]);
                let rest = follows.take(&sent.as_bytes()[first..]);
                assert_eq!(first + rest, body.len(), "{body:?} cut at {cut}");
                assert_eq!(follows, Follows::Head);
            }
        }
    }

    /// What servers read differently is not followed.
    #[test]
    fn doubtful_chunks_are_not_followed() {
        for body in [
            "\r\n",
            "x\r\n",
            "1 \r\na",
            "1\na\n",
            "1;\n",
            "1\r\nab",
            "0\r\n\rx",
            "1111111111111111\r\n",
        ] {
            let mut follows = Follows::CHUNKS;
            follows.take(body.as_bytes());
            assert_eq!(follows, Follows::Unknown, "{body:?}");
        }
    }
}
