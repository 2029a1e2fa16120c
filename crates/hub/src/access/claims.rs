//! Checks the claims of a token whose signature is verified (specification, "Token Validation").

use std::time::Duration;

use serde_json::{Map, Number, Value};
use talaria_protocol::{AuthorizationDetails, Base, Generation, Limits};

use super::refusal::Refusal;

/// The claim that carries what the token allows.
const DETAILS: &str = "authorization_details";

/// Checks `exp` and returns it, in Unix seconds. It is not rounded, and there is no leeway.
pub(super) fn expiry(claims: &Map<String, Value>, now: f64) -> Result<f64, Refusal> {
    expiry_if_any(claims, now)?.ok_or(Refusal::ExpMissing)
}

/// As [`expiry`], for 0.x tokens, which need not expire (B-637).
pub(super) fn expiry_if_any(claims: &Map<String, Value>, now: f64) -> Result<Option<f64>, Refusal> {
    let Some(exp) = claims.get("exp") else {
        return Ok(None);
    };
    let exp = exp.as_f64().ok_or(Refusal::ExpNotANumber)?;
    if now < exp {
        Ok(Some(exp))
    } else {
        Err(Refusal::Expired { exp, now })
    }
}

/// Brings the times of a 0.x token into the form of 1.0. Mercure 0.x also accepts a string that is a JSON
/// number, takes `null` for an absent claim, and drops fractions of a second.
pub(super) fn read_times_as_0_x_does(claims: &mut Map<String, Value>) {
    for name in ["exp", "nbf", "iat"] {
        let Some(claim) = claims.get_mut(name) else {
            continue;
        };
        let seconds = match claim {
            Value::Null => {
                claims.remove(name);
                continue;
            }
            Value::Number(number) => number.as_f64(),
            Value::String(text) if !text.contains(char::is_whitespace) => {
                let number = serde_json::from_str::<Number>(text).ok();
                number.and_then(|number| number.as_f64())
            }
            _ => None,
        };
        if let Some(number) = seconds.and_then(|seconds| Number::from_f64(seconds.floor())) {
            *claim = Value::Number(number);
        }
    }
}

/// Checks `nbf`, if there is one.
pub(super) fn check_not_before(claims: &Map<String, Value>, now: f64) -> Result<(), Refusal> {
    let Some(nbf) = claims.get("nbf") else {
        return Ok(());
    };
    let nbf = nbf.as_f64().ok_or(Refusal::NbfNotANumber)?;
    if nbf <= now {
        Ok(())
    } else {
        Err(Refusal::NotYetValid { nbf, now })
    }
}

/// How far the clock of an issuer may be ahead of the hub's, in seconds.
const AHEAD: f64 = 60.0;

/// When a token was issued: `iat`, which may be a minute ahead because clocks differ. A later one does not
/// count.
fn issued_at(claims: &Map<String, Value>, now: f64) -> Option<f64> {
    let issued_at = claims.get("iat").and_then(Value::as_f64);
    issued_at.filter(|issued_at| *issued_at <= now + AHEAD)
}

/// How long a token lives in all, in seconds: infinity if it does not expire, and `None` if it does not say
/// when it was issued.
pub(super) fn lifetime(
    claims: &Map<String, Value>,
    expires_at: Option<f64>,
    now: f64,
) -> Option<f64> {
    match expires_at {
        None => Some(f64::INFINITY),
        Some(expires_at) => issued_at(claims, now).map(|issued_at| expires_at - issued_at),
    }
}

/// Checks how long a token lives until it expires. The lifetime begins now if the token does not say when it
/// was issued.
pub(super) fn check_lifetime(
    claims: &Map<String, Value>,
    expires_at: Option<f64>,
    now: f64,
    max: Option<Duration>,
) -> Result<(), Refusal> {
    let Some(max) = max.map(|max| max.as_secs_f64()) else {
        return Ok(());
    };
    let begins = issued_at(claims, now).unwrap_or(now);
    let lifetime = expires_at.map(|expires_at| expires_at - begins);
    if lifetime.is_some_and(|lifetime| lifetime <= max) {
        Ok(())
    } else {
        Err(Refusal::LivesTooLong { lifetime, max })
    }
}

/// Checks `aud`: it must contain one of the hub's resource identifiers.
pub(super) fn check_audience(
    claims: &Map<String, Value>,
    audiences: &[String],
) -> Result<(), Refusal> {
    let received = received_audiences(claims)?;
    let received = received.ok_or_else(|| Refusal::AudMissing {
        expected: audiences.to_vec(),
    })?;
    if name_one_of(&received, audiences) {
        Ok(())
    } else {
        Err(Refusal::AudMismatch {
            received,
            expected: audiences.to_vec(),
        })
    }
}

/// The values of `aud`, if there is one.
pub(super) fn received_audiences(
    claims: &Map<String, Value>,
) -> Result<Option<Vec<String>>, Refusal> {
    match claims.get("aud") {
        None => Ok(None),
        Some(Value::String(audience)) => Ok(Some(vec![audience.clone()])),
        Some(Value::Array(values)) => values
            .iter()
            .map(|value| value.as_str().map(str::to_owned))
            .collect::<Option<_>>()
            .map(Some)
            .ok_or(Refusal::AudNotStrings),
        Some(_) => Err(Refusal::AudNotStrings),
    }
}

/// Whether the values of `aud` contain one of the hub's resource identifiers.
pub(super) fn name_one_of(received: &[String], audiences: &[String]) -> bool {
    received.iter().any(|audience| {
        audiences.contains(audience)
            || without_default_port(audience).is_some_and(|audience| audiences.contains(&audience))
    })
}

/// The URL without its port, if that is the default of its scheme. Configurations of applications write
/// that port (`https://localhost:443/…`), and clients never do (RFC 3986, section 6.2.3).
fn without_default_port(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let (authority, path) = rest.split_once('/')?;
    let host = match scheme {
        "http" => authority.strip_suffix(":80"),
        "https" => authority.strip_suffix(":443"),
        _ => None,
    }?;
    Some(format!("{scheme}://{host}/{path}"))
}

/// The generation of a token by its claims: 1.0 if there is a Mercure detail, even a malformed one.
pub(super) fn generation(claims: &Map<String, Value>) -> Generation {
    match claims.get(DETAILS) {
        Some(details) if AuthorizationDetails::are_in(details) => Generation::V1,
        _ => Generation::V0,
    }
}

/// Whether the claims are those of a 0.x token: they have its grant, and no Mercure detail.
pub(super) fn are_of_older_token(claims: &Map<String, Value>) -> bool {
    generation(claims) == Generation::V0 && AuthorizationDetails::are_in_mercure_claim(claims)
}

/// Reads `authorization_details`. Without the claim, or with `null`, the token grants nothing (B-445).
pub(super) fn details(
    claims: &Map<String, Value>,
    base: &Base,
    limits: &Limits,
) -> Result<AuthorizationDetails, Refusal> {
    let Some(claim) = claims.get(DETAILS).filter(|claim| !claim.is_null()) else {
        return Ok(AuthorizationDetails::default());
    };
    AuthorizationDetails::parse(claim, base, limits).map_err(|error| {
        // Authorization servers make this mistake so often that it has its own code (B-1033).
        if claim.is_string() {
            Refusal::DetailsAreAString(error)
        } else {
            Refusal::DetailsInvalid(error)
        }
    })
}
