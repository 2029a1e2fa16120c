//! Cross-origin resource sharing (B-361 to B-367, B-1011).

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use talaria_protocol::error::Shown;

use crate::origin::Origins;
use crate::{Connection, Sender};

/// The methods that pages of other origins may use.
const METHODS: [&str; 4] = ["GET", "HEAD", "POST", "QUERY"];

/// The request headers that they may set, beyond those that need no permission. `content-type` is
/// for `QUERY`, whose preflight names it even with a form.
const REQUEST_HEADERS: [&str; 4] = [
    "authorization",
    "cache-control",
    "content-type",
    "last-event-id",
];

/// The response headers that they may read (B-1011).
const EXPOSED: &str = "Link, Mercure-Last-Event-ID, Accept-Query, Retry-After, WWW-Authenticate";

/// With the field that clients of 0.x read, where an answer has it.
const EXPOSED_TO_OLDER: &str =
    "Link, Mercure-Last-Event-ID, Last-Event-ID, Accept-Query, Retry-After, WWW-Authenticate";

/// The answer to requests of pages from other origins.
#[derive(Debug, Clone)]
pub struct Cors {
    origins: Origins,
}

impl Cors {
    /// Lets pages of these origins in; with credentials, unless any foreign page could be one of them
    /// (B-363, [`Origins::allows_credentials`]).
    pub fn new(origins: Origins) -> Self {
        Self { origins }
    }

    /// The answer to a preflight: 204 without a body, with permissions only if origin, method and
    /// headers are all acceptable. `None` if the request is not a preflight. `from` is the connection
    /// that it came over, for the log.
    pub fn preflight(
        &self,
        method: &Method,
        request: &HeaderMap,
        from: Option<&Connection>,
    ) -> Option<Response<()>> {
        let requested = request.get(ACCESS_CONTROL_REQUEST_METHOD)?;
        if method != Method::OPTIONS {
            return None;
        }
        let mut response = Response::new(());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let headers = response.headers_mut();
        headers.insert(
            VARY,
            HeaderValue::from_static(
                "Origin, Access-Control-Request-Method, Access-Control-Request-Headers",
            ),
        );
        let Some(origin) = request.get(ORIGIN) else {
            return Some(response);
        };
        let Sender { peer, client } = Sender::of(from);
        let method = METHODS.iter().find(|method| *requested == **method);
        let names = requested_headers(request);
        let (method, names) = match (self.allows(origin), method, names) {
            (true, Some(method), Ok(names)) => (method, names),
            (false, ..) => {
                tracing::info!(
                    reason = "origin_not_allowed",
                    origin = %shown(origin),
                    peer,
                    client,
                    accepted_origins = %self.origins,
                    "CORS preflight refused for its origin; add it to cors_origins if its pages may use the hub"
                );
                return Some(response);
            }
            (_, None, _) => {
                tracing::info!(
                    reason = "method_not_allowed",
                    origin = %shown(origin),
                    peer,
                    client,
                    received = %shown(requested),
                    accepted_methods = %METHODS.join(" "),
                    "CORS preflight refused for its method; use one of those that the hub answers"
                );
                return Some(response);
            }
            (_, _, Err(name)) => {
                tracing::info!(
                    reason = "header_not_allowed",
                    origin = %shown(origin),
                    peer,
                    client,
                    received = %Shown(&name),
                    accepted_headers = %REQUEST_HEADERS.join(" "),
                    "CORS preflight refused for a request header; have the page not send it, the origin is allowed"
                );
                return Some(response);
            }
        };
        self.permit(origin, headers);
        headers.insert(
            ACCESS_CONTROL_ALLOW_METHODS,
            HeaderValue::from_static(method),
        );
        if let Ok(names) = HeaderValue::try_from(names.join(", "))
            && !names.is_empty()
        {
            headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, names);
        }
        Some(response)
    }

    /// Adds what an actual response needs. `request_origin` is the request's `Origin`; a page of
    /// another origin is still answered, but its browser will not let it read (B-362).
    pub fn decorate(&self, request_origin: Option<&HeaderValue>, response: &mut HeaderMap) {
        response.append(VARY, HeaderValue::from_static("Origin"));
        let Some(origin) = request_origin else {
            return;
        };
        if !self.allows(origin) {
            // Pages of the hub's own origin send `Origin` with a POST too, hence no louder.
            tracing::debug!(
                origin = %shown(origin),
                accepted_origins = %self.origins,
                "CORS headers left out; add the origin to cors_origins if its pages may read"
            );
            return;
        }
        self.permit(origin, response);
        let exposed = if response.contains_key("last-event-id") {
            EXPOSED_TO_OLDER
        } else {
            EXPOSED
        };
        response.insert(
            ACCESS_CONTROL_EXPOSE_HEADERS,
            HeaderValue::from_static(exposed),
        );
    }

    fn allows(&self, origin: &HeaderValue) -> bool {
        origin
            .to_str()
            .is_ok_and(|origin| self.origins.allows(origin))
    }

    fn permit(&self, origin: &HeaderValue, response: &mut HeaderMap) {
        if self.origins.is_any() {
            response.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        } else {
            response.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            let origin = origin.to_str().unwrap_or_default();
            if self.origins.allows_credentials(origin) {
                response.insert(
                    ACCESS_CONTROL_ALLOW_CREDENTIALS,
                    HeaderValue::from_static("true"),
                );
            }
        }
    }
}

/// One line about a preflight where no origin is configured: its page is refused, and the answer says
/// nothing about it.
pub(crate) fn log_preflight(method: &Method, request: &HeaderMap, from: Option<&Connection>) {
    if let Some(origin) = request.get(ORIGIN)
        && method == Method::OPTIONS
        && request.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
    {
        let Sender { peer, client } = Sender::of(from);
        tracing::info!(
            reason = "origin_not_allowed",
            origin = %shown(origin),
            peer,
            client,
            "CORS preflight refused: this hub has no cors_origins; list the origin there if its pages may use the hub"
        );
    }
}

/// The headers that a preflight asks for, in lower case.
///
/// # Errors
/// The first one that is not allowed.
fn requested_headers(request: &HeaderMap) -> Result<Vec<&'static str>, String> {
    let mut names = Vec::new();
    for field in request.get_all(ACCESS_CONTROL_REQUEST_HEADERS) {
        for name in String::from_utf8_lossy(field.as_bytes()).split(',') {
            let name = name.trim();
            if name.is_empty() {
                continue;
            }
            let known = REQUEST_HEADERS
                .iter()
                .find(|known| known.eq_ignore_ascii_case(name))
                .ok_or_else(|| name.to_owned())?;
            if !names.contains(known) {
                names.push(*known);
            }
        }
    }
    Ok(names)
}

fn shown(value: &HeaderValue) -> String {
    Shown(&String::from_utf8_lossy(value.as_bytes())).to_string()
}
