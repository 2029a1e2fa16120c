//! Ends streams and revokes tokens (ADR 0021).

use std::time::Duration;

use axum::body::Body;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, Method, Response, StatusCode};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};
use talaria_config::Error;
use talaria_config::value::parse_duration;
use talaria_hub::access::{Revocation, Tokens};
use talaria_hub::clock::{Clock as _, SystemClock, UnixTime};

use super::answer;
use super::received::whole;
use crate::serve::control::{Control, ServedHub};
use crate::serve::log::in_one_line;
use crate::serve::revocations::to_json;

/// The longest time of a revocation, and the time of one that names none, if tokens may live as long.
const LONGEST: Duration = Duration::from_secs(366 * 86_400);
/// The most bytes of a claim or an id, and of a reason.
const CLAIM_BYTES: usize = 1024;
const REASON_BYTES: usize = 256;
/// What a body may hold.
const MEMBERS: [&str; 8] = [
    "subscriber",
    "subject",
    "jti",
    "issuer",
    "until",
    "for",
    "issued_before",
    "reason",
];

/// The path for all hubs.
pub(super) const PATH: &str = "/mercure/revoke";

/// The hub that a path names: `None` if the path is another one, an inner `None` for all hubs.
pub(super) fn hub_of(path: &str) -> Option<Option<&str>> {
    let below = path.strip_prefix("/mercure/")?;
    match below.rsplit_once('/') {
        None => (below == "revoke").then_some(None),
        Some((name, "revoke")) => Some(Some(name)),
        Some(_) => None,
    }
}

/// Answers a request for a path of [`hub_of`].
pub(super) async fn answer(
    method: &Method,
    name: Option<&str>,
    headers: &HeaderMap,
    body: Body,
    control: &Control,
) -> Response<Body> {
    let served = control.hubs();
    let name = name.map(|name| percent_decode_str(name).decode_utf8_lossy());
    let is_asked = |hub: &&ServedHub| name.as_ref().is_none_or(|name| hub.name == **name);
    let hubs: Vec<&ServedHub> = served.iter().filter(is_asked).collect();
    if name.is_some() && hubs.is_empty() {
        return answer::error(StatusCode::NOT_FOUND, "no hub has this name");
    }
    if matches!(*method, Method::GET | Method::HEAD) {
        return answer::json(StatusCode::OK, &list(&hubs));
    }
    if !matches!(*method, Method::POST | Method::DELETE) {
        return answer::method("GET, HEAD, POST, DELETE");
    }
    let asked = match asked(headers, body).await {
        Ok(asked) => asked,
        Err((status, sentence)) => return answer::error(status, &sentence),
    };
    let outcome = match (method, asked) {
        (&Method::DELETE, Asked::Tokens(asked)) => take_back(&hubs, &asked.tokens).await,
        (&Method::DELETE, Asked::Subscriber(_)) => {
            let sentence = "a subscriber is disconnected, not revoked, so there is nothing to remove; name `subject`, `jti` or `issuer`";
            return answer::error(StatusCode::BAD_REQUEST, sentence);
        }
        (_, Asked::Subscriber(id)) => Ok(disconnect(&hubs, &id)),
        (_, Asked::Tokens(asked)) => revoke(&hubs, &asked).await,
    };
    match outcome {
        Ok(value) => answer::json(StatusCode::OK, &value),
        Err((status, sentence)) => answer::error(status, &sentence),
    }
}

type Wrong = (StatusCode, String);

/// What a body asks for.
enum Asked {
    /// To end the stream of this subscriber.
    Subscriber(String),
    Tokens(AskedTokens),
}

/// To refuse tokens.
struct AskedTokens {
    tokens: Tokens,
    /// The end that the body names.
    until: Option<UnixTime>,
    issued_before: Option<UnixTime>,
    reason: Option<String>,
    now: UnixTime,
}

async fn asked(headers: &HeaderMap, body: Body) -> Result<Asked, Wrong> {
    let bad = |sentence: String| (StatusCode::BAD_REQUEST, sentence);
    let field = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let kind = field(CONTENT_TYPE).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/json") {
        let sentence = "send a JSON object with `Content-Type: application/json`";
        return Err((StatusCode::UNSUPPORTED_MEDIA_TYPE, sentence.to_owned()));
    }
    let length = field(CONTENT_LENGTH).and_then(|text| text.parse().ok());
    let bytes = whole(body, length).await;
    let bytes = bytes.map_err(|refusal| (refusal.status, refusal.sentence))?;
    let value: Value = serde_json::from_slice(&bytes)
        .map_err(|error| bad(format!("the body is not JSON: {error}")))?;
    let Value::Object(members) = value else {
        return Err(bad("the body is not a JSON object".to_owned()));
    };
    read(&members).map_err(bad)
}

