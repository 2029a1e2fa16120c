//! Compresses answers: `encode` (B-284).

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use http::header::{ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG};
use http::{HeaderMap, HeaderValue, Request, Response};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use talaria_config::settings::Coding;
use tokio::sync::{Semaphore, SemaphorePermit};
use tower_http::CompressionLevel;
use tower_http::compression::Compression;
use tower_http::compression::predicate::SizeAbove;
use tower_service::Service;

/// A body of fewer bytes is not compressed.
const LEAST_BYTES: u16 = 512;
/// How hard to compress; each coding has its own scale. Brotli's default is for files that are compressed once.
const LEVEL: i32 = 4;
/// The most answers that are compressed at a time, because each takes some megabytes for as long as its client
/// reads. Further ones are sent as they are.
const MOST: usize = 64;

static PERMITS: Semaphore = Semaphore::const_new(MOST);

/// Compresses an answer with the one of `codings` that the client prefers; if it accepts several equally, with
/// the first of zstd, br and gzip.
///
/// Event streams are never compressed, because that would hold their events back; nor is what is small, compressed already, a part of a file, or
/// not to be transformed. Never waits.
pub(crate) async fn encode(
    response: Response<Body>,
    accept_encoding: Option<&HeaderValue>,
    codings: &[Coding],
) -> Response<Body> {
    if codings.is_empty() || !is_compressible(response.headers()) {
        return response;
    }
    let permit = PERMITS.try_acquire().ok();
    let accepted = accept_encoding.filter(|_| permit.is_some());
    let mut asked = Request::new(());
    let accepted = accepted.map(|accepted| (ACCEPT_ENCODING, accepted.clone()));
    asked.headers_mut().extend(accepted);
    let mut compression = Compression::new(Answered(Some(response)))
        .quality(CompressionLevel::Precise(LEVEL))
        .gzip(codings.contains(&Coding::Gzip))
        .br(codings.contains(&Coding::Brotli))
        .zstd(codings.contains(&Coding::Zstd))
        .compress_when(SizeAbove::new(LEAST_BYTES));
    let mut response = match compression.call(asked).await {
        Ok(response) => response,
        Err(never) => match never {},
    };
    if !response.headers().contains_key(CONTENT_ENCODING) {
        return response.map(Body::new);
    }
    weaken(response.headers_mut());
    response.map(|body| {
        let body = Body::new(body);
        Body::new(Compressed {
            body,
            _permit: permit,
        })
    })
}

/// Whether an answer may be compressed, and gains by it.
fn is_compressible(headers: &HeaderMap) -> bool {
    let is_fixed = headers.get_all(CACHE_CONTROL).iter().any(|value| {
        let value = value.as_bytes().to_ascii_lowercase();
        let mut directives = value.split(|byte| *byte == b',');
        directives.any(|directive| directive.trim_ascii() == b"no-transform")
    });
    if is_fixed || headers.contains_key(CONTENT_ENCODING) {
        return false;
    }
    let kind = headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next());
    let kind = kind.unwrap_or_default().trim().to_ascii_lowercase();
    match kind.split_once('/') {
        Some(("text", kind)) => kind != "event-stream",
        Some(("font", kind)) => matches!(kind, "ttf" | "otf" | "collection"),
        Some(("application", "json" | "javascript" | "xml" | "wasm")) => true,
        Some((_, kind)) => kind.ends_with("+json") || kind.ends_with("+xml"),
        None => false,
    }
}

/// Makes a strong entity tag weak, because the bytes are others now (RFC 9110, section 8.8.3.3).
fn weaken(headers: &mut HeaderMap) {
    let tag = headers.get(ETAG).map(HeaderValue::as_bytes);
    let Some(tag) = tag.filter(|tag| tag.starts_with(b"\"")) else {
        return;
    };
    match HeaderValue::from_bytes(&[b"W/", tag].concat()) {
        Ok(weak) => _ = headers.insert(ETAG, weak),
        Err(_) => _ = headers.remove(ETAG),
    }
}

/// The service whose answer is compressed: it has been called already.
struct Answered(Option<Response<Body>>);

impl Service<Request<()>> for Answered {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        ready(Ok(self.0.take().unwrap_or_default()))
    }
}

/// A body that is compressed while it is read.
struct Compressed {
    body: Body,
    /// Counts it.
    _permit: Option<SemaphorePermit<'static>>,
}

impl HttpBody for Compressed {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests;
