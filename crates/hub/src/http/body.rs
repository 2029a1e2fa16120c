//! Request bodies: their media type, and their bounds of size and time.

pub(crate) mod bound;

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::header::{CONTENT_ENCODING, EXPECT};
use http::{HeaderMap, HeaderName};
use http_body::Body as _;
use http_body_util::BodyExt as _;

use self::bound::BodyBound;
use crate::http::respond::Refused;
use crate::limits::BodyCharge;

/// How long a request body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(60);

/// The most bytes that are read of a body that is not needed.
const UNWANTED_BYTES: usize = 64 * 1024;
/// How long such a body is read.
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

/// The value of a field as text, for an error; `None` if it is absent.
pub(crate) fn received(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let field = headers.get(name)?;
    Some(String::from_utf8_lossy(field.as_bytes()).into_owned())
}

/// Refuses a body that is compressed (RFC 9110, section 15.5.16).
pub(crate) fn check_coding(headers: &HeaderMap) -> Result<(), Refused> {
    let is_decoded = |coding: &[u8]| {
        let coding = coding.trim_ascii();
        coding.is_empty() || coding.eq_ignore_ascii_case(b"identity")
    };
    let mut fields = headers.get_all(CONTENT_ENCODING).iter();
    let refused = fields.find(|field| {
        let mut codings = field.as_bytes().split(|byte| *byte == b',');
        !codings.all(is_decoded)
    });
    match refused {
        None => Ok(()),
        Some(field) => Err(Refused::ContentCoding(
            String::from_utf8_lossy(field.as_bytes()).into_owned(),
        )),
    }
}

/// Reads a body within its bounds of size and time, and charges the client for it: for the declared
/// length at once, else for what has come. A body whose declared length is too large is refused before
/// any of it is read, so that its client is not told to go on (`100 Continue`).
pub(crate) async fn read_body(
    body: &mut Body,
    bound: BodyBound,
    charge: &mut BodyCharge<'_>,
) -> Result<Bytes, Refused> {
    let declared = body.size_hint().exact();
    let too_large = Refused::BodyTooLarge { bound, declared };
    if declared.is_some_and(|declared| declared > bound.bytes as u64) {
        return Err(too_large);
    }
    charge.grow_to(declared.unwrap_or(0))?;
    let collected = collect(body, declared, bound.bytes, charge);
    match tokio::time::timeout(BODY_TIMEOUT, collected).await {
        Err(_) => Err(Refused::BodyTimeout),
        Ok(collected) => collected?.ok_or(too_large),
    }
}

/// Copies a body into one buffer: pieces of one byte, kept as they came, would take a hundred times what
/// they hold. The buffer doubles as the body comes, so that a body that is only declared takes no memory,
/// and it never exceeds what is declared and what is charged. Returns `None` if the body is longer than
/// `max_bytes`.
async fn collect(
    body: &mut Body,
    declared: Option<u64>,
    max_bytes: usize,
    charge: &mut BodyCharge<'_>,
) -> Result<Option<Bytes>, Refused> {
    let most = declared.map_or(max_bytes, |declared| {
        usize::try_from(declared).map_or(max_bytes, |declared| declared.min(max_bytes))
    });
    let mut collected = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| Refused::BodyBroken)?.into_data() else {
            continue;
        };
        if data.len() > max_bytes - collected.len() {
            return Ok(None);
        }
        let needed = collected.len() + data.len();
        if needed > collected.capacity() {
            let capacity = (2 * collected.capacity()).min(most).max(needed);
            charge.grow_to(capacity as u64)?;
            collected.reserve_exact(capacity - collected.len());
        }
        collected.extend_from_slice(&data);
    }
    Ok(Some(collected.into()))
}

/// Reads the rest of the body of a refused request, if that is short: some clients (curl, and so PHP)
/// fail if the answer comes and the stream is reset while they are still sending.
pub(crate) async fn discard(body: &mut Body, headers: &HeaderMap) {
    // A client that waits for `100 Continue` has not sent its body yet.
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

#[cfg(not(talaria_loom))]
#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use http_body::{Frame, SizeHint};

    use super::*;
    use crate::limits::{BudgetOptions, Budgets, Client};

    /// A body of a declared length that comes in pieces of a thousand bytes.
    struct Declared(usize);

    impl http_body::Body for Declared {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            let piece = self.0.min(1000);
            self.0 -= piece;
            let data = Bytes::from(vec![b'a'; piece]);
            Poll::Ready((piece > 0).then(|| Ok(Frame::data(data))))
        }

        fn size_hint(&self) -> SizeHint {
            SizeHint::with_exact(self.0 as u64)
        }
    }

    /// A body takes as much memory as it is charged for.
    #[tokio::test]
    async fn a_declared_body_takes_no_more_than_it_declares() {
        let budgets = Budgets::new(&BudgetOptions::default());
        let client = Client {
            address: None,
            subject: Some(1),
            connection: None,
        };
        for bytes in [1, 999, 1001, 9_000, 300_001] {
            let mut charge = budgets.body(&client);
            let bound = BodyBound {
                bytes: 1 << 20,
                directive: "max_request_body_size",
            };
            let mut body = Body::new(Declared(bytes));
            let read = read_body(&mut body, bound, &mut charge).await;
            let Ok(Ok(buffer)) = read.map(Bytes::try_into_mut) else {
                panic!("a body of {bytes} bytes is read into one buffer");
            };
            assert_eq!((buffer.len(), buffer.capacity()), (bytes, bytes));
        }
    }
}
