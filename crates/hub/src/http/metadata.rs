//! The metadata document: what the hub tells OAuth clients about itself (specification, "Protected Resource
//! Metadata").

use axum::body::Body;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderValue, Response};
use serde_json::{Map, Value, json};
use talaria_protocol::MatcherType;

use crate::http::identity;
use crate::http::respond::Refused;
use crate::http::shared::Shared;
use crate::options::HubOptions;

/// The path of the metadata document (RFC 9728, section 3.1).
pub(crate) const PATH: &str = "/.well-known/oauth-protected-resource/.well-known/mercure";

/// The URL of the metadata document, which is on the origin of the resource identifier (B-423).
pub(crate) fn url(options: &HubOptions, parts: &Parts) -> Option<String> {
    let origin = match &options.resource_identifier {
        Some(pinned) => url::Url::parse(pinned).ok()?.origin().ascii_serialization(),
        None => {
            let (scheme, host) = identity::scheme_and_authority(parts)?;
            format!("{scheme}://{}", host.as_str())
        }
    };
    Some(format!("{origin}{PATH}"))
}
/// The metadata document (B-422).
///
/// # Errors
/// The hub has no identity that could be told: nothing is pinned, and the request names no host.
pub(crate) fn document(hub: &Shared, parts: &Parts) -> Result<Response<Body>, Refused> {
    let servers: Vec<&str> = hub
        .options
        .issuers
        .iter()
        .filter(|issuer| issuer.authorization_server)
        .map(|issuer| issuer.identifier.as_str())
        .collect();
    let mut members = Map::new();
    members.insert(
        "resource".to_owned(),
        identity::audience(&hub.options, parts)
            .map_err(Refused::Host)?
            .into(),
    );
    members.insert("bearer_methods_supported".to_owned(), json!(["header"]));
    if !servers.is_empty() {
        members.insert("authorization_servers".to_owned(), json!(servers));
    }
    members.insert(
        "authorization_details_types_supported".to_owned(),
        json!([talaria_protocol::authorization::DETAIL_TYPE]),
    );
    let matcher_types = MatcherType::SUPPORTED.map(|(name, _)| name);
    members.insert(
        "mercure_matcher_types_supported".to_owned(),
        json!(matcher_types),
    );
    members.insert(
        "mercure_cookie".to_owned(),
        hub.options.cookie_name.clone().into(),
    );
    if hub.presence().is_some() {
        members.insert("mercure_subscriptions".to_owned(), true.into());
    }
    let mut response = Response::new(Body::from(format!("{}\n", Value::Object(members))));
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    Ok(response)
}
