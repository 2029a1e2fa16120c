//! The reading side of an HTTP/1.1 client: a response's head, and its body by chunks, by length or until the
//! connection closes. `httparse` reads heads, chunk sizes and trailers; what is left is to feed it with pieces,
//! without copying bodies (RFC 9112, sections 6 and 7.1).

use httparse::{EMPTY_HEADER, Header, Status};

const MAX_HEAD_BYTES: usize = 64 * 1024;
/// Fields of a head or trailer at most.
const MAX_FIELDS: usize = 100;
/// How many bytes join a head or line that an earlier piece began, at a time.
const STEP: usize = 256;

/// Why a response cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ResponseError {
    #[error("the answer is not an HTTP/1.x response: {0}")]
    Head(#[from] httparse::Error),
    #[error("the response's head has more than {MAX_HEAD_BYTES} bytes")]
    HeadTooLong,
    #[error("the response has a transfer coding other than chunked")]
    TransferCoding,
    #[error("the response's Content-Length is not a number")]
    ContentLength,
    #[error("a chunk size is not a number")]
    ChunkSize,
    #[error("a chunk is longer than its size")]
    ChunkTooLong,
}

/// A response whose status is not 200.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the hub answered {status}, WWW-Authenticate: {}, body: {body:?}",
    challenge.as_deref().unwrap_or("none")
)]
pub(crate) struct Refused {
    status: u16,
    challenge: Option<String>,
    /// The beginning of the body.
    body: String,
}

/// One response, read piece by piece without copying its body.
#[derive(Debug, Default)]
pub(crate) struct Response {
    state: State,
    /// The beginning of a head, line or trailer whose end is still to come.
    pending: Vec<u8>,
    status: u16,
    challenge: Option<String>,
}

#[derive(Debug, Clone, Copy, Default)]
enum State {
    #[default]
    Head,
    ChunkSize,
    /// Bytes of the chunk yet to come.
    Chunk(u64),
    /// The line end after a chunk's data.
    ChunkEnd,
    Trailer,
    /// Bytes of the body yet to come.
    Length(u64),
    UntilClose,
    Complete,
}

impl Response {
    /// The status; 0 until the head is complete.
    pub(crate) fn status(&self) -> u16 {
        self.status
    }

    /// The value of `WWW-Authenticate`, if any.
    #[cfg(test)]
    pub(crate) fn challenge(&self) -> Option<&str> {
        self.challenge.as_deref()
    }

    /// Whether head and body are complete, so that the connection may carry another response.
    pub(crate) fn is_complete(&self) -> bool {
        matches!(self.state, State::Complete)
    }

    /// Refuses a status other than 200; `body` is what has come of the body.
    ///
    /// # Errors
    /// The status, the challenge and the beginning of the body.
    pub(crate) fn accepted(&self, body: &[u8]) -> Result<(), Refused> {
        if self.status == 200 {
            return Ok(());
        }
        let body = String::from_utf8_lossy(&body[..body.len().min(200)]);
        Err(Refused {
            status: self.status,
            challenge: self.challenge.clone(),
            body: body.trim().to_owned(),
        })
    }

    /// The next piece of the body, taken off the input; `None` when the input is used up or the response is
    /// complete.
    ///
    /// # Errors
    /// Says what is wrong with the head or the framing.
    pub(crate) fn body<'a>(
        &mut self,
        input: &mut &'a [u8],
    ) -> Result<Option<&'a [u8]>, ResponseError> {
        while !input.is_empty() {
            match self.state {
                State::Head => {
                    if let Some(Some(head)) = self.parse(input, parse_head)? {
                        self.status = head.status;
                        self.challenge = head.challenge;
                        self.state = head.framing;
                    }
                }
                State::ChunkSize => {
                    self.state = match self.parse(input, parse_chunk_size)? {
                        Some(0) => State::Trailer,
                        Some(size) => State::Chunk(size),
                        None => State::ChunkSize,
                    };
                }
                State::Chunk(left) => {
                    let piece = take(input, left);
                    self.state = match left - piece.len() as u64 {
                        0 => State::ChunkEnd,
                        left => State::Chunk(left),
                    };
                    return Ok(Some(piece));
                }
                State::ChunkEnd => {
                    self.state = match take(input, 1) {
                        b"\r" => State::ChunkEnd,
                        b"\n" => State::ChunkSize,
                        _ => return Err(ResponseError::ChunkTooLong),
                    };
                }
                State::Trailer => {
                    if self.parse(input, parse_trailer)?.is_some() {
                        self.state = State::Complete;
                    }
                }
                State::Length(left) => {
                    let piece = take(input, left);
                    self.state = match left - piece.len() as u64 {
                        0 => State::Complete,
                        left => State::Length(left),
                    };
                    return Ok(Some(piece));
                }
                State::UntilClose => return Ok(Some(std::mem::take(input))),
                State::Complete => return Ok(None),
            }
        }
        Ok(None)
    }

    /// Parses what begins with the pending bytes and goes on in the input, and takes it off the input. `None`
    /// if its end is still to come; then what has come of it is kept.
    fn parse<T>(
        &mut self,
        input: &mut &[u8],
        parse: fn(&[u8]) -> Parsed<T>,
    ) -> Result<Option<T>, ResponseError> {
        let before = self.pending.len();
        let more = match before {
            0 => *input,
            _ => &input[..input.len().min(STEP)],
        };
        let parsed = if before == 0 {
            parse(more)?
        } else {
            self.pending.extend_from_slice(more);
            parse(&self.pending)?
        };
        match parsed {
            Status::Complete((length, value)) => {
                *input = &input[length.saturating_sub(before)..];
                self.pending.clear();
                Ok(Some(value))
            }
            Status::Partial => {
                if before == 0 {
                    self.pending.extend_from_slice(more);
                }
                *input = &input[more.len()..];
                match self.pending.len() {
                    0..=MAX_HEAD_BYTES => Ok(None),
                    _ => Err(ResponseError::HeadTooLong),
                }
            }
        }
    }
}

