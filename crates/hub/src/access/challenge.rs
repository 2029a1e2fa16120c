//! What a client learns of a refusal (specification, "Error Responses").

use http::{HeaderValue, StatusCode};

/// A refusal by RFC 6750: its status and its `WWW-Authenticate` value (B-447).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Challenge {
    /// No token where one is needed: 401 without a code.
    NoToken,
    /// The token was presented in a malformed way: 400.
    InvalidRequest,
    /// The token is unusable, for whatever reason: 401.
    InvalidToken,
    /// The token does not allow this: 403.
    InsufficientScope,
}

impl Challenge {
    /// The status of the response.
    pub fn status(self) -> StatusCode {
        match self {
            Self::InvalidRequest => StatusCode::BAD_REQUEST,
            Self::NoToken | Self::InvalidToken => StatusCode::UNAUTHORIZED,
            Self::InsufficientScope => StatusCode::FORBIDDEN,
        }
    }

    /// The error code of RFC 6750, section 3.1.
    pub fn error(self) -> Option<&'static str> {
        match self {
            Self::NoToken => None,
            Self::InvalidRequest => Some("invalid_request"),
            Self::InvalidToken => Some("invalid_token"),
            Self::InsufficientScope => Some("insufficient_scope"),
        }
    }

    /// The value of `WWW-Authenticate`; `resource_metadata` is the URL of the hub's protected
    /// resource metadata (RFC 9728). Without one, or with one that no header can carry, the
    /// parameter is left out.
    pub fn header_value(self, resource_metadata: Option<&str>) -> HeaderValue {
        let plain = match self {
            Self::NoToken => "Bearer",
            Self::InvalidRequest => "Bearer error=\"invalid_request\"",
            Self::InvalidToken => "Bearer error=\"invalid_token\"",
            Self::InsufficientScope => "Bearer error=\"insufficient_scope\"",
        };
        resource_metadata
            .filter(|url| !url.contains(['"', '\\']))
            .and_then(|url| {
                let separator = if self == Self::NoToken { " " } else { ", " };
                let value = format!("{plain}{separator}resource_metadata=\"{url}\"");
                HeaderValue::try_from(value).ok()
            })
            .unwrap_or(HeaderValue::from_static(plain))
    }
}
