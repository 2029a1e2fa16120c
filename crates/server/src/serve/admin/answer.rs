//! The answers of the admin listener.

use axum::body::Body;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, LOCATION};
use http::{HeaderValue, Response, StatusCode};
use serde_json::json;

/// An answer of JSON.
pub(super) fn json(status: StatusCode, value: &serde_json::Value) -> Response<Body> {
    text(status, "application/json", format!("{value}\n"))
}

/// A refusal: a JSON object with one `error` (B-097).
pub(super) fn error(status: StatusCode, sentence: &str) -> Response<Body> {
    json(status, &json!({ "error": sentence }))
}

/// A refusal of a method; `allowed` names the others.
pub(super) fn method(allowed: &'static str) -> Response<Body> {
    let sentence = format!("this method is not allowed here; use {allowed}");
    let mut response = error(StatusCode::METHOD_NOT_ALLOWED, &sentence);
    let allowed = HeaderValue::from_static(allowed);
    response.headers_mut().insert(ALLOW, allowed);
    response
}

/// Leads to another path of the listener.
pub(super) fn redirect(path: &'static str) -> Response<Body> {
    let mut response = empty(StatusCode::FOUND);
    let headers = response.headers_mut();
    headers.insert(LOCATION, HeaderValue::from_static(path));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// An answer without a body.
pub(super) fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// An answer of a media type. No cache keeps it.
pub(super) fn text(
    status: StatusCode,
    kind: &'static str,
    text: impl Into<Body>,
) -> Response<Body> {
    let mut response = Response::new(text.into());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
