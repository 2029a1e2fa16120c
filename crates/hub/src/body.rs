//! Request bodies: their media type, and their bounds of size and time.

use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_ENCODING, EXPECT};
use http::{HeaderMap, HeaderName};
use http_body::Body as _;
use http_body_util::{BodyExt, LengthLimitError, Limited};

use crate::limits::BodyCharge;
use crate::respond::Refused;

/// How long a request body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(60);

/// What is taken of a body that nobody wants, in bytes, and for how long.
const UNWANTED_BYTES: usize = 64 * 1024;
const UNWANTED_TIMEOUT: Duration = Duration::from_secs(1);

/// A media type without its parameters, in lower case.
pub(crate) fn essence(media_type: &str) -> String {
    media_type
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase()
}

/// What a field says, for an error; `None` if it is absent.
pub(crate) fn received(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let field = headers.get(name)?;
    Some(String::from_utf8_lossy(field.as_bytes()).into_owned())
}

/// Refuses a body that is compressed (RFC 9110, section 15.5.16).
pub(crate) fn check_coding(headers: &HeaderMap) -> Result<(), Refused> {
    let refused = headers.get_all(CONTENT_ENCODING).iter().find(|field| {
        let coding = field.as_bytes().trim_ascii();
        !coding.is_empty() && !coding.eq_ignore_ascii_case(b"identity")
    });
    match refused {
        None => Ok(()),
        Some(field) => Err(Refused::ContentCoding(
            String::from_utf8_lossy(field.as_bytes()).into_owned(),
        )),
    }
}

/// Reads a body within its bounds of size and time, and charges for it: what it declares at once, else
/// what has come.
pub(crate) async fn read_body(
    body: &mut Body,
    max_bytes: usize,
    charge: &mut BodyCharge<'_>,
) -> Result<Bytes, Refused> {
    let declared = body.size_hint().exact();
    let expected = declared.unwrap_or(0).min(max_bytes as u64);
    charge.grow_to(expected)?;
    let mut bytes = BytesMut::with_capacity(expected as usize);
    let mut limited = Limited::new(body, max_bytes);
    let read = async {
        while let Some(frame) = limited.frame().await {
            match frame {
                Ok(frame) => {
                    if let Some(data) = frame.data_ref() {
                        charge.grow_to((bytes.len() + data.len()) as u64)?;
                        bytes.extend_from_slice(data);
                    }
                }
                Err(error) if error.is::<LengthLimitError>() => {
                    return Err(Refused::BodyTooLarge {
                        max: max_bytes,
                        declared,
                    });
                }
                Err(_) => return Err(Refused::BodyBroken),
            }
        }
        Ok(bytes.freeze())
    };
    let read = tokio::time::timeout(BODY_TIMEOUT, read);
    read.await.unwrap_or(Err(Refused::BodyTimeout))
}

/// Takes the rest of a refused request's body, if that is short: some clients (curl, and so PHP)
/// fail if an answer comes and the stream is reset while they are still sending.
pub(crate) async fn discard(body: &mut Body, headers: &HeaderMap) {
    // Who waits for a word before it sends need not send at all.
    if body.is_end_stream() || headers.contains_key(EXPECT) {
        return;
    }
    if body.size_hint().lower() > UNWANTED_BYTES as u64 {
        return;
    }
    let rest = async {
        let mut taken = 0;
        while taken < UNWANTED_BYTES
            && let Some(Ok(frame)) = body.frame().await
        {
            taken += frame.data_ref().map_or(0, Bytes::len);
        }
    };
    // Whether it ended or not, the answer is next.
    _ = tokio::time::timeout(UNWANTED_TIMEOUT, rest).await;
}
