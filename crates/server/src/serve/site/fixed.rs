//! Answers that need nothing but the request: `respond` and `redir`.

use axum::body::Body;
use http::header::{
    CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH,
    IF_RANGE, IF_UNMODIFIED_SINCE, LOCATION, RANGE, TRANSFER_ENCODING,
};
use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode};
use talaria_config::settings::Template;
use talaria_hub::{plain, refusal};

use super::values::View;

/// A fixed answer, and its type unless `header` sets another one. Without a status it has that of the error that is
/// answered.
pub(super) fn respond(
    view: &View<'_>,
    status: Option<u16>,
    body: &Template,
    closes: bool,
) -> (Response<Body>, Option<&'static str>) {
    let failure = view.notes.failure.as_ref();
    let otherwise = failure.map_or(StatusCode::OK, |failure| failure.status);
    let status = status.and_then(|status| StatusCode::from_u16(status).ok());
    let text = view.fill(body);
    let text_type = type_of(&text);
    let mut answer = plain(status.unwrap_or(otherwise), text);
    answer.headers_mut().remove(CONTENT_TYPE);
    if closes {
        let close = HeaderValue::from_static("close");
        answer.headers_mut().insert(CONNECTION, close);
    }
    (answer, text_type)
}

/// A redirect.
pub(super) fn redirect(view: &View<'_>, status: u16, to: &Template) -> Response<Body> {
    let Ok(location) = HeaderValue::try_from(view.fill_location(to)) else {
        return refusal(
            StatusCode::BAD_REQUEST,
            "the target of the redirect holds a character that no header field can carry",
        );
    };
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::FOUND);
    let mut answer = plain(status, "");
    answer.headers_mut().remove(CONTENT_TYPE);
    answer.headers_mut().insert(LOCATION, location);
    answer
}

/// The head of a request without a body that asks for the page of an error: a whole page, whatever the client has
/// already.
pub(super) fn for_error_page(mut head: Parts) -> Parts {
    if head.method != Method::HEAD {
        head.method = Method::GET;
    }
    for name in [
        CONTENT_LENGTH,
        EXPECT,
        TRANSFER_ENCODING,
        IF_MATCH,
        IF_MODIFIED_SINCE,
        IF_NONE_MATCH,
        IF_RANGE,
        IF_UNMODIFIED_SINCE,
        RANGE,
    ] {
        head.headers.remove(name);
    }
    head
}

/// The type of a fixed text.
fn type_of(text: &str) -> Option<&'static str> {
    let is_json =
        text.starts_with(['{', '[']) && serde_json::from_str::<serde_json::Value>(text).is_ok();
    match (text.is_empty(), is_json) {
        (true, _) => None,
        (false, true) => Some("application/json"),
        (false, false) => Some("text/plain; charset=utf-8"),
    }
}