fn read(members: &Map<String, Value>) -> Result<Asked, String> {
    if let Some(unknown) = members
        .keys()
        .find(|name| !MEMBERS.contains(&name.as_str()))
    {
        let unknown: String = unknown.chars().take(64).collect();
        let known = MEMBERS.join(", ");
        return Err(format!(
            "the member {unknown:?} is not known; there are {known}"
        ));
    }
    let text = |name: &str, most: usize| match members.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if !text.is_empty() && text.len() <= most => {
            Ok(Some(text.clone()))
        }
        Some(_) => Err(format!("`{name}` is not a text of 1 to {most} bytes")),
    };
    let tokens = Tokens {
        issuer: text("issuer", CLAIM_BYTES)?,
        subject: text("subject", CLAIM_BYTES)?,
        id: text("jti", CLAIM_BYTES)?,
    };
    let subscriber = text("subscriber", CLAIM_BYTES)?;
    let now = SystemClock.unix_time();
    let (until, issued_before) = (end(members, now)?, issued_before(members, now)?);
    let reason = text("reason", REASON_BYTES)?;
    match (subscriber, tokens.is_empty()) {
        (None, true) => Err("name whom: `subject`, `jti`, `issuer` or `subscriber`".to_owned()),
        (Some(_), false) => {
            Err("`subscriber` stands alone: it ends one stream, and refuses no token".to_owned())
        }
        (Some(_), true) if until.is_some() || issued_before.is_some() => {
            Err("`subscriber` ends one stream and refuses no token; leave `until`, `for` and `issued_before` out, or name the `subject` or `jti`".to_owned())
        }
        (Some(subscriber), true) => Ok(Asked::Subscriber(subscriber)),
        (None, false) => Ok(Asked::Tokens(AskedTokens {
            tokens,
            until,
            issued_before,
            reason,
            now,
        })),
    }
}

/// When the revocation ends, if the body says so.
fn end(members: &Map<String, Value>, now: UnixTime) -> Result<Option<UnixTime>, String> {
    let until = match (members.get("until"), members.get("for")) {
        (None, None) => return Ok(None),
        (Some(_), Some(_)) => return Err("`until` and `for` say the same; name one".to_owned()),
        (Some(until), None) => until.as_f64().map(UnixTime::from_seconds),
        (None, Some(time)) => {
            let time = time.as_str().and_then(|text| parse_duration(text).ok());
            time.map(|time| now + time)
        }
    };
    let until =
        until.ok_or("`until` is a time in Unix seconds, `for` a duration such as \"12h\"")?;
    if until < now {
        return Err("`until` has passed".to_owned());
    }
    if until > now + LONGEST {
        return Err(
            "a revocation lasts 366 days at most; if a token lives longer, remove its key from the configuration"
                .to_owned(),
        );
    }
    Ok(Some(until))
}

fn issued_before(members: &Map<String, Value>, now: UnixTime) -> Result<Option<UnixTime>, String> {
    match members.get("issued_before") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text == "now" => Ok(Some(now)),
        Some(value) => match value.as_f64() {
            Some(seconds) => Ok(Some(UnixTime::from_seconds(seconds))),
            None => Err("`issued_before` is a time in Unix seconds, or \"now\"".to_owned()),
        },
    }
}

/// Revokes tokens, and ends their streams. What is in force and cannot be stored is an error.
async fn revoke(hubs: &[&ServedHub], asked: &AskedTokens) -> Result<Value, Wrong> {
    let mut outcomes = Vec::new();
    let mut entries: Vec<(&ServedHub, Revocation)> = Vec::new();
    for served in hubs {
        let entry = Revocation {
            tokens: asked.tokens.clone(),
            issued_before: asked.issued_before,
            since: asked.now,
            until: asked.until.unwrap_or_else(|| {
                let lifetime = served.hub.longest_token_lifetime();
                asked.now + lifetime.map_or(LONGEST, |lifetime| lifetime.min(LONGEST))
            }),
            reason: asked.reason.clone(),
        };
        let ended = if entry.until <= asked.now {
            Ok(served.hub.disconnect_tokens(&asked.tokens))
        } else {
            served.hub.revoke(entry.clone())
        };
        let ended = ended.map_err(|full| (StatusCode::INSUFFICIENT_STORAGE, full.to_string()))?;
        outcomes.push(json!({
            "name": served.name, "streams_ended": ended, "until": entry.until.seconds(),
        }));
        tracing::info!(
            name: "tokens_revoked",
            hub = served.name,
            tokens = %asked.tokens,
            until = entry.until.seconds(),
            streams = ended,
            why = asked.reason,
            "tokens were revoked by the admin listener"
        );
        let is_known = entries
            .iter()
            .any(|(known, _)| known.revoked.is(&served.revoked));
        if !is_known && entry.until > asked.now {
            entries.push((served, entry));
        }
    }
    for (served, entry) in entries {
        let file = served.revoked.clone();
        store(&served.name, move || file.enter(&entry)).await.map_err(|error| {
            let sentence = format!(
                "the tokens are revoked and their streams have ended, but only until the hub is restarted, because that cannot be stored: {error}"
            );
            (StatusCode::INTERNAL_SERVER_ERROR, sentence)
        })?;
    }
    Ok(json!({ "streams_ended": sum(&outcomes, "streams_ended"), "hubs": outcomes }))
}

