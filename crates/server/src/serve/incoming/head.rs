//! One head of an HTTP/1.1 request (RFC 9112, sections 3 and 5), judged before hyper reads it.

use std::mem::MaybeUninit;

use httparse::{Error, Header, Request, Status};
use talaria_config::settings::HeadSettings;

use super::fault::Fault;
use super::follows::Follows;
use super::target::{self, TARGET_BYTES};

/// The first byte of a TLS connection: a handshake record (RFC 8446, section 5.1).
pub(crate) const TLS: u8 = 0x16;

/// The most bytes of empty lines before a head. They are bounded, because every read counts them again (section 2.2).
const EMPTY_BYTES: usize = 64;

/// The number of fields for which there is room on the stack.
const USUAL_FIELDS: usize = 100;

/// The outcome of judging a head.
#[derive(Debug)]
pub(super) enum Head {
    /// Not all of it has come.
    Partial,
    /// hyper accepts it.
    Complete(Complete),
}

/// A head that hyper accepts.
#[derive(Debug)]
pub(super) struct Complete {
    /// Its length in bytes, as received.
    pub length: usize,
    /// What hyper reads instead, if the target had to be encoded.
    pub encoded: Option<Vec<u8>>,
    /// What comes after it.
    pub follows: Follows,
}

/// Judges the head at the beginning of `bytes`.
///
/// # Errors
///
/// hyper would refuse it, or would read something else than was sent.
pub(super) fn judge(bytes: &[u8], bounds: &HeadSettings) -> Result<Head, Fault> {
    let lines = bytes.iter().take_while(|byte| b"\r\n".contains(byte));
    let start = lines.take(EMPTY_BYTES + 1).count();
    if start > EMPTY_BYTES {
        return Err(Fault::Method);
    }
    let Some(first) = bytes.get(start) else {
        return Ok(Head::Partial);
    };
    match first {
        &TLS => return Err(Fault::Tls),
        // Version 2 of the PROXY protocol begins with two empty lines and NUL.
        0 if start == 4 => return Err(Fault::Proxied),
        b'P' if bytes[start..].starts_with(b"PROXY ") => return Err(Fault::Proxied),
        _ => {}
    }
    if bytes[start..].starts_with(b"CONNECT ") {
        return Err(Fault::Connect);
    }
    let Some(at) = target_of(&bytes[start..]) else {
        return parse(bytes, bounds);
    };
    let at = start + at;
    let target = target::read(&bytes[at..])?;
    let size = target.encoded.unwrap_or(target.length);
    if size > TARGET_BYTES {
        return Err(Fault::TargetTooLong);
    }
    let end = at + target.length;
    match bytes.get(end) {
        None => return Ok(Head::Partial),
        Some(b' ') => {}
        Some(b'\r' | b'\n') => return Err(Fault::Version),
        Some(_) => return Err(Fault::Target),
    }
    if target.encoded.is_none() {
        return parse(bytes, bounds);
    }
    let Some(line_end) = bytes[end..].iter().position(|byte| *byte == b'\n') else {
        return Ok(Head::Partial);
    };
    let line_end = end + line_end + 1;
    let mut line = Vec::with_capacity(line_end + size - target.length);
    line.extend_from_slice(&bytes[..at]);
    target::encode(&bytes[at..end], &mut line);
    line.extend_from_slice(&bytes[end..line_end]);
    parse_encoded(&line, line_end, &bytes[line_end..], bounds)
}

/// Where the target begins: after the method and a space.
fn target_of(line: &[u8]) -> Option<usize> {
    let end = line.iter().position(|byte| !byte.is_ascii_graphic())?;
    (line[end] == b' ' && http::Method::from_bytes(&line[..end]).is_ok()).then_some(end + 1)
}

fn parse(bytes: &[u8], bounds: &HeadSettings) -> Result<Head, Fault> {
    let mut usual = [const { MaybeUninit::uninit() }; USUAL_FIELDS];
    let mut more;
    let fields = match usual.get_mut(..bounds.fields) {
        Some(fields) => fields,
        None => {
            more = vec![MaybeUninit::uninit(); bounds.fields];
            more.as_mut_slice()
        }
    };
    let mut request = Request::new(&mut []);
    let parsed = request.parse_with_uninit_headers(bytes, fields);
    match parsed {
        Ok(Status::Partial) => Ok(Head::Partial),
        Ok(Status::Complete(length)) => complete(&request, request.headers, length, None, bounds),
        Err(error) => Err(fault(error, request.method.is_some())),
    }
}

