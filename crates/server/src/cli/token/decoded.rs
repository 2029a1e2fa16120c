//! What a token says, before any of it is verified.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use talaria_hub::HubOptions;
use talaria_protocol::authorization::Action;
use talaria_protocol::{AuthorizationDetails, Generation, Limits, Matcher};

use crate::cli::when;

/// The claim of grants of Mercure 1.0.
const DETAILS: &str = "authorization_details";

/// Header and claims of a token.
#[derive(Debug)]
pub(in crate::cli) struct Decoded {
    header: Map<String, Value>,
    /// The claims.
    pub(in crate::cli) claims: Map<String, Value>,
}

impl Decoded {
    /// Reads a compact token; `None` if it is not one.
    pub(in crate::cli) fn read(token: &str) -> Option<Self> {
        let mut parts = token.trim().split('.');
        let mut object = || {
            let json = BASE64_URL_SAFE_NO_PAD.decode(parts.next()?).ok()?;
            serde_json::from_slice::<Map<String, Value>>(&json).ok()
        };
        let (header, claims) = (object()?, object()?);
        (parts.count() == 1).then_some(Self { header, claims })
    }

    /// The generation of Mercure, by the claim that grants.
    pub(in crate::cli) fn generation(&self) -> Generation {
        let details = self.claims.get(DETAILS);
        match details.is_some_and(AuthorizationDetails::are_in) {
            false if AuthorizationDetails::are_in_mercure_claim(&self.claims) => Generation::V0,
            _ => Generation::V1,
        }
    }

    /// Lines about what it says, as a hub with these options reads it.
    pub(super) fn describe(&self, options: &HubOptions, now: f64) -> String {
        let mut out = String::new();
        let header = |name| {
            self.header
                .get(name)
                .map_or("none", |it| it.as_str().unwrap_or("not a text"))
        };
        let generation = match self.generation() {
            Generation::V0 => "0.x",
            _ => "1.0",
        };
        // Writing to a string cannot fail.
        _ = writeln!(
            out,
            "token: Mercure {generation}, alg {}, typ {}",
            header("alg"),
            header("typ")
        );
        for (claim, name) in [("iss", "issuer"), ("aud", "audience"), ("sub", "subject")] {
            _ = writeln!(out, "{name}: {}", self.texts(claim));
        }
        for (claim, name) in [("iat", "issued"), ("nbf", "valid from"), ("exp", "expires")] {
            match (self.seconds(claim), self.claims.get(claim)) {
                (Some(seconds), _) => _ = writeln!(out, "{name}: {}", when::moment(seconds, now)),
                (None, Some(other)) if !other.is_null() => {
                    _ = writeln!(out, "{name}: {other}, which is not a number");
                }
                (None, _) if claim == "exp" => _ = writeln!(out, "{name}: never"),
                (None, _) => {}
            }
        }
        match self.details(options) {
            Ok(details) => {
                for (action, text) in [
                    (Action::Publish, "may publish to"),
                    (Action::Subscribe, "may receive private updates of"),
                ] {
                    grants(&mut out, text, &mut details.matchers_of(action));
                }
            }
            Err(problem) => _ = writeln!(out, "grants: {problem}"),
        }
        out
    }

    fn details(&self, options: &HubOptions) -> Result<AuthorizationDetails, String> {
        let limits: &Limits = &options.limits;
        let details = match (self.generation(), self.claims.get(DETAILS)) {
            (Generation::V0, _) => {
                AuthorizationDetails::from_mercure_claim(&self.claims, &options.base, limits)
            }
            (_, None) => Ok(AuthorizationDetails::default()),
            (_, Some(claim)) => AuthorizationDetails::parse(claim, &options.base, limits),
        };
        details.map_err(|error| error.to_string())
    }

    /// A claim of one text or several.
    fn texts(&self, claim: &str) -> String {
        match self.claims.get(claim) {
            None | Some(Value::Null) => "none".to_owned(),
            Some(Value::String(text)) => text.clone(),
            Some(Value::Array(values)) => {
                let texts = values.iter().map(|value| match value {
                    Value::String(text) => text.clone(),
                    other => other.to_string(),
                });
                texts.collect::<Vec<_>>().join(", ")
            }
            Some(other) => other.to_string(),
        }
    }

    /// A claim in Unix seconds; in a token of 0.x it may be a text of digits.
    fn seconds(&self, claim: &str) -> Option<f64> {
        let value = self.claims.get(claim)?;
        let text = value
            .as_str()
            .filter(|_| self.generation() == Generation::V0);
        value.as_f64().or_else(|| text?.parse().ok())
    }
}

fn grants(out: &mut String, text: &str, matchers: &mut dyn Iterator<Item = &Matcher>) {
    let mut matchers = matchers.peekable();
    if matchers.peek().is_none() {
        _ = writeln!(out, "{text}: nothing");
        return;
    }
    _ = writeln!(out, "{text}:");
    for matcher in matchers {
        let kind = match matcher {
            Matcher::Any => "every topic",
            Matcher::Exact(_) => "exact",
            Matcher::UrlPattern(_) => "urlpattern",
            Matcher::Template(_) => "URI Template",
        };
        _ = writeln!(out, "  {kind:<13}{}", matcher.text());
    }
}
