//! Which pages may publish with a browser's cookie (B-390 to B-392, B-1044).

use http::HeaderMap;
use http::header::{ORIGIN, REFERER};
use talaria_protocol::error::Shown;
use url::{Position, Url};

use crate::access::origin::Origins;

/// Why a publish with a cookie is refused: 400 with `invalid_request`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum SourceOriginError {
    /// Several `Origin` fields, or bytes that are not text.
    #[error("the request has a malformed or repeated Origin header; send one")]
    Malformed,
    /// Neither `Origin` nor `Referer`.
    #[error(
        "a publish with a cookie has neither Origin nor Referer, so the hub cannot tell which page \
         sent it; send the token in the Authorization header instead"
    )]
    Missing,
    /// A `Referer` that is not a URL with an origin.
    #[error("the Referer {} is not an absolute URL; send an Origin header", Shown(.0))]
    BadReferer(String),
    /// A page whose origin may not publish.
    #[error(
        "a publish with a cookie came from origin {}, but only {} (this hub itself) and \
         publish_origins ({accepted}) are accepted; add the origin to publish_origins",
        Shown(.received), Shown(.own)
    )]
    NotAllowed {
        /// The origin of the page.
        received: String,
        /// The origin of the request's target.
        own: String,
        /// The configured origins.
        accepted: String,
    },
}

impl SourceOriginError {
    /// A stable name for the log.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Malformed => "origin_malformed",
            Self::Missing => "origin_missing",
            Self::BadReferer(_) => "referer_malformed",
            Self::NotAllowed { .. } => "origin_not_allowed",
        }
    }
}

/// The origin under which a request reached the hub.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OwnOrigin<'a> {
    /// `http` or `https`.
    pub(crate) scheme: &'a str,
    /// `Host` or `:authority`.
    pub(crate) authority: &'a str,
    /// Whether the hub's public URL begins with `https`, even if a proxy in front takes TLS off. Pages of
    /// `http` may not publish then: an attacker in the network could have written them.
    pub(crate) https_only: bool,
}

/// Checks which page sent a `POST` whose token came from a cookie, by its `Origin` or, without that, its
/// `Referer`. The origin of the hub itself and `publish_origins` are accepted.
///
/// If the request came by `http`, an `https` origin of the same host is the hub's own too, with the
/// request's port or the default one: a proxy took TLS off, and may have changed the port.
///
/// # Errors
/// See [`SourceOriginError`].
pub(crate) fn check_source_origin(
    headers: &HeaderMap,
    own: OwnOrigin<'_>,
    publish_origins: &Origins,
) -> Result<(), SourceOriginError> {
    let received = source_of(headers)?;
    let OwnOrigin {
        scheme, authority, ..
    } = own;
    let url = Url::parse(&format!("{scheme}://{authority}/")).ok();
    let is_own = match (&url, Url::parse(&received)) {
        (Some(url), Ok(page)) => {
            let is_safe = !own.https_only || page.scheme() == "https";
            is_safe && is_own(url, &page, &received)
        }
        _ => false,
    };
    if is_own || publish_origins.allows(&received) {
        return Ok(());
    }
    let scheme = if own.https_only { "https" } else { scheme };
    Err(SourceOriginError::NotAllowed {
        received,
        own: url.map_or_else(
            || format!("{scheme}://{authority}"),
            |url| match own.https_only {
                true => format!("https://{}", url.authority()),
                false => url.origin().ascii_serialization(),
            },
        ),
        accepted: publish_origins.to_string(),
    })
}

fn source_of(headers: &HeaderMap) -> Result<String, SourceOriginError> {
    let mut origins = headers.get_all(ORIGIN).iter();
    if let Some(origin) = origins.next() {
        return match (origin.to_str(), origins.next()) {
            (Ok(origin), None) => Ok(origin.to_owned()),
            _ => Err(SourceOriginError::Malformed),
        };
    }
    let referer = headers.get(REFERER).ok_or(SourceOriginError::Missing)?;
    let referer = String::from_utf8_lossy(referer.as_bytes()).into_owned();
    match Url::parse(&referer).map(|url| url.origin()) {
        Ok(origin) if origin.is_tuple() => Ok(origin.ascii_serialization()),
        _ => Err(SourceOriginError::BadReferer(referer)),
    }
}

fn is_own(own: &Url, page: &Url, received: &str) -> bool {
    // A browser sends an origin and nothing else.
    let bare = page.username().is_empty()
        && page.password().is_none()
        && matches!(&page[Position::BeforePath..], "/" | "")
        && !received.ends_with('/');
    if !bare || own.host() != page.host() {
        return false;
    }
    if own.scheme() == page.scheme() {
        return own.port_or_known_default() == page.port_or_known_default();
    }
    // `port()` is `None` for the scheme's default, so 80 here corresponds to 443 there.
    own.scheme() == "http"
        && page.scheme() == "https"
        && (page.port().is_none() || page.port() == own.port())
}
