//! The response to a refused request.

use axum::body::Body;
use http::header::{ACCEPT, ACCEPT_ENCODING, CONNECTION, RETRY_AFTER, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{HeaderValue, Response, StatusCode};
use serde_json::{Value, json};
use talaria_protocol::Generation;

use super::answer::{ACCEPT_QUERY, FORM, Unanswered, allow, event_stream, forbid_storing, plain};
use super::refused::Refused;
use crate::clock::UnixTime;
use crate::engine::retry::come_back;
use crate::http::accept::EventStream;
use crate::statistics::Statistics;
use crate::trace::SpanFailure;

impl Refused {
    /// The status that clients of a generation get.
    pub(crate) fn status_for(&self, answers: Generation) -> StatusCode {
        match answers {
            Generation::V0 => self.older_status(),
            Generation::V1 => self.status(),
        }
    }

    /// The refusal as the failure of a span: the sentence for the client, which says nothing of a token.
    pub(crate) fn as_failure(&self) -> SpanFailure {
        let status = self.status();
        SpanFailure::new(status.as_u16().to_string(), self.body(status).trim_end())
    }

    /// The refusal as the result of one of several updates.
    pub(crate) fn as_result(&self, answers: Generation) -> Value {
        let status = self.status_for(answers);
        json!({ "status": status.as_u16(), "error": self.body(status).trim_end() })
    }

    /// The response to a client of a generation. `resource_metadata` is where the hub's metadata
    /// document lies.
    pub(crate) fn into_response(
        self,
        answers: Generation,
        resource_metadata: Option<&str>,
    ) -> Response<Body> {
        let status = self.status_for(answers);
        let mut body = self.body(status);
        if !body.ends_with('\n') {
            body.push('\n');
        }
        let mut response = plain(status, body);
        let headers = response.headers_mut();
        forbid_storing(headers);
        if let Some(challenge) = self.challenge() {
            headers.insert(WWW_AUTHENTICATE, challenge.header_value(resource_metadata));
        }
        match self {
            Self::Method(_, allowed) => allow(headers, allowed),
            Self::ContentCoding(_) => {
                headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
            }
            Self::QueryMediaType { .. } => {
                headers.insert(ACCEPT_QUERY, HeaderValue::from_static(FORM));
            }
            Self::NotAcceptable(_) => {
                headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
            }
            Self::Exceeded(exceeded) => {
                headers.insert(RETRY_AFTER, exceeded.retry_after().as_secs().into());
            }
            Self::NotStored(_) | Self::Draining | Self::Unavailable => {
                headers.insert(RETRY_AFTER, HeaderValue::from_static("2"));
            }
            Self::BodyTooLarge { .. } | Self::BodyTimeout => {
                // The rest of the body is not read, so the connection cannot be used again.
                headers.insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Self::Unknown => _ = response.extensions_mut().insert(Unanswered),
            _ => {}
        }
        response
    }
}

/// Refuses a subscription for now. A browser does not reconnect after any status but 200, so it gets a
/// stream that ends.
pub(crate) fn refuse_for_now(
    refused: Refused,
    parts: &Parts,
    accepts: EventStream,
    statistics: &Statistics,
    at: UnixTime,
) -> Result<Response<Body>, Refused> {
    if accepts == EventStream::Asked {
        refused.log(parts);
        refused.count(statistics, refused.status(), at);
        return Ok(event_stream(Body::from(come_back(&refused.for_now()))));
    }
    Err(refused)
}
