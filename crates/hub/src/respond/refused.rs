//! Why a request is refused, and the response and the line of the log for it.

use std::borrow::Cow;

use axum::body::Body;
use http::header::{ACCEPT, ACCEPT_ENCODING, CONNECTION, RETRY_AFTER, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode};
use serde_json::{Value, json};
use talaria_protocol::{Action, Blame, Generation, ProtocolError};

use super::{ACCEPT_QUERY, FORM, Unanswered, allow, field, forbid_storing, plain};
use crate::access::{Challenge, PresentationError, Refusal, SourceOriginError};
use crate::body::BodyBound;
use crate::host::HostError;
use crate::limits::Exceeded;
use crate::{Connection, Sender};

/// Why a request is refused, and so how.
#[derive(Debug)]
pub(crate) enum Refused {
    /// 400, the request's authority.
    Host(HostError),
    /// 421 (B-421).
    Misdirected { received: String, accepted: String },
    /// 404 with the path.
    NotFound(String),
    /// 405 with what is allowed.
    Method(Method, &'static str),
    /// 400 `invalid_request`: the token's presentation.
    Presentation(PresentationError),
    /// 400 `invalid_request`: the origin of a publish by cookie.
    Origin(SourceOriginError),
    /// 401 without a code.
    NoToken,
    /// 401 `invalid_token`.
    Token(Refusal),
    /// 403 `insufficient_scope`.
    Scope { action: Action, topic: String },
    /// 400 or 413, the content.
    Content(ProtocolError),
    /// 400: a publish's media type, as received.
    PublishMediaType(Option<String>),
    /// 400 or 415: a `QUERY`'s media type.
    QueryMediaType {
        received: Option<String>,
        unreadable: bool,
    },
    /// 415: a compressed body, with its coding.
    ContentCoding(String),
    /// 406 with what is accepted.
    NotAcceptable(String),
    /// 408: the body did not come in time.
    BodyTimeout,
    /// 400: the body broke off.
    BodyBroken,
    /// 413: the bound, and the length in bytes if that was declared.
    BodyTooLarge {
        bound: BodyBound,
        declared: Option<u64>,
    },
    /// 413: too many updates in one request.
    TooManyUpdates { count: usize, most: usize },
    /// 429: the client holds too much, or all do.
    Exceeded(Exceeded),
    /// 503: not stored, and never will be.
    NotStored(&'static str),
    /// 503: the hub is stopping.
    Draining,
    /// 503: the log cannot be read now.
    Unavailable,
    /// The connection closes unanswered.
    Unknown,
}

impl From<ProtocolError> for Refused {
    fn from(error: ProtocolError) -> Self {
        Self::Content(error)
    }
}

impl From<Exceeded> for Refused {
    fn from(exceeded: Exceeded) -> Self {
        Self::Exceeded(exceeded)
    }
}

impl Refused {
    /// The status by the specification; what 0.x clients expect instead is in [`Self::older_status`].
    fn status(&self) -> StatusCode {
        match self {
            Self::Host(_) | Self::PublishMediaType(_) | Self::BodyBroken => StatusCode::BAD_REQUEST,
            Self::Misdirected { .. } => StatusCode::MISDIRECTED_REQUEST,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::Method(..) => StatusCode::METHOD_NOT_ALLOWED,
            Self::Content(error) => match error.blame {
                Blame::Malformed | Blame::Reserved => StatusCode::BAD_REQUEST,
                Blame::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
                Blame::Token => StatusCode::UNAUTHORIZED,
            },
            Self::QueryMediaType {
                unreadable: true, ..
            } => StatusCode::BAD_REQUEST,
            Self::QueryMediaType { .. } | Self::ContentCoding(_) => {
                StatusCode::UNSUPPORTED_MEDIA_TYPE
            }
            Self::NotAcceptable(_) => StatusCode::NOT_ACCEPTABLE,
            Self::BodyTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::BodyTooLarge { .. } | Self::TooManyUpdates { .. } => {
                StatusCode::PAYLOAD_TOO_LARGE
            }
            Self::Exceeded(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::NotStored(_) | Self::Draining | Self::Unavailable => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::Unknown => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Presentation(_)
            | Self::Origin(_)
            | Self::NoToken
            | Self::Token(_)
            | Self::Scope { .. } => self
                .challenge()
                .map_or(StatusCode::UNAUTHORIZED, Challenge::status),
        }
    }

    /// The status for clients of 0.x (B-632 to B-635).
    fn older_status(&self) -> StatusCode {
        match self {
            Self::Presentation(_) | Self::Origin(_) | Self::Scope { .. } => {
                StatusCode::UNAUTHORIZED
            }
            Self::Content(error) if error.blame == Blame::Reserved => StatusCode::FORBIDDEN,
            _ => self.status(),
        }
    }

    /// Why a subscription is refused that will be served when its client comes back.
    pub(super) fn for_now(&self) -> Cow<'static, str> {
        match self {
            Self::Exceeded(exceeded) => exceeded.to_string().into(),
            Self::Draining => "the hub is stopping".into(),
            _ => "the log cannot be read now".into(),
        }
    }

    fn challenge(&self) -> Option<Challenge> {
        match self {
            Self::Presentation(_) | Self::Origin(_) => Some(Challenge::InvalidRequest),
            Self::NoToken => Some(Challenge::NoToken),
            Self::Token(_) => Some(Challenge::InvalidToken),
            Self::Scope { .. } => Some(Challenge::InsufficientScope),
            _ => None,
        }
    }

    /// Logs one line for the operator: who was refused, why, and what to do.
    pub(crate) fn log(&self, parts: &Parts) {
        let Sender { peer, client } = Sender::of(parts.extensions.get());
        let method = field(parts.method.as_str());
        let path = field(parts.uri.path());
        match self {
            Self::Presentation(error) => {
                let reason = error.code();
                tracing::info!(reason, method, path, peer, client, "token refused: {error}");
            }
            Self::Origin(error) => {
                let reason = error.code();
                tracing::info!(
                    reason,
                    method,
                    path,
                    peer,
                    client,
                    "publish by cookie refused: {error}"
                );
            }
            Self::NoToken => tracing::info!(
                reason = "no_token",
                method,
                path,
                peer,
                client,
                "request refused: it carries no token; send one in the Authorization header or the cookie, or allow subscribers without one by `anonymous`"
            ),
            Self::Token(refusal) => {
                let reason = refusal.code();
                tracing::info!(
                    reason,
                    method,
                    path,
                    peer,
                    client,
                    "token refused: {refusal}"
                );
            }
            Self::Scope { action, topic } => tracing::info!(
                reason = "insufficient_scope",
                topic = field(topic),
                method,
                path,
                peer,
                client,
                "request refused: the token does not grant the action {} on this topic",
                action.name()
            ),
            Self::Misdirected { received, accepted } => {
                tracing::info!(
                    reason = "misdirected",
                    received = field(received),
                    accepted,
                    peer,
                    client,
                    "request refused: its origin is not in public_urls; list it as this hub receives it (behind a proxy that takes TLS off, with http://)"
                );
            }
            Self::Exceeded(exceeded) => {
                // The address that is charged.
                let connection = parts.extensions.get::<Connection>();
                let client = connection.and_then(Connection::client_address);
                tracing::warn!(
                    reason = "limit_exceeded",
                    limit = exceeded.directive(),
                    method,
                    path,
                    peer,
                    client = client.map(tracing::field::display),
                    "request refused: {exceeded}"
                );
            }
            Self::NotStored(why) => {
                tracing::error!(
                    reason = "not_stored",
                    peer,
                    client,
                    "publish refused: {why}"
                );
            }
            Self::Unknown => tracing::error!(
                reason = "unknown_outcome",
                peer,
                client,
                "whether an update was stored is unknown; its publisher is not answered"
            ),
            other => {
                let status = other.status();
                let text = other.body(status);
                let status = status.as_u16();
                tracing::debug!(status, method, path, peer, client, "{text}");
            }
        }
    }

    fn status_for(&self, answers: Generation) -> StatusCode {
        match answers {
            Generation::V0 => self.older_status(),
            Generation::V1 => self.status(),
        }
    }

    /// The same as the result of one of several updates.
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
                // The rest of the body is not wanted, so the connection cannot go on.
                headers.insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Self::Unknown => _ = response.extensions_mut().insert(Unanswered),
            _ => {}
        }
        response
    }
}
