//! What a proxy changes in the heads that it passes on (RFC 9110, section 7.6).

use std::net::IpAddr;

use axum::body::Body;
use http::header::{
    CONNECTION, CONTENT_LENGTH, COOKIE, EXPECT, FORWARDED, HOST, PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE, VIA,
};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version, response};
use hyper::body::Body as _;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// What is meant for one connection, besides what `Connection` names.
const HOP_BY_HOP: [HeaderName; 9] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// What an upstream learns about how a request reached us.
#[derive(Debug, Clone)]
pub(crate) struct Forwarded {
    /// The address that sent the request: the client's, or that of the last proxy.
    pub peer: Option<IpAddr>,
    /// Whether the peer is a trusted proxy, so that what it says stays.
    pub is_trusted: bool,
    /// `http` or `https`: how the request reached us.
    pub scheme: &'static str,
    /// The host that the request names, with its port.
    pub host: String,
}

/// Checks that every server understands the request alike.
///
/// # Errors
/// The status and the sentence of the refusal.
pub(super) fn check(parts: &Parts) -> Result<(), (StatusCode, &'static str)> {
    let headers = &parts.headers;
    let is_ambiguous =
        headers.contains_key(TRANSFER_ENCODING) && headers.contains_key(CONTENT_LENGTH);
    let has_two = |name| headers.get_all(name).iter().nth(1).is_some();
    if is_ambiguous || has_two(CONTENT_LENGTH) || has_two(TRANSFER_ENCODING) {
        // RFC 9112, section 6.1: this may be an attempt at request smuggling.
        let sentence = "Content-Length, Transfer-Encoding: send one of them, once";
        return Err((StatusCode::BAD_REQUEST, sentence));
    }
    if has_two(HOST) {
        return Err((StatusCode::BAD_REQUEST, "Host: send it once"));
    }
    if parts.method == Method::CONNECT {
        return Err((StatusCode::NOT_IMPLEMENTED, "CONNECT: not available here"));
    }
    Ok(())
}

/// Changes the head of a request for an upstream. The length of the body is left to hyper, which counts it.
pub(super) fn request(parts: &mut Parts, forwarded: &Forwarded, body: &Body) {
    let received = protocol(parts.version);
    let headers = &mut parts.headers;
    remove_hop_by_hop(headers);
    headers.remove(EXPECT);
    headers.remove(CONTENT_LENGTH);
    if body.is_end_stream() && matches!(parts.method, Method::POST | Method::PUT | Method::PATCH) {
        // Some servers ask for the length that they expect (RFC 9110, section 8.6).
        headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    let host = parts.uri.authority().map(|authority| authority.as_str());
    if let Some(host) = host.or((!headers.contains_key(HOST)).then_some(&forwarded.host)) {
        set(headers, HOST, host);
    }
    join(headers, COOKIE, b"; ");
    tell(headers, forwarded);
    headers.append(VIA, received);
}

/// Says how a request reached us. What the peer says about that stays only if the peer is trusted.
fn tell(headers: &mut HeaderMap, forwarded: &Forwarded) {
    if !forwarded.is_trusted {
        let is_claim = |name: &&HeaderName| {
            // Many applications cannot tell `_` from `-` in a name.
            let name = name.as_str().replace('_', "-");
            name == FORWARDED.as_str() || name.starts_with("x-forwarded-")
        };
        let claims: Vec<_> = headers.keys().filter(is_claim).cloned().collect();
        for name in claims {
            headers.remove(name);
        }
    }
    if let Some(peer) = forwarded.peer {
        let peer = peer.to_canonical().to_string();
        if let Ok(peer) = HeaderValue::try_from(peer) {
            headers.append(FORWARDED_FOR, peer);
        }
        join(headers, FORWARDED_FOR, b", ");
    }
    if !headers.contains_key(FORWARDED_PROTO) {
        set(headers, FORWARDED_PROTO, forwarded.scheme);
    }
    if !headers.contains_key(FORWARDED_HOST) {
        set(headers, FORWARDED_HOST, &forwarded.host);
    }
}

/// Changes the head of an upstream's response for the client.
pub(super) fn response(parts: &mut response::Parts) {
    if parts.headers.contains_key(TRANSFER_ENCODING) {
        // hyper read the chunks, so a length that contradicts them must not be passed on (RFC 9112, section 6.3).
        parts.headers.remove(CONTENT_LENGTH);
    }
    remove_hop_by_hop(&mut parts.headers);
    parts.headers.append(VIA, protocol(parts.version));
    parts.version = Version::default();
    parts.extensions.clear();
}

/// Removes what is meant for one connection only, and what `Connection` names. `Host` stays, whatever it names.
fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let connection = headers.get_all(CONNECTION).iter();
    let named = connection.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    let named: Vec<_> = named
        .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
        .filter(|name| name != HOST)
        .collect();
    for name in named.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
}

/// Makes one field of several. HTTP/2 clients send each cookie in a separate one (RFC 9113, section 8.2.3).
fn join(headers: &mut HeaderMap, name: HeaderName, between: &[u8]) {
    let values = headers.get_all(&name).iter().map(HeaderValue::as_bytes);
    let values: Vec<_> = values.collect();
    if values.len() > 1
        && let Ok(joined) = HeaderValue::from_bytes(&values.join(between))
    {
        headers.insert(name, joined);
    }
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::try_from(value) {
        headers.insert(name, value);
    }
}

/// What `Via` says about a message that was received by this protocol (RFC 9110, section 7.6.3).
fn protocol(version: Version) -> HeaderValue {
    HeaderValue::from_static(match version {
        Version::HTTP_09 | Version::HTTP_10 => "1.0 talaria",
        Version::HTTP_2 => "2.0 talaria",
        Version::HTTP_3 => "3.0 talaria",
        _ => "1.1 talaria",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A request of HTTP/2 names its host in the target, and sends each cookie in a separate field.
    #[test]
    fn a_request_of_http2_is_translated() {
        let request = http::Request::post("https://site.example/a")
            .version(Version::HTTP_2)
            .header(COOKIE, "a=b")
            .header(COOKIE, "c=d")
            .body(());
        let (mut parts, ()) = request.unwrap().into_parts();
        let forwarded = Forwarded {
            peer: Some("::ffff:10.0.0.1".parse().unwrap()),
            is_trusted: false,
            scheme: "https",
            host: "site.example".to_owned(),
        };
        super::request(&mut parts, &forwarded, &Body::empty());
        for (name, value) in [
            (HOST, "site.example"),
            (COOKIE, "a=b; c=d"),
            (VIA, "2.0 talaria"),
            (CONTENT_LENGTH, "0"),
            (FORWARDED_FOR, "10.0.0.1"),
            (FORWARDED_PROTO, "https"),
        ] {
            let values: Vec<_> = parts.headers.get_all(&name).iter().collect();
            assert_eq!(values, [value], "{name}");
        }
    }
}
