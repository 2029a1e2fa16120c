//! Ends streams and revokes tokens (ADR 0021).

mod outcome;

use std::time::Duration;

use axum::body::Body;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, Method, Response, StatusCode};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};
use talaria_config::value::parse_duration;
use talaria_hub::access::{Revocation, Tokens};
use talaria_hub::clock::{Clock as _, SystemClock, UnixTime};

use self::outcome::Outcome;
use super::answer;
use super::received::whole;
use crate::serve::changes::Change;
use crate::serve::control::{Control, ServedHub};
use crate::serve::log::in_one_line;
use crate::serve::revocations::to_json;

/// The longest time of a revocation, and the time of one that names none: tokens without `iat`, or with a later one, may
/// be accepted long after `max_token_lifetime`, and a reload may raise that.
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
    let name = name.map(|name| percent_decode_str(name).decode_utf8_lossy());
    let name = name.as_deref();
    if control.with_hubs(|served| of_name(served, name).is_none()) {
        return no_hub();
    }
    if matches!(*method, Method::GET | Method::HEAD) {
        let hubs = control.hubs();
        return match of_name(&hubs, name) {
            Some(hubs) => answer::json(StatusCode::OK, &list(&hubs)),
            None => no_hub(),
        };
    }
    if !matches!(*method, Method::POST | Method::DELETE) {
        return answer::method("GET, HEAD, POST, DELETE");
    }
    let asked = match asked(headers, body).await {
        Ok(asked) => asked,
        Err((status, sentence)) => return answer::error(status, &sentence),
    };
    let removes = *method == Method::DELETE;
    if removes && matches!(asked, Asked::Subscriber(_)) {
        let sentence = "a subscriber is disconnected, not revoked, so there is nothing to remove; name `subject`, `jti` or `issuer`";
        return answer::error(StatusCode::BAD_REQUEST, sentence);
    }
    change(control, name, &asked, removes).await
}

fn no_hub() -> Response<Body> {
    answer::error(StatusCode::NOT_FOUND, "no hub has this name")
}

/// The hubs of a name, or all; `None` if there are none of this name.
fn of_name<'a>(served: &'a [ServedHub], name: Option<&str>) -> Option<Vec<&'a ServedHub>> {
    let is_asked = |hub: &&ServedHub| name.is_none_or(|name| hub.name == name);
    let hubs: Vec<&ServedHub> = served.iter().filter(is_asked).collect();
    (name.is_none() || !hubs.is_empty()).then_some(hubs)
}

/// Does what is asked to the hubs that are served by now, and stores it. Between both nothing waits, so that a client
/// that hangs up does not leave unstored what is in force.
async fn change(
    control: &Control,
    name: Option<&str>,
    asked: &Asked,
    removes: bool,
) -> Response<Body> {
    let room = match control.changes().room().await {
        Ok(room) => room,
        Err(error) => {
            return answer::error(StatusCode::SERVICE_UNAVAILABLE, &in_one_line(&error));
        }
    };
    let changed = control.with_hubs(|served| {
        let hubs = of_name(served, name)?;
        let mut outcome = Outcome::default();
        match asked {
            Asked::Subscriber(id) => disconnect(&hubs, id, &mut outcome),
            Asked::Tokens(asked) if removes => take_back(&hubs, &asked.tokens, &mut outcome),
            Asked::Tokens(asked) => revoke(&hubs, asked, &mut outcome),
        }
        let unstored = std::mem::take(&mut outcome.unstored);
        Some((outcome, control.changes().store(room, unstored)))
    });
    let Some((mut outcome, stored)) = changed else {
        return no_hub();
    };
    outcome.note(stored.await, removes);
    outcome.answer(if removes { "removed" } else { "streams_ended" })
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
    /// When the revocation ends, for all hubs: those of one store have one list.
    until: UnixTime,
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
            until: until.unwrap_or(now + LONGEST),
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

/// Revokes tokens, and ends their streams.
fn revoke(hubs: &[&ServedHub], asked: &AskedTokens, outcome: &mut Outcome) {
    let entry = Revocation {
        tokens: asked.tokens.clone(),
        issued_before: asked.issued_before,
        since: asked.now,
        until: asked.until,
        reason: asked.reason.clone(),
    };
    let lasts = asked.until > asked.now;
    for served in hubs {
        let ended = match lasts {
            true => served.hub.revoke(entry.clone()),
            false => Ok(served.hub.disconnect_tokens(&asked.tokens)),
        };
        let ended = match ended {
            Ok(ended) => ended,
            Err(full) => {
                let full = full.to_string();
                outcome.fail(StatusCode::INSUFFICIENT_STORAGE, &served.name, &full);
                outcome
                    .hubs
                    .push(json!({ "name": served.name, "error": full }));
                continue;
            }
        };
        if lasts {
            outcome.must_store(served, Change::Enter(vec![entry.clone()]));
        }
        outcome.hubs.push(json!({
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
    }
}

fn disconnect(hubs: &[&ServedHub], id: &str, outcome: &mut Outcome) {
    for served in hubs {
        let ended = served.hub.disconnect(id);
        if ended > 0 {
            tracing::info!(
                name: "subscriber_ended",
                hub = served.name,
                subscriber = id,
                "a subscriber was disconnected by the admin listener"
            );
        }
        outcome
            .hubs
            .push(json!({ "name": served.name, "streams_ended": ended }));
    }
}

/// Accepts tokens again.
fn take_back(hubs: &[&ServedHub], tokens: &Tokens, outcome: &mut Outcome) {
    for served in hubs {
        let removed = served.hub.take_back(tokens);
        let count = removed.len();
        if count > 0 {
            outcome.must_store(served, Change::Remove(removed));
            tracing::info!(
                name: "revocations_removed",
                hub = served.name,
                tokens = %tokens,
                count,
                "revocations were removed by the admin listener"
            );
        }
        outcome
            .hubs
            .push(json!({ "name": served.name, "removed": count }));
    }
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

#[cfg(test)]
mod tests;
