//! Bodies of bounded length: `request_body`.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use http::HeaderMap;
use http::header::CONTENT_LENGTH;
use hyper::body::{Body as HttpBody, Frame, SizeHint};

/// The body is longer than it may be.
#[derive(Debug, thiserror::Error)]
#[error("the body is longer than `request_body` allows")]
struct TooLong;

/// A body that ends with an error where it gets too long.
struct Bounded {
    body: Body,
    /// How many bytes may follow.
    left: u64,
    /// Set where it gets too long.
    is_too_long: Arc<AtomicBool>,
}

/// Whether a request says that its body has more than `most` bytes.
pub(super) fn is_longer(headers: &HeaderMap, most: u64) -> bool {
    let length = headers.get(CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    length.is_some_and(|length| length > most)
}

/// A body of at most `most` bytes; the flag says whether it turned out to be longer.
pub(super) fn bounded(body: Body, most: u64) -> (Body, Arc<AtomicBool>) {
    let is_too_long = Arc::new(AtomicBool::new(false));
    let bounded = Bounded {
        body,
        left: most,
        is_too_long: Arc::clone(&is_too_long),
    };
    (Body::new(bounded), is_too_long)
}

impl HttpBody for Bounded {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        let Poll::Ready(Some(Ok(frame))) = &polled else {
            return polled;
        };
        let length = frame.data_ref().map_or(0, |data| data.len() as u64);
        match self.left.checked_sub(length) {
            Some(left) => {
                self.left = left;
                polled
            }
            None => {
                self.left = 0;
                self.is_too_long.store(true, Ordering::Relaxed);
                Poll::Ready(Some(Err(axum::Error::new(TooLong))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
