//! Why a request is refused, and with which status.

use std::borrow::Cow;

use http::{Method, StatusCode};
use talaria_protocol::{Action, Blame, ProtocolError};

use crate::access::{Challenge, PresentationError, Refusal, SourceOriginError};
use crate::http::body::bound::BodyBound;
use crate::http::host::HostError;
use crate::limits::Exceeded;

/// Why a request is refused, and so how.
#[derive(Debug)]
pub(crate) enum Refused {
    /// 400: the host of the request.
    Host(HostError),
    /// 421: the origin of the request is not a public one (B-421).
    Misdirected { received: String, accepted: String },
    /// 404: the path, which is not a resource of the hub.
    NotFound(String),
    /// 405: the method, and the methods that are allowed.
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
    /// 400 or 413: the content.
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
    /// 406: the `Accept` of a subscription, which excludes event streams.
    NotAcceptable(String),
    /// 408: the body did not arrive in time.
    BodyTimeout,
    /// 400: the body ended early.
    BodyBroken,
    /// 413: the bound, and the length in bytes if that was declared.
    BodyTooLarge {
        bound: BodyBound,
        declared: Option<u64>,
    },
    /// 413: more topics than the issuer's publishers may give an update.
    TooManyTopics { count: usize, most: u64 },
    /// 413: too many updates in one request.
    TooManyUpdates { count: usize, most: usize },
    /// 429: the client holds too much, or all do.
    Exceeded(Exceeded),
    /// 503: the updates are not stored, and will not be.
    NotStored(&'static str),
    /// 503: the hub is stopping.
    Draining,
    /// 503: the log cannot be read now.
    Unavailable,
    /// The connection is closed unanswered, because the outcome is unknown.
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
    /// The status by the specification. Clients of 0.x get [`Self::older_status`].
    pub(super) fn status(&self) -> StatusCode {
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
            Self::BodyTooLarge { .. }
            | Self::TooManyTopics { .. }
            | Self::TooManyUpdates { .. } => StatusCode::PAYLOAD_TOO_LARGE,
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

    /// The status that clients of 0.x expect (B-632 to B-635).
    pub(super) fn older_status(&self) -> StatusCode {
        match self {
            Self::Presentation(_) | Self::Origin(_) | Self::Scope { .. } => {
                StatusCode::UNAUTHORIZED
            }
            Self::Content(error) if error.blame == Blame::Reserved => StatusCode::FORBIDDEN,
            _ => self.status(),
        }
    }

    /// Why a subscription is refused for now, and will be served later.
    pub(super) fn for_now(&self) -> Cow<'static, str> {
        match self {
            Self::Exceeded(exceeded) => exceeded.to_string().into(),
            Self::Draining => "the hub is stopping".into(),
            _ => "the log cannot be read now".into(),
        }
    }

    pub(super) fn challenge(&self) -> Option<Challenge> {
        match self {
            Self::Presentation(_) | Self::Origin(_) => Some(Challenge::InvalidRequest),
            Self::NoToken => Some(Challenge::NoToken),
            Self::Token(_) => Some(Challenge::InvalidToken),
            Self::Scope { .. } => Some(Challenge::InsufficientScope),
            _ => None,
        }
    }
}
