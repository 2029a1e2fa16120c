//! The body of a request.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use h3::error::StreamError;
use h3::server::RequestStream;
use http::HeaderMap;
use http::header::CONTENT_LENGTH;
use hyper::body::{Body, Frame, SizeHint};

use super::flow::Chunk;
use super::quic::ReceiveStream;

/// Why a body cannot be read to its end.
#[derive(Debug, thiserror::Error)]
pub(super) enum BodyError {
    /// Content-Length says another length than came (RFC 9114, section 4.1.2).
    #[error("the body is not as long as Content-Length says")]
    Length,
    /// The stream broke off.
    #[error(transparent)]
    Stream(#[from] StreamError),
}

/// A body that is read from its stream as it is asked for. The windows of QUIC hold its sender back.
pub(super) struct RequestBody {
    stream: RequestStream<ReceiveStream, Chunk>,
    /// What Content-Length says is still to come.
    left: Option<u64>,
    is_bodiless: Arc<AtomicBool>,
    has_ended: bool,
}

impl RequestBody {
    /// The body of a request with these fields.
    pub(super) fn new(
        stream: RequestStream<ReceiveStream, Chunk>,
        headers: &HeaderMap,
        is_bodiless: Arc<AtomicBool>,
    ) -> Self {
        let declared = headers.get(CONTENT_LENGTH);
        let left = declared.and_then(|length| length.to_str().ok()?.parse().ok());
        Self {
            stream,
            left,
            is_bodiless,
            has_ended: false,
        }
    }

    fn has_none(&self) -> bool {
        self.is_bodiless.load(Ordering::Acquire) && self.left.unwrap_or_default() == 0
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if self.has_ended {
            return Poll::Ready(None);
        }
        let data = ready!(self.stream.poll_recv_data(context));
        let outcome = match data {
            Err(error) => Some(Err(error.into())),
            Ok(None) => Some(Err(BodyError::Length)).filter(|_| self.left.unwrap_or_default() > 0),
            Ok(Some(mut data)) => {
                let bytes = data.copy_to_bytes(data.remaining());
                match self.left.map(|left| left.checked_sub(bytes.len() as u64)) {
                    Some(None) => Some(Err(BodyError::Length)),
                    Some(left) => {
                        self.left = left;
                        Some(Ok(bytes))
                    }
                    None => Some(Ok(bytes)),
                }
            }
        };
        self.has_ended = !matches!(outcome, Some(Ok(_)));
        Poll::Ready(outcome.map(|outcome| outcome.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.has_ended || self.has_none()
    }

    fn size_hint(&self) -> SizeHint {
        match self.left {
            Some(left) => SizeHint::with_exact(left),
            None if self.is_end_stream() => SizeHint::with_exact(0),
            None => SizeHint::default(),
        }
    }
}
