//! The pages that a hub has for people: the debugger, which is a playground too, and what it asks for.

mod assets;
mod facts;
mod playground;

use axum::body::Body;
use http::header::{CONTENT_SECURITY_POLICY, LOCATION};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};
use talaria_protocol::HUB_PATH;

use self::assets::Asset;
use crate::http::respond::{self, Refused};
use crate::http::shared::Shared;
use crate::options::PageOptions;

/// The folder of the debugger below the hub's path (B-801).
const DEBUGGER: &str = "/debug";
/// The folder of the page of 0.x (B-820).
const OLDER: &str = "/ui";
/// The path below which the playground has resources to discover (B-811).
pub(crate) const RESOURCES: &str = "/playground/";
/// The same of `demo`, below the folder of the page of 0.x (B-821).
const OLDER_RESOURCES: &str = "/demo/";
const METHODS: &str = "GET, HEAD, OPTIONS";

/// What a page may load: what this origin serves. Its scripts cannot turn text into markup.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

/// What stands at a path.
pub(crate) enum Page {
    /// Another path does.
    Elsewhere(String),
    /// A file of the page.
    File(&'static Asset),
    /// What the page must know of the hub (B-802).
    Facts,
    /// A token for the visitors of a playground (B-803).
    Token,
    /// A resource of the playground (B-811).
    Resource,
}

impl Page {
    /// The page at a path, if the options have one there.
    pub(crate) fn find(options: PageOptions, path: &str) -> Option<Self> {
        let has_debugger = options.debugger || options.playground;
        if options.playground {
            if path == "/" {
                return Some(Self::Elsewhere(format!("{HUB_PATH}{DEBUGGER}/")));
            }
            if path.starts_with(RESOURCES) {
                return Some(Self::Resource);
            }
        }
        let below = path.strip_prefix(HUB_PATH)?;
        if has_debugger && let Some(name) = below.strip_prefix(DEBUGGER) {
            return Self::within(DEBUGGER, name, options.playground);
        }
        let name = below.strip_prefix(OLDER)?;
        if !options.ui && !options.demo {
            return None;
        }
        match name {
            name if options.demo && name.starts_with(OLDER_RESOURCES) => Some(Self::Resource),
            "" | "/" if has_debugger => Some(Self::Elsewhere(format!("{HUB_PATH}{DEBUGGER}/"))),
            _ if has_debugger => None,
            name => Self::within(OLDER, name, false),
        }
    }

    /// The page in a folder.
    fn within(folder: &str, name: &str, has_token: bool) -> Option<Self> {
        match name {
            "" => Some(Self::Elsewhere(format!("{HUB_PATH}{folder}/"))),
            "/config.json" => Some(Self::Facts),
            "/playground-token" => has_token.then_some(Self::Token),
            name => assets::find(name.strip_prefix('/')?).map(Self::File),
        }
    }

    /// Answers a request for it.
    ///
    /// # Errors
    /// The method, the parameters of a resource, or that no token can be made.
    pub(crate) fn answer(&self, hub: &Shared, parts: &Parts) -> Result<Response<Body>, Refused> {
        if let Self::Elsewhere(to) = self {
            return Ok(redirect(to));
        }
        let mut response = match parts.method {
            Method::GET | Method::HEAD => match self {
                Self::File(asset) => asset.answer(&parts.headers),
                Self::Facts => facts::answer(hub, parts, resources(hub.options.pages).as_deref())?,
                Self::Token => playground::token(hub, parts)?,
                Self::Resource | Self::Elsewhere(_) => playground::resource(hub, parts)?,
            },
            Method::OPTIONS => return Ok(respond::allowed(METHODS)),
            ref method => return Err(Refused::Method(method.clone(), METHODS)),
        };
        if !matches!(self, Self::Resource) {
            keep_to_its_origin(response.headers_mut());
        }
        if parts.method == Method::HEAD {
            *response.body_mut() = Body::empty();
        }
        Ok(response)
    }
}

/// The path below which there are resources to discover.
fn resources(options: PageOptions) -> Option<String> {
    match (options.playground, options.demo) {
        (true, _) => Some(RESOURCES.to_owned()),
        (false, true) => Some(format!("{HUB_PATH}{OLDER}{OLDER_RESOURCES}")),
        (false, false) => None,
    }
}

/// Whether a path is in a folder of pages. Scripts of other origins may not read what is there, whatever
/// `cors_origins` says: it tells what the hub trusts, and has tokens.
pub(crate) fn are_at(path: &str) -> bool {
    let below = path.strip_prefix(HUB_PATH).unwrap_or_default();
    let is_in = |folder| {
        let name = below.strip_prefix(folder);
        name.is_some_and(|name| name.starts_with('/') && !name.starts_with(OLDER_RESOURCES))
    };
    is_in(DEBUGGER) || is_in(OLDER)
}

fn redirect(to: &str) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::FOUND;
    if let Ok(to) = HeaderValue::from_str(to) {
        response.headers_mut().insert(LOCATION, to);
    }
    response
}

/// Keeps the page away from other origins, and other origins away from the page.
fn keep_to_its_origin(headers: &mut HeaderMap) {
    for (name, value) in [
        (CONTENT_SECURITY_POLICY, POLICY),
        (HeaderName::from_static("referrer-policy"), "no-referrer"),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
}
