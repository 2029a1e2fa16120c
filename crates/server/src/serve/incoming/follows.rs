//! Where the body of an HTTP/1.1 request ends (RFC 9112, section 6.3).
//!
//! hyper decides that for itself. If the two disagreed, bytes of a body could be read as a request line. So this
//! module reads chunks as hyper does, and the connection ends where hyper reports an error.

/// What comes next on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Follows {
    /// A request's head.
    Head,
    /// This many bytes of a body.
    Bytes(u64),
    /// A chunked body.
    Chunks(Chunk),
    /// Nothing: the body is malformed, so the connection serves no further request.
    Nothing,
}

/// Within a chunked body (RFC 9112, section 7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Chunk {
    /// The first digit of the size.
    Start,
    /// The size.
    Size { size: u64 },
    /// White space after the size.
    Space { size: u64 },
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

impl Follows {
    /// A chunked body from its beginning.
    pub(super) const CHUNKS: Self = Self::Chunks(Chunk::Start);

    /// Takes the bytes of a body, and returns how many of them are part of it.
    pub(super) fn take(&mut self, bytes: &[u8]) -> usize {
        let mut at = 0;
        while at < bytes.len() {
            let (left, after) = match self {
                Self::Head | Self::Nothing => break,
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
            (Self::Start, byte) if byte.is_ascii_hexdigit() => Self::Size { size: digit(byte) },
            (Self::Size { size }, byte) if byte.is_ascii_hexdigit() => {
                let Some(size) = size.checked_mul(16) else {
                    return Follows::Nothing;
                };
                Self::Size {
                    size: size | digit(byte),
                }
            }
            (Self::Size { size } | Self::Space { size }, b' ' | b'\t') => Self::Space { size },
            (Self::Size { size } | Self::Space { size }, b';') => Self::Extension { size },
            (Self::Size { size } | Self::Space { size } | Self::Extension { size }, b'\r') => {
                Self::SizeEnd { size }
            }
            (Self::Extension { size }, byte) if byte != b'\n' => Self::Extension { size },
            (Self::SizeEnd { size: 0 }, b'\n') => Self::Trailers,
            (Self::SizeEnd { size }, b'\n') => Self::Data(size),
            (Self::DataEnd, b'\r') => Self::DataEndLf,
            (Self::DataEndLf, b'\n') => Self::Start,
            (Self::Trailers, b'\r') => Self::EndLf,
            (Self::Trailer, b'\r') => Self::TrailerLf,
            (Self::Trailers | Self::Trailer, _) => Self::Trailer,
            (Self::TrailerLf, b'\n') => Self::Trailers,
            (Self::EndLf, b'\n') => return Follows::Head,
            _ => return Follows::Nothing,
        };
        Follows::Chunks(next)
    }
}

/// The value of a hexadecimal digit.
fn digit(byte: u8) -> u64 {
    char::from(byte).to_digit(16).unwrap_or_default().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes of `body` are taken, however they are cut, and no byte after them.
    #[test]
    fn a_body_ends_where_it_says() {
        let cases: [(Follows, &str); 7] = [
            (Follows::Bytes(5), "a\r\n\r\n"),
            (Follows::CHUNKS, "0\r\n\r\n"),
            (Follows::CHUNKS, "3\r\nabc\r\n0\r\n\r\n"),
            (
                Follows::CHUNKS,
                "00a;x=\"1\"\r\n\r\n0\r\n\r\nGET\r\n0\r\n\r\n",
            ),
            (Follows::CHUNKS, "1\r\na\r\n0\r\nx: y\r\nz: \r\n\r\n"),
            (Follows::CHUNKS, "1 \r\na\r\n2\t \t;x\r\nab\r\n0 \r\n\r\n"),
            (
                Follows::CHUNKS,
                "0000000000000000000001\r\na\r\n0000000000000000\r\n\r\n",
            ),
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

    /// Where hyper reports an error, nothing follows.
    #[test]
    fn nothing_follows_malformed_chunks() {
        for body in [
            "\r\n",
            "x\r\n",
            "1 1\r\na",
            " 1\r\na",
            ";\r\n",
            "1\na\n",
            "1;\n",
            "1\r\nab",
            "0\r\n\rx",
            "10000000000000000\r\n",
            "1111111111111111111111\r\n",
        ] {
            let mut follows = Follows::CHUNKS;
            follows.take(body.as_bytes());
            assert_eq!(follows, Follows::Nothing, "{body:?}");
        }
    }
}
