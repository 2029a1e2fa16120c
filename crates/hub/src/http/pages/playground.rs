//! What only a playground has: a token for every visitor, and resources that lead to the hub.

use axum::body::Body;
use http::header::{CONTENT_SECURITY_POLICY, LINK, SET_COOKIE};
use http::request::Parts;
use http::{HeaderValue, Response, StatusCode};
use serde_json::json;
use talaria_protocol::authorization::DETAIL_TYPE;
use talaria_protocol::{HUB_PATH, ProtocolError, form};
use uuid::Uuid;

use crate::access::SigningKey;
use crate::http::identity;
use crate::http::respond::{Refused, forbid_storing, plain, put_type};
use crate::http::shared::Shared;

/// When the token ends, in Unix seconds: in the year 2100 (B-803).
const EXPIRY: f64 = 4_102_444_800.0;
/// The name of the cookie that a client expects unless a link says otherwise (specification, "Discovery").
const USUAL_COOKIE: &str = "__Secure-mercure_access_token";

/// A token that reads every topic, and publishes on every topic if the key of its issuer's publishers is the same
/// (B-803).
///
/// # Errors
/// No issuer has a shared secret, or the hub has no name that the token could have as its audience.
pub(super) fn token(hub: &Shared, parts: &Parts) -> Result<Response<Body>, Refused> {
    let missing = || Refused::NotFound(parts.uri.path().to_owned());
    let mut issuers = hub.options.issuers.iter();
    let signing = issuers.find_map(|issuer| Some((issuer, SigningKey::of_issuer(issuer)?)));
    let (issuer, (key, publishes)) = signing.ok_or_else(missing)?;
    let audience = identity::audience(&hub.options, parts).map_err(Refused::Host)?;
    let now = hub.clock.unix_time().seconds().floor();
    let longest = hub.options.max_token_lifetime;
    let expiry = longest.map_or(EXPIRY, |longest| (now + longest.as_secs_f64()).floor());
    let everything = json!([{ "match": "*" }]);
    let mut details = vec![json!({
        "type": DETAIL_TYPE,
        "actions": ["subscribe"],
        "topics": everything,
        "payload": { "playground": true },
    })];
    if publishes {
        details.push(json!({ "type": DETAIL_TYPE, "actions": ["publish"], "topics": everything }));
    }
    let claims = json!({
        "iss": issuer.identifier,
        "aud": audience,
        // Limits count by subject, and visitors do not share them.
        "sub": Uuid::new_v4().urn().to_string(),
        "client_id": "playground",
        "iat": now,
        "exp": expiry,
        "jti": Uuid::new_v4().urn().to_string(),
        "authorization_details": details,
    });
    let token = key.sign(&claims).map_err(|_| missing())?;
    let mut response = plain(StatusCode::OK, token);
    forbid_storing(response.headers_mut());
    Ok(response)
}

/// A resource whose content is a parameter of its URL, and whose head leads to the hub (B-811, B-1028).
///
/// # Errors
/// The query is not UTF-8, or the token in it cannot be the value of a cookie.
pub(super) fn resource(hub: &Shared, parts: &Parts) -> Result<Response<Body>, Refused> {
    let (mut body, mut token) = (None, None);
    for pair in form::pairs(parts.uri.query().unwrap_or_default().as_bytes()) {
        let (name, value) = pair?;
        match &*name {
            "body" => _ = body.get_or_insert(value),
            "jwt" => _ = token.get_or_insert(value),
            _ => {}
        }
    }
    let cookie = cookie(hub, parts, token.as_deref().unwrap_or_default())?;
    let mut response = plain(StatusCode::OK, body.unwrap_or_default().into_owned());
    match parts.uri.path().rsplit_once('.') {
        Some((_, "json")) => put_type(&mut response, "application/json"),
        Some((_, "jsonld")) => put_type(&mut response, "application/ld+json"),
        _ => {}
    }
    let headers = response.headers_mut();
    // A browser that opens the resource shows it as text, and runs nothing in it.
    let policy = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'; sandbox");
    headers.insert(CONTENT_SECURITY_POLICY, policy);
    let links = [link_to_hub(hub), link_to_itself(parts)];
    for link in links
        .into_iter()
        .filter_map(|link| HeaderValue::try_from(link).ok())
    {
        headers.append(LINK, link);
    }
    if let Ok(cookie) = HeaderValue::try_from(cookie) {
        headers.insert(SET_COOKIE, cookie);
    }
    forbid_storing(headers);
    Ok(response)
}

fn link_to_hub(hub: &Shared) -> String {
    match hub.options.cookie_name.as_str() {
        USUAL_COOKIE => format!("<{HUB_PATH}>; rel=\"mercure\""),
        name => format!("<{HUB_PATH}>; rel=\"mercure\"; cookie-name=\"{name}\""),
    }
}

fn link_to_itself(parts: &Parts) -> String {
    let target = parts
        .uri
        .path_and_query()
        .map_or("/", |target| target.as_str());
    let target = target.replace('<', "%3C").replace('>', "%3E");
    format!("<{target}>; rel=\"self\"")
}

/// The cookie that makes the browser present this token to the hub, or removes it if the token is empty.
fn cookie(hub: &Shared, parts: &Parts, token: &str) -> Result<String, Refused> {
    let is_of_token = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    if !token.bytes().all(is_of_token) {
        let problem = "has characters that no token has; send the bare token";
        return Err(ProtocolError::malformed("jwt", problem).into());
    }
    let name = &hub.options.cookie_name;
    let mut cookie = format!("{name}={token}; Path={HUB_PATH}; SameSite=Strict; HttpOnly");
    if identity::is_tls(parts) || name.starts_with("__Secure-") {
        cookie.push_str("; Secure");
    }
    if token.is_empty() {
        cookie.push_str("; Max-Age=0");
    }
    Ok(cookie)
}
