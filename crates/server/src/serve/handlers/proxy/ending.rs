//! Event streams of an upstream, which do not end by themselves.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use hyper::body::{Body as HttpBody, Bytes, Frame, Incoming, SizeHint};
use tokio_util::sync::CancellationToken;

/// The body of an upstream's answer. An event stream ends when the program stops: the stop would wait for it
/// until it cuts all connections. Its client comes back by itself.
pub(super) fn body(
    incoming: Incoming,
    headers: &HeaderMap,
    stopping: &CancellationToken,
    window: Duration,
) -> Body {
    if !is_event_stream(headers) {
        return Body::new(incoming);
    }
    let stopping = stopping.clone();
    let end = async move {
        stopping.cancelled().await;
        // At a random moment, so that the clients do not come back all at once.
        tokio::time::sleep(window.mul_f64(rand::random::<f64>())).await;
    };
    Body::new(Ending {
        incoming,
        end: Box::pin(end),
    })
}

fn is_event_stream(headers: &HeaderMap) -> bool {
    let field = headers
        .get(CONTENT_TYPE)
        .and_then(|field| field.to_str().ok());
    let essence = field.and_then(|field| field.split(';').next());
    essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case("text/event-stream"))
}

/// A body that ends with its upstream's, or when `end` does.
struct Ending {
    incoming: Incoming,
    end: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl fmt::Debug for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ending").finish_non_exhaustive()
    }
}

impl HttpBody for Ending {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        // First, since a busy upstream always has more.
        if self.end.as_mut().poll(context).is_ready() {
            return Poll::Ready(None);
        }
        Pin::new(&mut self.incoming).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
