//! Cross-origin resource sharing: which pages of other origins may use the hub. The answers are those of the
//! existing hub (B-361 to B-367, B-1011).

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use talaria_protocol::error::Shown;

use crate::access::origin::Origins;
use crate::http::connection::{Connection, Sender};

/// The methods that pages of other origins may use.
const METHODS: [&str; 4] = ["GET", "HEAD", "POST", "QUERY"];

/// The request headers that pages of other origins may set, besides those that need no permission.
/// `content-type` is for `QUERY`, whose preflight names it even for a form.
const REQUEST_HEADERS: [&str; 4] = [
    "authorization",
    "cache-control",
    "content-type",
    "last-event-id",
];

/// The response headers that pages of other origins may read (B-1011).
const EXPOSED: &str = "Link, Mercure-Last-Event-ID, Accept-Query, Retry-After, WWW-Authenticate";

/// The same with the field that clients of 0.x read, for answers that have it.
const EXPOSED_TO_OLDER: &str =
    "Link, Mercure-Last-Event-ID, Last-Event-ID, Accept-Query, Retry-After, WWW-Authenticate";

/// The answer to requests of pages from other origins.
#[derive(Debug, Clone)]
pub(crate) struct Cors {
    origins: Origins,
}

impl Cors {
    /// Permits pages of these origins, with credentials unless every foreign page could be one of them
    /// (see [`Origins::allows_credentials`]; B-363).
    pub(crate) fn new(origins: Origins) -> Self {
        Self { origins }
    }

    /// The answer to a preflight: 204 without a body, with permissions only if origin, method and
    /// headers are all acceptable. `None` if the request is not a preflight. `from` is the connection
    /// that it came over, for the log.
    pub(crate) fn preflight(
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
        let (method, names) = match self.permissions(origin, requested, request, from) {
            Ok(permitted) => permitted,
            Err(reason) => {
                response.extensions_mut().insert(PreflightRefused(reason));
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

    /// The method and the headers that a preflight from `origin` is permitted; the reason, with a line of
    /// the log, if it asks for more.
    fn permissions(
        &self,
        origin: &HeaderValue,
        requested: &HeaderValue,
        request: &HeaderMap,
        from: Option<&Connection>,
    ) -> Result<(&'static str, Vec<&'static str>), &'static str> {
        let Sender { peer, client } = Sender::of(from);
        let method = METHODS.iter().find(|method| *requested == **method);
        let names = requested_headers(request);
        match (self.allows(origin), method, names) {
            (true, Some(method), Ok(names)) => Ok((method, names)),
            (false, ..) => {
                let reason = "origin_not_allowed";
                tracing::info!(
                name: "cors_refused",
                reason,
                origin = %shown(origin),
                peer,
                client,
                accepted_origins = %self.origins,
                "CORS preflight refused for its origin; add it to cors_origins if its pages may use the hub"
                );
                Err(reason)
            }
            (_, None, _) => {
                let reason = "method_not_allowed";
                tracing::info!(
                name: "cors_refused",
                reason,
                origin = %shown(origin),
                peer,
                client,
                received = %shown(requested),
                accepted_methods = %METHODS.join(" "),
                "CORS preflight refused for its method; use one of those that the hub answers"
                );
                Err(reason)
            }
            (_, _, Err(NotPermitted(name))) => {
                let reason = "header_not_allowed";
                tracing::info!(
                name: "cors_refused",
                reason,
                origin = %shown(origin),
                peer,
                client,
                received = %Shown(&name),
                accepted_headers = %REQUEST_HEADERS.join(" "),
                "CORS preflight refused for a request header; have the page not send it, the origin is allowed"
                );
                Err(reason)
            }
        }
    }

    /// Adds the headers that an actual response needs. `request_origin` is the `Origin` of the request. A
    /// page of an origin that is not permitted is answered, too, but its browser does not let it read the
    /// answer (B-362).
    pub(crate) fn decorate(&self, request_origin: Option<&HeaderValue>, response: &mut HeaderMap) {
        response.append(VARY, HeaderValue::from_static("Origin"));
        let Some(origin) = request_origin else {
            return;
        };
        if !self.allows(origin) {
            // A debug line only: pages of the hub's own origin send `Origin` with a POST, too.
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

/// Why the page of a preflight is refused; in the extensions of the answer.
#[derive(Debug, Clone, Copy)]
struct PreflightRefused(&'static str);

/// Why the page of a preflight is refused that was answered so.
pub(crate) fn refused(answer: &Response<()>) -> Option<&'static str> {
    let refused = answer.extensions().get::<PreflightRefused>();
    refused.map(|PreflightRefused(reason)| *reason)
}

/// Logs a preflight if no origin is configured: its page is refused, and the answer does not say why. Returns the
/// reason.
pub(crate) fn log_preflight(
    method: &Method,
    request: &HeaderMap,
    from: Option<&Connection>,
) -> Option<&'static str> {
    let reason = "origin_not_allowed";
    if let Some(origin) = request.get(ORIGIN)
        && method == Method::OPTIONS
        && request.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
    {
        let Sender { peer, client } = Sender::of(from);
        tracing::info!(
            name: "cors_refused",
            reason,
            origin = %shown(origin),
            peer,
            client,
            "CORS preflight refused: this hub has no cors_origins; list the origin there if its pages may use the hub"
        );
        return Some(reason);
    }
    None
}

/// A header that pages of other origins may not set.
struct NotPermitted(String);

/// The headers that a preflight asks for, in lower case.
///
/// # Errors
/// The first one that is not permitted.
fn requested_headers(request: &HeaderMap) -> Result<Vec<&'static str>, NotPermitted> {
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
                .ok_or_else(|| NotPermitted(name.to_owned()))?;
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

#[cfg(not(talaria_loom))]
#[cfg(test)]
mod tests;