/// A value and the bytes that it took, or that its end is still to come.
type Parsed<T> = Result<Status<(usize, T)>, ResponseError>;

/// What a head says.
struct Head {
    status: u16,
    challenge: Option<String>,
    framing: State,
}

/// `None` for an interim response, which another one follows.
fn parse_head(bytes: &[u8]) -> Parsed<Option<Head>> {
    let mut fields = [EMPTY_HEADER; MAX_FIELDS];
    let mut response = httparse::Response::new(&mut fields);
    let Status::Complete(length) = response.parse(bytes)? else {
        return Ok(Status::Partial);
    };
    let head = match response.code.unwrap_or_default() {
        100..200 => None,
        status => Some(read_fields(status, response.headers)?),
    };
    Ok(Status::Complete((length, head)))
}

fn read_fields(status: u16, fields: &[Header<'_>]) -> Result<Head, ResponseError> {
    let mut head = Head {
        status,
        challenge: None,
        framing: State::UntilClose,
    };
    for field in fields {
        let value = field.value.trim_ascii();
        if field.name.eq_ignore_ascii_case("transfer-encoding") {
            if !value.eq_ignore_ascii_case(b"chunked") {
                return Err(ResponseError::TransferCoding);
            }
            head.framing = State::ChunkSize;
        } else if field.name.eq_ignore_ascii_case("content-length")
            && matches!(head.framing, State::UntilClose)
        {
            let length = std::str::from_utf8(value).ok();
            head.framing = match length.and_then(|length| length.parse().ok()) {
                Some(0) => State::Complete,
                Some(length) => State::Length(length),
                None => return Err(ResponseError::ContentLength),
            };
        } else if field.name.eq_ignore_ascii_case("www-authenticate") {
            head.challenge = Some(String::from_utf8_lossy(value).into_owned());
        }
    }
    Ok(head)
}

fn parse_chunk_size(bytes: &[u8]) -> Parsed<u64> {
    httparse::parse_chunk_size(bytes).map_err(|_| ResponseError::ChunkSize)
}

fn parse_trailer(bytes: &[u8]) -> Parsed<()> {
    let mut fields = [EMPTY_HEADER; MAX_FIELDS];
    Ok(match httparse::parse_headers(bytes, &mut fields)? {
        Status::Complete((length, _)) => Status::Complete((length, ())),
        Status::Partial => Status::Partial,
    })
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

    fn read(wire: &str, size: usize) -> Result<(Response, String), ResponseError> {
        let mut response = Response::default();
        let mut body = Vec::new();
        for mut chunk in wire.as_bytes().chunks(size) {
            while let Some(piece) = response.body(&mut chunk)? {
                body.extend_from_slice(piece);
            }
        }
        Ok((response, String::from_utf8(body).unwrap()))
    }

    /// Chunks with extension and trailer are read wherever they are cut (RFC 9112, section 7.1).
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

    /// A body has a length, or ends with the connection (RFC 9112, section 6).
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
        let refused = response.accepted(body.as_bytes()).unwrap_err().to_string();
        assert!(
            refused.contains("401") && refused.contains("Bearer"),
            "{refused}"
        );
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

    /// A head that does not end is given up.
    #[test]
    fn an_endless_head_is_refused() {
        let wire = format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(2 * MAX_HEAD_BYTES));
        assert_eq!(read(&wire, 4096).unwrap_err(), ResponseError::HeadTooLong);
    }
}
