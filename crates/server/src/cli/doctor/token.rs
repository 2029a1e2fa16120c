//! What can be seen of a token without its key.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::HeaderValue;
use serde_json::Value;
use url::Url;

use super::findings::Findings;
use crate::serve::clock;

const SUBJECT: &str = "token";

/// Reads the claims of a token; `is_accepted` says whether the hub accepted it.
pub(super) fn examine(
    token: &HeaderValue,
    is_accepted: bool,
    metadata: Option<&Value>,
    url: &Url,
    findings: &mut Findings,
) {
    let claims = token.to_str().ok().and_then(|token| {
        let claims = token.strip_prefix("Bearer ")?.split('.').nth(1)?;
        let claims = BASE64_URL_SAFE_NO_PAD.decode(claims).ok()?;
        serde_json::from_slice::<Value>(&claims).ok()
    });
    let Some(claims) = claims else {
        findings.fault(
            SUBJECT,
            "it is not a signed JWT",
            "have the application send header.payload.signature",
        );
        return;
    };
    if let Some(exp) = claims["exp"].as_f64()
        && exp <= clock::unix_now()
    {
        findings.fault(
            SUBJECT,
            "it has expired",
            "get a new one; renew tokens before they end",
        );
    }
    let is_older = ["mercure", "https://mercure.rocks/"]
        .iter()
        .any(|name| !claims[*name].is_null());
    if is_older && claims["authorization_details"].is_null() {
        findings.note(
            SUBJECT,
            "it is one of Mercure 0.x; a hub of 1.0 accepts it only with `protocol_version_compatibility 8`",
        );
        return;
    }
    if claims["exp"].is_null() {
        findings.fault(SUBJECT, "it has no `exp`", "have the issuer let it expire");
    }
    let own = url.as_str();
    let expected = metadata
        .and_then(|document| document["resource"].as_str())
        .unwrap_or(own);
    examine_audience(&claims["aud"], expected, is_accepted, findings);
}

fn examine_audience(audience: &Value, expected: &str, is_accepted: bool, findings: &mut Findings) {
    let names = |audience: &Value| match audience {
        Value::String(one) => one == expected,
        Value::Array(many) => many.iter().any(|one| one == expected),
        _ => false,
    };
    if names(audience) {
        findings.good(SUBJECT, &format!("it is for {expected}"));
    } else if is_accepted {
        findings.note(
            SUBJECT,
            &format!("its `aud` is {audience}, which the hub accepts beside {expected}"),
        );
    } else {
        findings.fault(
            SUBJECT,
            &format!("its `aud` is {audience}, and the hub identifies itself as {expected}"),
            "make the two equal: in the issuer, or by `resource_identifier` or `accepted_audiences` of the hub",
        );
    }
}
