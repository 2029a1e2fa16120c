//! What a token grants, in the claim of its generation.

use serde_json::{Map, Value, json};
use talaria_config::Error;
use talaria_config::guide::Page;
use talaria_protocol::authorization::AuthorizationDetails;
use talaria_protocol::{Base, Limits, Matcher, ProtocolError};

use super::argument::text;
use super::options::{Args, MintGeneration};
use crate::cli::output;

/// The claim that grants, and its value.
///
/// # Errors
///
/// Nothing is granted, or every hub would refuse it.
pub(super) fn claim(args: &Args) -> Result<(&'static str, Value), Error> {
    let grants = Grants::read(args)?;
    match args.generation {
        MintGeneration::V1 => {
            grants.warn_of_templates();
            let details = Value::Array(grants.details());
            check(|base, limits| AuthorizationDetails::parse(&details, base, limits))?;
            Ok(("authorization_details", details))
        }
        MintGeneration::V0 => {
            let claim = grants.older();
            let claims: Map<String, Value> = [("mercure".to_owned(), claim.clone())]
                .into_iter()
                .collect();
            check(|base, limits| AuthorizationDetails::from_mercure_claim(&claims, base, limits))?;
            Ok(("mercure", claim))
        }
    }
}

struct Grants<'a> {
    publish: Vec<(&'a str, bool)>,
    subscribe: Vec<(&'a str, bool)>,
    payload: Option<Value>,
}

impl<'a> Grants<'a> {
    /// Exact topics come before patterns (B-044); `--dev` alone grants everything.
    fn read(args: &'a Args) -> Result<Self, Error> {
        let topics = |exact: &'a [String], patterns: &'a [String]| -> Vec<(&'a str, bool)> {
            let exact = exact.iter().map(|topic| (topic.as_str(), false));
            let patterns = patterns.iter().map(|pattern| (pattern.as_str(), true));
            exact.chain(patterns).collect()
        };
        let mut publish = topics(&args.publish, &args.publish_urlpattern);
        let mut subscribe = topics(&args.subscribe, &args.subscribe_urlpattern);
        if publish.is_empty() && subscribe.is_empty() {
            if !args.dev {
                return Err(Error::new("the token would grant nothing")
                    .remedy("give --publish, --publish-urlpattern, --subscribe or --subscribe-urlpattern")
                    .page(Page::TOKEN_MINT));
            }
            publish = vec![("*", false)];
            subscribe.clone_from(&publish);
        }
        let payload = match &args.payload {
            None => None,
            Some(payload) => {
                let parsed = serde_json::from_str::<Value>(&text("--payload", payload)?);
                Some(parsed.map_err(|error| {
                    Error::new("--payload is not JSON").caused_by(error).remedy(
                        "write for example {\"user\": \"ann\"}, in single quotes for the shell",
                    )
                })?)
            }
        };
        if payload.is_some() && subscribe.is_empty() {
            return Err(Error::new(
                "--payload describes a subscriber, and the token has no subscribe grant",
            )
            .remedy("give --subscribe too, or leave it out"));
        }
        Ok(Self {
            publish,
            subscribe,
            payload,
        })
    }

    /// Details of Mercure 1.0: publish first, then subscribe (B-044).
    fn details(&self) -> Vec<Value> {
        let detail = |action: &str, topics: &[(&str, bool)]| {
            let topics: Vec<Value> = topics
                .iter()
                .map(|(text, is_pattern)| match is_pattern {
                    false => json!({ "match": text }),
                    true => json!({ "match": text, "match_type": "urlpattern" }),
                })
                .collect();
            json!({
                "type": "https://mercure.rocks/authorization-detail",
                "actions": [action],
                "topics": topics,
            })
        };
        let mut details = Vec::new();
        if !self.publish.is_empty() {
            details.push(detail("publish", &self.publish));
        }
        if !self.subscribe.is_empty() {
            let mut detail = detail("subscribe", &self.subscribe);
            if let Some(payload) = &self.payload {
                detail["payload"] = payload.clone();
            }
            details.push(detail);
        }
        details
    }

    /// The claim of Mercure 0.x (B-614, B-615).
    fn older(&self) -> Value {
        let texts = |topics: &[(&str, bool)]| -> Vec<Value> {
            topics.iter().map(|(text, _)| (*text).into()).collect()
        };
        let mut claim = json!({});
        if !self.publish.is_empty() {
            claim["publish"] = texts(&self.publish).into();
        }
        if !self.subscribe.is_empty() {
            claim["subscribe"] = texts(&self.subscribe).into();
        }
        if let Some(payload) = &self.payload {
            claim["payload"] = payload.clone();
        }
        claim
    }

    /// In 1.0 an exact topic is compared as it is, which the text of a URI Template seldom means.
    fn warn_of_templates(&self) {
        for (option, topics) in [
            ("--publish", &self.publish),
            ("--subscribe", &self.subscribe),
        ] {
            let exact = topics.iter().filter(|(_, is_pattern)| !is_pattern);
            for (text, _) in exact {
                if matches!(Matcher::selector(text), Matcher::Template(_)) {
                    output::say(&format!(
                        "warning: {option} {text}: Mercure 1.0 compares it as it is; use {option}-urlpattern for a pattern, or --generation 0.x for a URI Template"
                    ));
                }
            }
        }
    }
}

/// Refuses grants that every hub would refuse. How many are allowed depends on the hub.
fn check(
    parse: impl FnOnce(&Base, &Limits) -> Result<AuthorizationDetails, ProtocolError>,
) -> Result<(), Error> {
    let mut limits = Limits::default();
    limits.details = usize::MAX;
    limits.granted_topics = usize::MAX;
    limits.selectors = usize::MAX;
    parse(&Base::synthetic(), &limits)
        .map(drop)
        .map_err(|error| {
            Error::new("every hub would refuse this token")
                .caused_by(error)
                .remedy("correct the topic or pattern that the claim names")
                .page(Page::TOKENS)
        })
}
