//! Just enough of an HTTP/1.1 client's reading side: a response's head, and its body by chunks, by
//! length or until the connection closes (RFC 9112, sections 6 and 7.1).

const MAX_HEAD_BYTES: usize = 64 * 1024;

/// One response, read incrementally without copying its body.
#[derive(Debug, Default)]
pub struct Response {
    state: State,
    head: Vec<u8>,
    status: u16,
    challenge: Option<String>,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Head,
    ChunkSize(u64),
    ChunkExtension(u64),
    /// Bytes of the chunk yet to come.
    Chunk(u64),
    /// The line end after a chunk's data.
    ChunkEnd,
    /// The trailer section; bytes of its current line so far.
    Trailer(usize),
    Length(u64),
    UntilClose,
    Complete,
}

impl Response {
    /// The status; 0 until the head is complete.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The value of `WWW-Authenticate`, if any.
    pub fn challenge(&self) -> Option<&str> {
        self.challenge.as_deref()
    }

    /// Whether head and body are complete, so that the connection may carry another response.
    pub fn is_complete(&self) -> bool {
        matches!(self.state, State::Complete)
    }

    /// The next piece of the body, taken off the input; `None` when the input is used up or the
    /// response is complete.
    ///
    /// # Errors
    /// Says what is wrong with the framing.
    pub fn body<'a>(&mut self, input: &mut &'a [u8]) -> Result<Option<&'a [u8]>, &'static str> {
        while !input.is_empty() {
            match self.state {
                State::Head => self.take_head(input)?,
                State::Complete => return Ok(None),
                State::UntilClose => return Ok(Some(std::mem::take(input))),
                State::Length(left) => {
                    let piece = take(input, left);
                    self.state = match left - piece.len() as u64 {
                        0 => State::Complete,
                        left => State::Length(left),
                    };
                    return Ok(Some(piece));
                }
                State::Chunk(left) => {
                    let piece = take(input, left);
                    self.state = match left - piece.len() as u64 {
                        0 => State::ChunkEnd,
                        left => State::Chunk(left),
                    };
                    return Ok(Some(piece));
                }
                _ => {
                    let byte = take(input, 1).first().copied().unwrap_or_default();
                    self.take_framing(byte)?;
                }
            }
        }
        Ok(None)
    }

    fn take_framing(&mut self, byte: u8) -> Result<(), &'static str> {
        self.state = match (&self.state, byte) {
            (State::ChunkSize(0) | State::ChunkExtension(0), b'\n') => State::Trailer(0),
            (State::ChunkSize(size) | State::ChunkExtension(size), b'\n') => State::Chunk(*size),
            (State::ChunkExtension(size), _) | (State::ChunkSize(size), b';' | b' ' | b'\r') => {
                State::ChunkExtension(*size)
            }
            (State::ChunkSize(size), byte) => {
                let digit = char::from(byte)
                    .to_digit(16)
                    .ok_or("a chunk size is no number")?;
                let size = size.checked_mul(16).ok_or("a chunk size is too large")?;
                State::ChunkSize(size + u64::from(digit))
            }
            (State::ChunkEnd, b'\r') => State::ChunkEnd,
            (State::ChunkEnd, b'\n') => State::ChunkSize(0),
            (State::ChunkEnd, _) => return Err("a chunk is longer than its size"),
            (State::Trailer(0), b'\n') => State::Complete,
            (State::Trailer(_), b'\n') => State::Trailer(0),
            (State::Trailer(length), b'\r') => State::Trailer(*length),
            (State::Trailer(length), _) => State::Trailer(length + 1),
            _ => return Err("the response is at an impossible place"),
        };
        Ok(())
    }

    fn take_head(&mut self, input: &mut &[u8]) -> Result<(), &'static str> {
        let before = self.head.len();
        self.head.extend_from_slice(input);
        let from = before.saturating_sub(3);
        let end = self.head[from..]
            .windows(4)
            .position(|four| four == b"\r\n\r\n");
        let Some(end) = end else {
            *input = &[];
            return if self.head.len() > MAX_HEAD_BYTES {
                Err("the response's head is too long")
            } else {
                Ok(())
            };
        };
        let length = from + end + 4;
        *input = &input[length - before..];
        self.head.truncate(length);
        let head = std::mem::take(&mut self.head);
        let head = String::from_utf8_lossy(&head);
        self.read_head(&head)
    }

    fn read_head(&mut self, head: &str) -> Result<(), &'static str> {
        let mut lines = head.split("\r\n");
        let status = lines
            .next()
            .and_then(|line| line.strip_prefix("HTTP/1."))
            .and_then(|line| line.get(2..5)?.parse::<u16>().ok())
            .ok_or("the answer is no HTTP/1.x response")?;
        if (100..200).contains(&status) {
            return Ok(());
        }
        self.status = status;
        self.state = State::UntilClose;
        for (name, value) in lines.filter_map(|line| line.split_once(':')) {
            let value = value.trim();
            if name.eq_ignore_ascii_case("transfer-encoding") {
                if !value.eq_ignore_ascii_case("chunked") {
                    return Err("the response has a transfer coding other than chunked");
                }
                self.state = State::ChunkSize(0);
            } else if name.eq_ignore_ascii_case("content-length")
                && matches!(self.state, State::UntilClose)
            {
                self.state = match value.parse() {
                    Ok(0) => State::Complete,
                    Ok(length) => State::Length(length),
                    Err(_) => return Err("the response's Content-Length is no number"),
                };
            } else if name.eq_ignore_ascii_case("www-authenticate") {
                self.challenge = Some(value.to_owned());
            }
        }
        Ok(())
    }
}

