//! Where a request carries its token (specification, "Presenting the Access Token").

use std::fmt;

use http::HeaderMap;
use http::header::{AUTHORIZATION, COOKIE};

/// The least length of a token in the `Authorization` header, in bytes (B-441).
const MIN_TOKEN_BYTES: usize = 41;

/// The prefix that makes browsers keep a cookie from connections without TLS.
const SECURE_PREFIX: &str = "__Secure-";

/// How a client presented a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// In the `Authorization` header.
    Header,
    /// In the query parameter `authorization` of Mercure 0.x (B-617, B-652).
    Query,
    /// In a cookie, which a browser sends by itself. So the page that made it do so must be checked.
    Cookie,
}

/// A token as a client presented it; it is not verified yet. Its `Debug` form hides the token.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Presented {
    /// The token.
    pub(crate) token: String,
    /// How the client presented it.
    pub(crate) source: Source,
}

impl fmt::Debug for Presented {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Presented")
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}

/// A malformed `Authorization` header: 400 with `invalid_request`. The text never quotes the header
/// (B-441).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum PresentationError {
    /// Several header fields.
    #[error("the request has more than one Authorization header; send one")]
    Repeated,
    /// The header is not `Bearer`, spaces and a token.
    #[error(
        "the Authorization header does not have the form \"Bearer <token>\"; write the scheme, a \
         space and the token"
    )]
    NotBearer,
    /// Another authentication scheme.
    #[error(
        "the Authorization header has the scheme {0}, not Bearer; send \"Bearer <token>\" (a proxy \
         that adds {0} must not do so here)"
    )]
    OtherScheme(&'static str),
    /// Shorter than any signed token.
    #[error(
        "the bearer token in the Authorization header has {bytes} bytes, fewer than the \
         {MIN_TOKEN_BYTES} of any signed token; send the whole token"
    )]
    TooShort {
        /// Its length in bytes.
        bytes: usize,
    },
    /// A character that no token may have (RFC 6750, section 2.1).
    #[error(
        "the bearer token in the Authorization header has characters that no token has, such as \
         spaces, commas or quotes; send the bare token"
    )]
    BadCharacters,
}

impl PresentationError {
    /// A stable name for the log.
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::Repeated => "authorization_repeated",
            Self::NotBearer | Self::OtherScheme(_) => "authorization_not_bearer",
            Self::TooShort { .. } => "bearer_token_too_short",
            Self::BadCharacters => "bearer_token_bad_characters",
        }
    }
}

/// The cookie of Mercure 0.x (B-616, B-650).
pub(crate) const OLDER_COOKIE: &str = "mercureAuthorization";

/// The token in the query parameter of Mercure 0.x. The parameter is ignored if it occurs twice or is too
/// short for a token (B-617).
pub(crate) fn in_query(query: &str) -> Option<String> {
    let mut found = None;
    for pair in talaria_protocol::form::pairs(query.as_bytes()) {
        let (name, value) = pair.ok()?;
        if name == "authorization" && found.replace(value).is_some() {
            return None;
        }
    }
    let token = found.filter(|token| token.len() >= MIN_TOKEN_BYTES)?;
    Some(token.into_owned())
}

/// The names under which the cookie is read. Without TLS browsers reject the prefix `__Secure-`, so the
/// cookie is read there with and without the prefix (B-1003).
pub(crate) fn cookie_names(configured: &str, tls: bool) -> Vec<String> {
    let other = match configured.strip_prefix(SECURE_PREFIX) {
        Some(bare) => bare.to_owned(),
        None => format!("{SECURE_PREFIX}{configured}"),
    };
    let mut names = vec![configured.to_owned()];
    if !tls {
        names.push(other);
    }
    names
}

/// Finds the token of a request. The `Authorization` header takes precedence, even if it is malformed,
/// then `query`, then the first cookie that is not empty; earlier names take precedence (B-440).
///
/// # Errors
/// A malformed `Authorization` header.
pub(crate) fn present(
    headers: &HeaderMap,
    query: Option<&str>,
    cookie_names: &[String],
) -> Result<Option<Presented>, PresentationError> {
    let mut fields = headers.get_all(AUTHORIZATION).iter();
    if let Some(field) = fields.next() {
        if fields.next().is_some() {
            return Err(PresentationError::Repeated);
        }
        return bearer(field.as_bytes()).map(|token| {
            Some(Presented {
                token: token.to_owned(),
                source: Source::Header,
            })
        });
    }
    if let Some(token) = query.and_then(in_query) {
        return Ok(Some(Presented {
            token,
            source: Source::Query,
        }));
    }
    Ok(cookie_names
        .iter()
        .find_map(|name| cookie(headers, name))
        .map(|token| Presented {
            token,
            source: Source::Cookie,
        }))
}

/// Schemes that an error may name. Another word may be a token that was sent without its scheme.
const OTHER_SCHEMES: [&str; 10] = [
    "Basic",
    "Digest",
    "DPoP",
    "JWT",
    "Key",
    "Mercure",
    "Negotiate",
    "NTLM",
    "OAuth",
    "Token",
];

/// The token of an `Authorization` value. Any number of spaces may precede it (RFC 6750, section 2.1;
/// RFC 9110, section 11.4).
fn bearer(value: &[u8]) -> Result<&str, PresentationError> {
    // hyper removes the white space around a value of HTTP/1.1, but not of HTTP/2.
    let value = value.trim_ascii();
    let end = value.iter().position(|&byte| byte == b' ');
    let (scheme, after) = value.split_at(end.unwrap_or(value.len()));
    let spaces = after.iter().take_while(|&&byte| byte == b' ').count();
    let token = after.get(spaces..).unwrap_or_default();
    if !scheme.eq_ignore_ascii_case(b"Bearer") || token.is_empty() {
        let mut others = OTHER_SCHEMES.into_iter();
        return Err(others
            .find(|other| scheme.eq_ignore_ascii_case(other.as_bytes()))
            .map_or(PresentationError::NotBearer, PresentationError::OtherScheme));
    }
    let padding = token.iter().rev().take_while(|&&byte| byte == b'=').count();
    if !token.iter().take(token.len() - padding).all(|byte| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'/')
    }) {
        return Err(PresentationError::BadCharacters);
    }
    if token.len() < MIN_TOKEN_BYTES {
        return Err(PresentationError::TooShort { bytes: token.len() });
    }
    std::str::from_utf8(token).map_err(|_| PresentationError::BadCharacters)
}

/// The value of the first cookie of a name that is not empty (RFC 6265, section 5.4).
fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    headers
        .get_all(COOKIE)
        .iter()
        .flat_map(|field| field.as_bytes().split(|&byte| byte == b';'))
        .filter_map(|pair| {
            let at = pair.iter().position(|&byte| byte == b'=')?;
            let (key, value) = pair.split_at_checked(at)?;
            (key.trim_ascii() == name.as_bytes()).then_some(value)
        })
        .map(|value| {
            let value = value.strip_prefix(b"=").unwrap_or(value).trim_ascii();
            // A value may stand in quotes (RFC 6265, section 4.1.1).
            value
                .strip_prefix(b"\"")
                .and_then(|value| value.strip_suffix(b"\""))
                .unwrap_or(value)
        })
        .find(|value| !value.is_empty())
        .map(|value| String::from_utf8_lossy(value).into_owned())
}
