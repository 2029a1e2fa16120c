//! What a client learns of a refusal (specification, "Error Responses").

use http::{HeaderValue, StatusCode};

/// What a client learns of a refusal: the status and the `WWW-Authenticate` value, whose error codes are
/// those of RFC 6750, section 3.1 (B-447).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Challenge {
    /// A token is needed and missing: 401 without a code.
    NoToken,
    /// The token was presented in a malformed way: 400.
    InvalidRequest,
    /// The token is unusable: 401. The client does not learn why.
    InvalidToken,
    /// The token does not allow this: 403.
    InsufficientScope,
}

impl Challenge {
    /// The status of the response.
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::InvalidRequest => StatusCode::BAD_REQUEST,
            Self::NoToken | Self::InvalidToken => StatusCode::UNAUTHORIZED,
            Self::InsufficientScope => StatusCode::FORBIDDEN,
        }
    }

    /// The value of `WWW-Authenticate`; `resource_metadata` is the URL of the hub's protected
    /// resource metadata (RFC 9728). The parameter is left out if there is no such URL, or if a header
    /// cannot carry it.
    pub(crate) fn header_value(self, resource_metadata: Option<&str>) -> HeaderValue {
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