fn disconnect(hubs: &[&ServedHub], id: &str) -> Value {
    let each = hubs.iter().map(|served| {
        let ended = served.hub.disconnect(id);
        if ended > 0 {
            tracing::info!(
                name: "subscriber_ended",
                hub = served.name,
                subscriber = id,
                "a subscriber was disconnected by the admin listener"
            );
        }
        json!({ "name": served.name, "streams_ended": ended })
    });
    let outcomes: Vec<Value> = each.collect();
    json!({ "streams_ended": sum(&outcomes, "streams_ended"), "hubs": outcomes })
}

/// Accepts tokens again.
async fn take_back(hubs: &[&ServedHub], tokens: &Tokens) -> Result<Value, Wrong> {
    let mut count = 0;
    for served in hubs {
        let removed = served.hub.take_back(tokens);
        count += removed.len();
        if removed.is_empty() {
            continue;
        }
        tracing::info!(
            name: "revocations_removed",
            hub = served.name,
            tokens = %tokens,
            count = removed.len(),
            "revocations were removed by the admin listener"
        );
        let file = served.revoked.clone();
        store(&served.name, move || file.remove(&removed)).await.map_err(|error| {
            let sentence = format!(
                "the tokens are accepted again, but only until the hub is restarted, because that cannot be stored: {error}"
            );
            (StatusCode::INTERNAL_SERVER_ERROR, sentence)
        })?;
    }
    Ok(json!({ "removed": count }))
}

/// The revocations of each hub; those that share a store have the same.
fn list(hubs: &[&ServedHub]) -> Value {
    let of_hub = |served: &&ServedHub| {
        let entries = served.hub.revocations();
        let entries: Vec<Value> = entries.iter().map(to_json).collect();
        json!({ "name": served.name, "revocations": entries })
    };
    let each: Vec<Value> = hubs.iter().map(of_hub).collect();
    json!({ "hubs": each })
}

/// Changes a file on a thread that may block.
async fn store(
    hub: &str,
    change: impl FnOnce() -> Result<(), Error> + Send + 'static,
) -> Result<(), String> {
    let stored = tokio::task::spawn_blocking(change).await;
    let stored = stored.map_err(Error::from_cause).flatten();
    stored.map_err(|error| {
        let error = in_one_line(&error);
        tracing::error!(name: "revocations_not_stored", hub, error, "revocations could not be stored");
        error
    })
}

fn sum(outcomes: &[Value], name: &str) -> u64 {
    let each = outcomes.iter().filter_map(|one| one.get(name)?.as_u64());
    each.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_names_the_hub() {
        for (path, expected) in [
            ("/mercure/revoke", Some(None)),
            ("/mercure/a/revoke", Some(Some("a"))),
            ("/mercure/a%2Fb/revoke", Some(Some("a%2Fb"))),
            ("/mercure/a/b/revoke", Some(Some("a/b"))),
            ("/mercure/revoke/", None),
            ("/mercure/health/ready", None),
            ("/revoke", None),
        ] {
            assert_eq!(hub_of(path), expected, "{path}");
        }
    }

    /// Each mistake has its sentence.
    #[test]
    fn what_is_wrong_is_named() {
        for (body, says) in [
            (json!({}), "name whom"),
            (json!({ "user": "ann" }), "`subscriber`, subject"),
            (json!({ "subject": 1 }), "`subject` is not a text"),
            (json!({ "subject": "" }), "1 to 1024 bytes"),
            (
                json!({ "subject": "a", "reason": "a".repeat(257) }),
                "1 to 256",
            ),
            (json!({ "subscriber": "a", "subject": "b" }), "stands alone"),
            (json!({ "subscriber": "a", "for": "1h" }), "ends one stream"),
            (
                json!({ "subject": "a", "for": "1h", "until": 1 }),
                "name one",
            ),
            (json!({ "subject": "a", "until": 1 }), "has passed"),
            (json!({ "subject": "a", "for": "400d" }), "366 days"),
            (json!({ "subject": "a", "for": "soon" }), "such as \"12h\""),
            (
                json!({ "subject": "a", "issued_before": "then" }),
                "or \"now\"",
            ),
        ] {
            let Value::Object(members) = body else {
                panic!("an object");
            };
            let Err(sentence) = read(&members) else {
                panic!("{members:?} is accepted");
            };
            let says = says.replace("`subscriber`, subject", "subscriber, subject");
            assert!(sentence.contains(&says), "{sentence}");
        }
    }
}
