//! The body of an answer that something follows until it has left, or is lost.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use bytes::Bytes;
use http::Response;
use hyper::body::{Body as HttpBody, Frame, SizeHint};

/// What follows an answer. It is dropped with the body.
pub(crate) trait Follower: Send + Unpin + 'static {
    /// Bytes of the body are on their way.
    fn sent(&mut self, bytes: u64);
}

/// The same answer, followed.
pub(crate) fn followed(answer: Response<Body>, follower: impl Follower) -> Response<Body> {
    answer.map(|body| Body::new(Followed { body, follower }))
}

struct Followed<F> {
    body: Body,
    follower: F,
}

impl<F: Follower> HttpBody for Followed<F> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        if let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
        {
            self.follower.sent(data.len() as u64);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
