//! The head of a request over HTTP/2 (RFC 9113, section 8.3) or HTTP/3, judged before h2 or h3 reads it.

use bytes::Bytes;
use http::uri::{Authority, Scheme};
use http::{HeaderName, Method};

use super::fault::Fault;
use super::hpack::Field;
use super::target::{self, TARGET_BYTES};

/// The pseudo-fields of a request (section 8.3.1).
const PSEUDO: [&str; 4] = [":method", ":scheme", ":authority", ":path"];
/// The number of fields of a request that do not count: those four.
pub(super) const PSEUDO_FIELDS: usize = PSEUDO.len();
/// Fields about the connection, which are not allowed in HTTP/2 (section 8.2.2).
const OF_CONNECTIONS: [&[u8]; 5] = [
    b"connection",
    b"transfer-encoding",
    b"upgrade",
    b"keep-alive",
    b"proxy-connection",
];
/// The most digits of a number that h2 reads.
const LENGTH_DIGITS: usize = 19;

/// The request that stands for one at fault. A `HEAD` request stays one, because its answer has no body.
pub(super) fn refused(fault: Fault, is_head: bool) -> Vec<Field> {
    [
        (":method", if is_head { "HEAD" } else { "GET" }),
        (":scheme", "http"),
        (":authority", "refused"),
        (":path", &fault.target()),
    ]
    .map(|(name, value)| {
        (
            Bytes::copy_from_slice(name.as_bytes()),
            Bytes::copy_from_slice(value.as_bytes()),
        )
    })
    .into()
}

/// Whether the request is `HEAD`.
pub(super) fn is_head(fields: &[Field]) -> bool {
    value(fields, ":method") == Some(b"HEAD")
}

fn value<'a>(fields: &'a [Field], name: &str) -> Option<&'a [u8]> {
    let field = fields.iter().find(|(own, _)| own == name);
    field.map(|(_, value)| value.as_ref())
}

/// Judges the fields of a request, and returns the fields that replace them if the target must be encoded.
///
/// # Errors
///
/// h2 would reset the stream or end the connection because of them, or would read another target than was sent.
pub(super) fn judge(fields: &[Field], ends_stream: bool) -> Result<Option<Vec<Field>>, Fault> {
    if value(fields, ":method") == Some(b"CONNECT") {
        return Err(Fault::Connect);
    }
    let authority = value(fields, ":authority");
    if authority.is_some_and(|text| Authority::try_from(text).is_err()) {
        return Err(Fault::Authority);
    }
    let encoded = encoded(value(fields, ":path").unwrap_or_default())?;
    check_form(fields)?;
    check_length(fields, ends_stream)?;
    Ok(encoded.map(|encoded| {
        let mut fields = fields.to_vec();
        let path = fields.iter_mut().find(|(name, _)| name == ":path");
        if let Some((_, path)) = path {
            *path = encoded.into();
        }
        fields
    }))
}

/// The target percent-encoded, if that changes it.
fn encoded(target: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
    let read = target::read(target)?;
    if read.length < target.len() {
        return Err(Fault::Target);
    }
    if read.encoded.unwrap_or(read.length) > TARGET_BYTES {
        return Err(Fault::TargetTooLong);
    }
    if !target.starts_with(b"/") && target != b"*" {
        return Err(Fault::Target);
    }
    Ok(read.encoded.map(|_| {
        let mut encoded = Vec::new();
        target::encode(target, &mut encoded);
        encoded
    }))
}

/// Checks that pseudo-fields come once and first, and that HTTP/2 allows the other fields.
fn check_form(fields: &[Field]) -> Result<(), Fault> {
    let mut seen = [false; PSEUDO.len()];
    let mut are_first = true;
    for (name, value) in fields {
        if name.starts_with(b":") {
            let position = PSEUDO.iter().position(|own| name == own);
            let seen = position.and_then(|position| seen.get_mut(position));
            let is_new = seen.is_some_and(|seen| !std::mem::replace(seen, true));
            if !is_new || !are_first {
                return Err(Fault::Malformed);
            }
            continue;
        }
        are_first = false;
        let is_of_connection =
            OF_CONNECTIONS.contains(&name.as_ref()) || (name == "te" && value != "trailers");
        if is_of_connection || HeaderName::from_lowercase(name).is_err() {
            return Err(Fault::Malformed);
        }
        let may_hold = |byte: &u8| *byte == b'\t' || (*byte >= 0x20 && *byte != 0x7f);
        if !value.iter().all(may_hold) {
            return Err(Fault::Field);
        }
    }
    let method = value(fields, ":method").map(Method::from_bytes);
    let scheme = value(fields, ":scheme").map(Scheme::try_from);
    match (method, scheme) {
        (Some(Ok(_)), Some(Ok(_))) => Ok(()),
        _ => Err(Fault::Malformed),
    }
}

/// Checks that every `content-length` is the same number, and 0 if the request ends with its head.
fn check_length(fields: &[Field], ends_stream: bool) -> Result<(), Fault> {
    let mut first = None;
    for (_, value) in fields.iter().filter(|(name, _)| name == "content-length") {
        let digits = std::str::from_utf8(value).unwrap_or_default();
        let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
        let number = digits.parse::<u64>().ok();
        let number = number.filter(|_| is_number && digits.len() <= LENGTH_DIGITS);
        let number = number.ok_or(Fault::Length)?;
        if *first.get_or_insert(number) != number || (ends_stream && number > 0) {
            return Err(Fault::Length);
        }
    }
    Ok(())
}