/// Parses a request line whose target was encoded, and which had `received` bytes before, and the fields after it.
fn parse_encoded(
    line: &[u8],
    received: usize,
    fields: &[u8],
    bounds: &HeadSettings,
) -> Result<Head, Fault> {
    let alone = [line, b"\r\n"].concat();
    let mut request = Request::new(&mut []);
    let parsed = request.parse(&alone);
    parsed.map_err(|error| fault(error, request.method.is_some()))?;
    let mut headers = vec![httparse::EMPTY_HEADER; bounds.fields];
    match httparse::parse_headers(fields, &mut headers) {
        Ok(Status::Partial) => Ok(Head::Partial),
        Ok(Status::Complete((length, headers))) => {
            let head = [line, &fields[..length]].concat();
            complete(&request, headers, received + length, Some(head), bounds)
        }
        Err(error) => Err(fault(error, true)),
    }
}

fn fault(error: Error, has_method: bool) -> Fault {
    match error {
        Error::Token if has_method => Fault::Target,
        Error::Token => Fault::Method,
        Error::Version => Fault::Version,
        Error::TooManyHeaders => Fault::HeadTooLarge,
        _ => Fault::Field,
    }
}

/// Checks what hyper checks once a head has come.
fn complete(
    request: &Request<'_, '_>,
    fields: &[Header<'_>],
    length: usize,
    encoded: Option<Vec<u8>>,
    bounds: &HeadSettings,
) -> Result<Head, Fault> {
    let longer = encoded.as_ref().map_or(length, Vec::len);
    let longest = fields.iter().map(|field| field.name.len()).max();
    if longer >= bounds.bytes || longest > Some(usize::from(u16::MAX)) {
        return Err(Fault::HeadTooLarge);
    }
    let target = request.path.unwrap_or_default();
    // A path is always a URI here, so that ordinary requests are not parsed again.
    if !target.starts_with('/') && target.parse::<http::Uri>().is_err() {
        return Err(Fault::Target);
    }
    Ok(Head::Complete(Complete {
        length,
        encoded,
        follows: follows(request, fields)?,
    }))
}

/// What follows the head, by hyper's rules. If a request has both `Transfer-Encoding` and `Content-Length`, hyper
/// reads the chunks and then closes the connection. `chunked` is the only coding that hyper decodes.
fn follows(request: &Request<'_, '_>, fields: &[Header<'_>]) -> Result<Follows, Fault> {
    let mut length = None;
    let mut codings = 0;
    for field in fields {
        if field.name.eq_ignore_ascii_case("content-length") {
            let own = body_length(field.value).ok_or(Fault::Length)?;
            if length.is_some_and(|length| length != own) {
                return Err(Fault::Length);
            }
            length = Some(own);
        } else if field.name.eq_ignore_ascii_case("transfer-encoding") {
            // HTTP/1.0 does not know the field (RFC 9112, section 6.1).
            if request.version != Some(1) {
                return Err(Fault::Length);
            }
            // A list may have empty members (RFC 9110, section 5.6.1).
            let members = field.value.split(|byte| *byte == b',');
            for coding in members.map(<[u8]>::trim_ascii).filter(|it| !it.is_empty()) {
                if !coding.eq_ignore_ascii_case(b"chunked") {
                    return Err(Fault::Coding);
                }
                codings += 1;
            }
            // hyper goes by the last member of the last line.
            let last = field.value.rsplit(|byte| *byte == b',').next();
            if last.is_none_or(|last| last.trim_ascii().is_empty()) {
                return Err(Fault::Length);
            }
        }
    }
    match (length, codings) {
        (None | Some(0), 0) => Ok(Follows::Head),
        (Some(length), 0) => Ok(Follows::Bytes(length)),
        (_, 1) => Ok(Follows::CHUNKS),
        // The section forbids chunks within chunks.
        _ => Err(Fault::Length),
    }
}

fn body_length(value: &[u8]) -> Option<u64> {
    let digits = std::str::from_utf8(value).ok()?;
    let all_digits = digits.bytes().all(|byte| byte.is_ascii_digit());
    let length = digits.parse().ok().filter(|_| all_digits)?;
    // hyper uses the two greatest values itself.
    (length < u64::MAX - 1).then_some(length)
}
