//! What the page must know of the hub: nothing that is secret, since every visitor reads it.

use axum::body::Body;
use http::Response;
use http::request::Parts;
use serde_json::{Value, json};
use talaria_protocol::Generation;

use crate::access::{IssuerKey, Role};
use crate::http::identity::{self, Reached};
use crate::http::respond::{Refused, forbid_storing, put_type};
use crate::http::shared::Shared;

/// The facts as JSON: the first four as the existing hub has them (B-802), then ours. `resources` is the path below
/// which there are resources to discover.
///
/// # Errors
/// The request names no host, and no identifier is pinned.
pub(super) fn answer(
    hub: &Shared,
    parts: &Parts,
    resources: Option<&str>,
) -> Result<Response<Body>, Refused> {
    let options = &hub.options;
    identity::audience(options, parts).map_err(Refused::Host)?;
    let generations: &[&str] = match options.rule.oldest() {
        Generation::V0 => &["1.0", "0.x"],
        Generation::V1 => &["1.0"],
    };
    let facts = json!({
        "playground": options.pages.playground,
        "anonymous": options.anonymous || !options.issuers.serves(Role::Subscriber),
        "subscriptions": options.subscriptions,
        "cookieName": options.cookie_name,
        "cookieNames": hub.cookie_names[usize::from(identity::is_tls(parts))],
        "rule": options.rule.name(),
        "generations": generations,
        "audiences": identity::audiences(options, Reached::of(parts).as_ref()),
        "issuers": issuers(hub),
        "maxTokenBytes": options.limits.token_bytes,
        "maxTokenLifetime": options.max_token_lifetime.map(|most| most.as_secs_f64()),
        "publishUngranted": options.publish_ungranted,
        "resources": resources,
        "time": hub.clock.unix_time().seconds(),
    });
    let mut response = Response::new(Body::from(format!("{facts}\n")));
    put_type(&mut response, "application/json");
    forbid_storing(response.headers_mut());
    Ok(response)
}

/// The trusted issuers, and which algorithms their tokens may use for each role.
fn issuers(hub: &Shared) -> Value {
    let algorithms = |key: Option<&IssuerKey>| {
        let names = |key: &IssuerKey| {
            let algorithms = key.algorithms().into_iter();
            algorithms
                .map(|algorithm| algorithm.name().into())
                .collect()
        };
        key.map_or(Value::Null, |key| Value::Array(names(key)))
    };
    let issuers = hub.options.issuers.iter().map(|issuer| {
        json!({
            "identifier": issuer.identifier,
            "judgesUnnamed": issuer.judges_unnamed,
            "publisher": algorithms(issuer.publisher.as_ref()),
            "subscriber": algorithms(issuer.subscriber.as_ref()),
        })
    });
    issuers.collect()
}
