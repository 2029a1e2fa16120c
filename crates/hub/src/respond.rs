//! The only place where refusals become HTTP.

use std::borrow::Cow;

use axum::body::Body;
use http::header::{
    ACCEPT, ACCEPT_ENCODING, ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_SECURITY_POLICY,
    CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
    X_XSS_PROTECTION,
};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};
use serde_json::{Value, json};
use talaria_protocol::error::Shown;
use talaria_protocol::{Action, Blame, Generation, ProtocolError};

mod sentence;

use crate::accept::EventStream;
use crate::access::{Challenge, PresentationError, Refusal, SourceOriginError};
use crate::body::BodyBound;
use crate::host::HostError;
use crate::limits::Exceeded;
use crate::{Connection, Sender};

/// The media type of publishes and of `QUERY` bodies.
pub(crate) const FORM: &str = "application/x-www-form-urlencoded";

const ACCEPT_QUERY: HeaderName = HeaderName::from_static("accept-query");
const BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// In a response's extensions: this response must not be sent; the connection (HTTP/2: the
/// stream) closes unanswered, because whether the update was stored is unknown.
#[derive(Debug, Clone, Copy)]
pub struct Unanswered;

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
    fn for_now(&self) -> Cow<'static, str> {
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
