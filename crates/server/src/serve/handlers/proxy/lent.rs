//! The body of a request that may be sent twice.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use hyper::body::{Body as HttpBody, Frame, SizeHint};

use crate::serve::lock::lock;

/// Lends a body to one request after the other, as long as none of them has begun to read it.
pub(super) struct Lender(Arc<Mutex<Option<Body>>>);

impl Lender {
    /// Takes the body.
    pub(super) fn new(body: Body) -> Self {
        Self(Arc::new(Mutex::new(Some(body))))
    }

    /// Lends the body; `None` if it is lent, or was read.
    pub(super) fn lend(&self) -> Option<Lent> {
        let body = lock(&self.0).take()?;
        Some(Lent {
            body,
            lender: Some(Arc::clone(&self.0)),
        })
    }
}

/// A body that goes back to its lender if it is dropped unread.
pub(super) struct Lent {
    body: Body,
    /// `None` once it is read.
    lender: Option<Arc<Mutex<Option<Body>>>>,
}

impl HttpBody for Lent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.lender = None;
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(lender) = self.lender.take() {
            *lock(&lender) = Some(std::mem::take(&mut self.body));
        }
    }
}
