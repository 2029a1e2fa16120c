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

/// The capacity of the pieces of a body whose length is not declared.
const PIECE_BYTES: usize = 32 * 1024;
/// The most bytes that are reserved at once because a body declares them.
const MOST_RESERVED: usize = 64 << 20;

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

/// Copies a body into one buffer: the pieces that came, kept as they are, could take a hundred times their bytes.
/// Returns `None` if the body is longer than `max_bytes`.
async fn collect(
    body: &mut Body,
    declared: Option<u64>,
    max_bytes: usize,
    charge: &mut BodyCharge<'_>,
) -> Result<Option<Bytes>, Refused> {
    let mut gathered = Gathered::new(declared);
    while let Some(frame) = body.frame().await {
        let Ok(mut data) = frame.map_err(|_| Refused::BodyBroken)?.into_data() else {
            continue;
        };
        if data.len() > max_bytes - gathered.bytes {
            return Ok(None);
        }
        while !data.is_empty() {
            if gathered.room() == 0 {
                let capacity = gathered.next_capacity(data.len());
                charge.grow_to((gathered.bytes + capacity) as u64)?;
                gathered.pieces.push(Vec::with_capacity(capacity));
            }
            gathered.take(&mut data);
        }
    }
    Ok(Some(gathered.join()))
}

/// What has come of a body. No piece grows once it is there: a buffer that grows leaves its smaller ones to the
/// allocator, which keeps them for a second, so that bodies would take twice what they are charged.
#[derive(Default)]
struct Gathered {
    pieces: Vec<Vec<u8>>,
    bytes: usize,
    /// The bytes to reserve at once for a body of a declared length. It is charged for them already, and they take
    /// no memory before they are written.
    declared: usize,
}

impl Gathered {
    fn new(declared: Option<u64>) -> Self {
        let declared = usize::try_from(declared.unwrap_or(0)).unwrap_or(usize::MAX);
        Self {
            declared: declared.min(MOST_RESERVED),
            ..Self::default()
        }
    }

    /// The bytes that the last piece still takes.
    fn room(&self) -> usize {
        let last = self.pieces.last();
        last.map_or(0, |piece| piece.capacity() - piece.len())
    }

    /// The capacity of the next piece: what is declared, else as much as there is already, within bounds.
    fn next_capacity(&self, needed: usize) -> usize {
        match self.bytes < self.declared {
            true => self.declared - self.bytes,
            false => self.bytes.max(needed).min(PIECE_BYTES),
        }
    }

    /// Moves what the last piece has room for out of `data`.
    fn take(&mut self, data: &mut Bytes) {
        let count = self.room().min(data.len());
        if let Some(piece) = self.pieces.last_mut() {
            piece.extend_from_slice(&data.split_to(count));
            self.bytes += count;
        }
    }

    /// One buffer of all pieces. Each is freed when it is copied, and what is not written yet takes no memory, so
    /// this takes a piece more than the body at a time.
    fn join(mut self) -> Bytes {
        if self.pieces.len() <= 1 {
            return self.pieces.pop().unwrap_or_default().into();
        }
        let mut whole = Vec::with_capacity(self.bytes);
        for piece in self.pieces {
            whole.extend_from_slice(&piece);
        }
        whole.into()
    }
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