fn take<'a>(input: &mut &'a [u8], at_most: u64) -> &'a [u8] {
    let length = usize::try_from(at_most)
        .unwrap_or(usize::MAX)
        .min(input.len());
    let (piece, rest) = input.split_at(length);
    *input = rest;
    piece
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(wire: &str, size: usize) -> Result<(Response, String), &'static str> {
        let mut response = Response::default();
        let mut body = Vec::new();
        for mut chunk in wire.as_bytes().chunks(size) {
            while let Some(piece) = response.body(&mut chunk)? {
                body.extend_from_slice(piece);
            }
        }
        Ok((response, String::from_utf8(body).unwrap()))
    }

    /// RFC 9112, section 7.1: chunks with extension and trailer, cut anywhere.
    #[test]
    fn a_chunked_body_is_read_whatever_the_cuts() {
        let wire = "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\n\
            Transfer-Encoding: chunked\r\n\r\nA;x=y\r\n0123456789\r\n01\r\n\r\r\n0\r\nT: a\r\n\r\n";
        for size in 1..wire.len() {
            let (response, body) = read(wire, size).unwrap();
            assert_eq!(
                (response.status(), body.as_str()),
                (200, "0123456789\r"),
                "{size}"
            );
            assert!(response.is_complete());
        }
    }

    /// RFC 9112, section 6: a body by length, and one that the connection's end delimits.
    #[test]
    fn other_framings_are_read() {
        let (response, body) = read(
            "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer\r\ncontent-length: 3\r\n\r\nabc",
            5,
        )
        .unwrap();
        assert_eq!((response.status(), body.as_str()), (401, "abc"));
        assert_eq!(response.challenge(), Some("Bearer"));
        assert!(response.is_complete());
        let (response, body) = read("HTTP/1.1 200 OK\r\n\r\nabc", 7).unwrap();
        assert_eq!((response.is_complete(), body.as_str()), (false, "abc"));
    }

    /// Broken framing is an error, never silently skipped bytes.
    #[test]
    fn broken_framing_is_refused() {
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        for wire in ["x\r\n", "1\r\nab\r\n", "fffffffffffffffff\r\n"] {
            assert!(read(&format!("{chunked}{wire}"), 3).is_err(), "{wire:?}");
        }
        assert!(read("SSH-2.0-OpenSSH\r\n\r\n", 64).is_err());
    }
}
