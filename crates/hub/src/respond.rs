//! The only place where answers and refusals become HTTP.

use axum::body::Body;
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS, X_XSS_PROTECTION,
};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use talaria_protocol::error::Shown;

mod refused;
mod sentence;

pub(crate) use refused::Refused;

use crate::accept::EventStream;

/// The media type of publishes and of `QUERY` bodies.
pub(crate) const FORM: &str = "application/x-www-form-urlencoded";

const ACCEPT_QUERY: HeaderName = HeaderName::from_static("accept-query");
const BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// In a response's extensions: this response must not be sent; the connection (HTTP/2: the
/// stream) closes unanswered, because whether the update was stored is unknown.
#[derive(Debug, Clone, Copy)]
pub struct Unanswered;

/// What a stranger chose, as a field of the log: short and escaped.
pub(crate) fn field(value: &str) -> tracing::field::DisplayValue<Shown<'_>> {
    tracing::field::display(Shown(value))
}

/// A response of plain text.
pub fn plain(status: StatusCode, body: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    let text = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, text);
    response
}

/// The answer to `OPTIONS`.
pub(crate) fn allowed(methods: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    allow(response.headers_mut(), methods);
    response
}

fn allow(headers: &mut HeaderMap, methods: &'static str) {
    headers.insert(ALLOW, HeaderValue::from_static(methods));
    if methods.contains("QUERY") {
        headers.insert(ACCEPT_QUERY, HeaderValue::from_static(FORM));
    }
}

/// The head of an event stream (B-353).
pub(crate) fn event_stream(body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    forbid_storing(headers);
    headers.insert(http::header::PRAGMA, HeaderValue::from_static("no-cache"));
    headers.insert(http::header::EXPIRES, HeaderValue::from_static("0"));
    headers.insert(BUFFERING, HeaderValue::from_static("no"));
    headers.insert(ACCEPT_QUERY, HeaderValue::from_static(FORM));
    response
}

/// Says that no cache may keep the answer and no proxy change it. `no-transform` also keeps
/// compressing proxies (Node's `compression`, so webpack and Vite, and Cloudflare) from holding the
/// events of a stream back until they have a block of them.
pub fn forbid_storing(headers: &mut HeaderMap) {
    headers.insert(
        CACHE_CONTROL,
        HeaderValue::from_static(
            "private, no-cache, no-transform, no-store, must-revalidate, max-age=0",
        ),
    );
}

/// The refusal of a request that cannot reach the hub, as the hub itself would write it.
pub fn refusal(status: StatusCode, sentence: &str) -> Response<Body> {
    let mut response = plain(status, format!("{sentence}\n"));
    forbid_storing(response.headers_mut());
    protect(response.headers_mut());
    response
}

/// Adds the headers that every response of the hub carries (B-320 to B-323).
pub(crate) fn protect(headers: &mut HeaderMap) {
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(X_XSS_PROTECTION, HeaderValue::from_static("1; mode=block"));
    headers.insert(
        CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'self'"),
    );
}

/// Refuses a subscription for now. A browser gives up for good on any status but 200, so its client
/// gets a stream that ends.
pub(crate) fn refuse_for_now(
    refused: Refused,
    parts: &Parts,
    accepts: EventStream,
) -> Result<Response<Body>, Refused> {
    if accepts == EventStream::Asked {
        refused.log(parts);
        return Ok(event_stream(Body::from(come_back(&refused.for_now()))));
    }
    Err(refused)
}

/// The end of a stream that says why it ends; the browser comes back by itself, jittered.
pub(crate) fn come_back(why: &str) -> String {
    let retry = 2_000 + rand::random_range(0..=3_000_u32);
    format!(": {why}\nretry: {retry}\n\n")
}
