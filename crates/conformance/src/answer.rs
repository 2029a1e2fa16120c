//! A whole answer to a request.

use http::{HeaderMap, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;

use crate::within;

/// A finished answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status code.
    pub status: StatusCode,
    /// The header fields.
    pub headers: HeaderMap,
    /// The body as text.
    pub text: String,
}

impl Answer {
    /// The value of a header field that occurs at most once, or `""`.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        single(&self.headers, name)
    }
}

/// The value of a header field that occurs at most once, or `""`.
#[must_use]
pub fn single<'h>(headers: &'h HeaderMap, name: &str) -> &'h str {
    let mut values = headers.get_all(name).iter();
    let value = values.next().map_or("", |value| {
        std::str::from_utf8(value.as_bytes()).expect("field values are UTF-8")
    });
    assert!(values.next().is_none(), "{name} occurs more than once");
    value
}

/// Reads the rest of an answer.
pub async fn finish(answer: Response<Incoming>) -> Answer {
    let (parts, body) = answer.into_parts();
    let body = within("the end of an answer", body.collect())
        .await
        .expect("the answer ends")
        .to_bytes();
    let text = String::from_utf8(body.to_vec()).expect("answers are UTF-8");
    Answer {
        status: parts.status,
        headers: parts.headers,
        text,
    }
}
