//! Answers: their heads, and the headers that all of them carry.

use axum::body::Body;
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS, X_XSS_PROTECTION,
};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use talaria_protocol::error::Shown;

/// The media type of publishes and of `QUERY` bodies.
pub(crate) const FORM: &str = "application/x-www-form-urlencoded";

pub(super) const ACCEPT_QUERY: HeaderName = HeaderName::from_static("accept-query");
const BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// A response with this in its extensions must not be sent. Its connection, or over HTTP/2 its stream, is
/// closed unanswered, because it is unknown whether the update was stored.
#[derive(Debug, Clone, Copy)]
pub struct Unanswered;

/// Text that a client chose, as a field of the log: short and escaped.
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

/// Says of which media type a response is.
pub(crate) fn put_type(response: &mut Response<Body>, media_type: &'static str) {
    let media_type = HeaderValue::from_static(media_type);
    response.headers_mut().insert(CONTENT_TYPE, media_type);
}

/// The answer to `OPTIONS`.
pub(crate) fn allowed(methods: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    allow(response.headers_mut(), methods);
    response
}

pub(super) fn allow(headers: &mut HeaderMap, methods: &'static str) {
    headers.insert(ALLOW, HeaderValue::from_static(methods));
    if methods.contains("QUERY") {
        headers.insert(ACCEPT_QUERY, HeaderValue::from_static(FORM));
    }
}

/// The response with an event stream as its body (B-353).
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

/// Forbids caches to keep the answer and proxies to change it. `no-transform` also keeps compressing
/// proxies (Cloudflare, and Node's `compression` in webpack and Vite) from holding back the events of a
/// stream until they have a block of them.
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

/// Adds the headers that every response of the hub carries (B-320 to B-323). A page keeps its stricter policy.
pub(crate) fn protect(headers: &mut HeaderMap) {
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(X_XSS_PROTECTION, HeaderValue::from_static("1; mode=block"));
    headers
        .entry(CONTENT_SECURITY_POLICY)
        .or_insert(HeaderValue::from_static("default-src 'self'"));
}
