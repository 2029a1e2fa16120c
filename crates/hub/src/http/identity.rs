//! Under which URLs clients reach the hub, and which of them a token may name.

use std::sync::Arc;

use http::request::Parts;
use talaria_protocol::HUB_PATH;

use crate::http::connection::Connection;
use crate::http::host::{self, Authority, HostError, SiteOrigin, host_of};
use crate::http::respond::Refused;
use crate::options::HubOptions;
use crate::rule::Rule;

/// The scheme and the authority of a request, from which the hub's URL is derived if none is pinned
/// (B-420).
pub(crate) fn scheme_and_authority(parts: &Parts) -> Option<(&'static str, Authority<'_>)> {
    let host = host_of(parts).ok().flatten()?;
    Some((if is_tls(parts) { "https" } else { "http" }, host))
}

/// Whether the public URL of the hub is an HTTPS URL, even if a proxy in front terminates TLS.
pub(crate) fn is_https_only(options: &HubOptions) -> bool {
    let is_https = |url: &str| url.starts_with("https://");
    let public = &options.public_origins;
    match &options.resource_identifier {
        Some(pinned) => is_https(pinned),
        None => !public.is_empty() && public.iter().all(|origin| is_https(origin)),
    }
}

/// The resource identifier of the hub, which the `aud` of a token must contain (specification, "Token
/// Validation").
///
/// # Errors
/// If no identifier is pinned and the request does not name a host to derive it from.
pub(crate) fn audience(options: &HubOptions, parts: &Parts) -> Result<String, HostError> {
    let own = own_audiences(options, Reached::of(parts).as_ref());
    own.into_iter().next().ok_or(HostError::Missing)
}

/// Where a request reached the hub, which says what the hub is called if its name is not pinned.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Reached {
    scheme: &'static str,
    authority: Box<str>,
    /// The origin of the site address that answered.
    site: Option<Arc<str>>,
}

impl Reached {
    /// `None` if the request names no host.
    pub(crate) fn of(parts: &Parts) -> Option<Self> {
        let (scheme, authority) = scheme_and_authority(parts)?;
        let site = parts.extensions.get::<SiteOrigin>();
        Some(Self {
            scheme,
            authority: authority.as_str().into(),
            site: site.map(|SiteOrigin(site)| Arc::clone(site)),
        })
    }
}

/// The URLs of the hub itself: the pinned one, else the URL of the request, as the client wrote it and in
/// its canonical form. A client cannot choose the identity of the hub by naming another port of a site.
fn own_audiences(options: &HubOptions, reached: Option<&Reached>) -> Vec<String> {
    if let Some(pinned) = &options.resource_identifier {
        return vec![pinned.clone()];
    }
    let Some(reached) = reached else {
        return Vec::new();
    };
    let Ok(authority) = Authority::parse(&reached.authority) else {
        return Vec::new();
    };
    let scheme = reached.scheme;
    let own = authority.origin(scheme);
    let url = |origin: &str| format!("{origin}{HUB_PATH}");
    // With `public_urls`, a request can name only what is listed there.
    if let Some(site) = &reached.site
        && options.public_origins.is_empty()
        && **site != *own
    {
        // Quick starts of both generations name the default port, to which the port of a container
        // is published; and this rule accepts tokens that do not name a hub at all.
        let default = host::origin(scheme, &authority.host(), None);
        let is_usual = options.rule == Rule::Classic && own == default;
        if !is_usual {
            return vec![url(site)];
        }
    }
    let mut urls = vec![url(&format!("{scheme}://{}", authority.as_str()))];
    let own = url(&own);
    if !urls.contains(&own) {
        urls.push(own);
    }
    urls
}

/// The URLs of which the `aud` of a token must contain one, for a request that reached the hub there.
pub(crate) fn audiences(options: &HubOptions, reached: Option<&Reached>) -> Vec<String> {
    let mut audiences = own_audiences(options, reached);
    for more in &options.accepted_audiences {
        if !audiences.contains(more) {
            audiences.push(more.clone());
        }
    }
    audiences
}

/// Refuses a request whose origin, as received, is not one of `public_urls` (B-421).
pub(crate) fn check_public_origin(options: &HubOptions, parts: &Parts) -> Result<(), Refused> {
    let public = &options.public_origins;
    if public.is_empty() {
        return Ok(());
    }
    let origin = scheme_and_authority(parts);
    let received = origin.map_or_else(String::new, |(scheme, host)| {
        format!("{scheme}://{}", host.as_str().to_ascii_lowercase())
    });
    if public.contains(&received) {
        return Ok(());
    }
    Err(Refused::Misdirected {
        received,
        accepted: public.join(" "),
    })
}

pub(crate) fn is_tls(parts: &Parts) -> bool {
    parts
        .extensions
        .get::<Connection>()
        .is_some_and(|connection| connection.tls)
}
