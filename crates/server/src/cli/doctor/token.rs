//! What can be seen of a token without its key.

use serde_json::Value;
use talaria_config::guide::Page;
use talaria_protocol::Generation;
use url::Url;

use super::findings::{Findings, Subject};
use crate::cli::client::Token;
use crate::cli::token::Decoded;
use crate::serve::clock;

/// Reads the claims of a token; `is_accepted` says whether the hub accepted it.
pub(super) fn examine(
    token: &Token,
    is_accepted: bool,
    metadata: Option<&Value>,
    url: &Url,
    findings: &mut Findings,
) {
    let asked = format!(
        "nothing: the claims of the token of {} are read",
        token.source
    );
    let mut subject = findings.on("token", asked);
    let decoded = token.authorization.to_str().ok();
    let decoded = decoded.and_then(|text| Decoded::read(text.strip_prefix("Bearer ")?));
    let Some(decoded) = decoded else {
        subject.fault(
            "it is not a signed JWT",
            "have the application send header.payload.signature",
            Page::TOKENS,
        );
        return;
    };
    let claims = Value::Object(decoded.claims.clone());
    if let Some(exp) = claims["exp"].as_f64()
        && exp <= clock::unix_now()
    {
        subject.fault(
            "it has expired",
            "get a new one; renew tokens before they end",
            Page::TOKEN_REFUSED,
        );
    }
    if decoded.generation() == Generation::V0 {
        subject.note(
            "it is one of Mercure 0.x",
            "a hub of 1.0 accepts it only with `protocol_version_compatibility 8`",
            Page::GENERATIONS,
        );
        return;
    }
    if claims["exp"].is_null() {
        subject.fault(
            "it has no `exp`",
            "have the issuer let it expire",
            Page::TOKENS,
        );
    }
    let own = url.as_str();
    let expected = metadata
        .and_then(|document| document["resource"].as_str())
        .unwrap_or(own);
    examine_audience(&claims["aud"], expected, is_accepted, &mut subject);
}

fn examine_audience(
    audience: &Value,
    expected: &str,
    is_accepted: bool,
    subject: &mut Subject<'_>,
) {
    let names = |audience: &Value| match audience {
        Value::String(one) => one == expected,
        Value::Array(many) => many.iter().any(|one| one == expected),
        _ => false,
    };
    if names(audience) {
        subject.good(&format!("it is for {expected}"));
    } else if is_accepted {
        subject.note(
            &format!("its `aud` is {audience}, which the hub accepts beside {expected}"),
            "name the hub's URL in new tokens",
            Page::TOKEN_AUDIENCE,
        );
    } else {
        subject.fault(
            &format!("its `aud` is {audience}, and the hub identifies itself as {expected}"),
            "make the two equal: in the issuer, or by `resource_identifier` or `accepted_audiences` of the hub",
            Page::TOKEN_AUDIENCE,
        );
    }
}
