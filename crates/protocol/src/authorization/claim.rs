//! Reads the `mercure` claim of Mercure 0.x tokens into the same details (B-614, B-615).

use std::sync::Arc;

use serde_json::{Map, Value};

use super::details::{AuthorizationDetails, Detail, parse_topic};
use crate::base::Base;
use crate::error::{ProtocolError, kind_of};
use crate::limits::Limits;
use crate::matcher::{Matcher, MatcherType};

/// The claim's names; the namespaced one, for issuers that demand a URL, wins.
const NAMES: [&str; 2] = ["https://mercure.rocks/", "mercure"];

impl AuthorizationDetails {
    /// Whether the claims hold the one from which a 0.x token is read.
    pub fn are_in_mercure_claim(claims: &Map<String, Value>) -> bool {
        let mut names = NAMES.iter();
        names.any(|name| claims.get(*name).is_some_and(|claim| !claim.is_null()))
    }

    /// Reads what a 0.x token allows. Without the claim it allows nothing.
    ///
    /// `publish` and `subscribe` list selectors, or objects with `match`, `match_type` and
    /// `payload`; `payload` is that of every subscription that no entry's payload covers.
    ///
    /// # Errors
    /// [`Blame::Token`](crate::Blame::Token), with the claim path of the culprit as field.
    pub fn from_mercure_claim(
        claims: &Map<String, Value>,
        base: &Base,
        limits: &Limits,
    ) -> Result<Self, ProtocolError> {
        let named = NAMES
            .iter()
            .find_map(|name| Some((*name, claims.get(*name).filter(|claim| !claim.is_null())?)));
        let (name, claim) = match named {
            None => return Ok(Self::default()),
            Some((name, Value::Object(claim))) => (name, claim),
            Some((name, other)) => {
                let problem = format!("is {}, not an object", kind_of(other));
                return Err(ProtocolError::token(name, problem));
            }
        };
        let publish = entries(claim, name, "publish", base, limits)?;
        let subscribe = entries(claim, name, "subscribe", base, limits)?;
        let detail = |publish, matchers: Vec<Matcher>, payload| Detail {
            publish,
            subscribe: !publish,
            topics: matchers.into_iter().collect(),
            payload,
        };
        let (own, bare): (Vec<_>, Vec<_>) = subscribe
            .into_iter()
            .partition(|(_, payload)| payload.is_some());
        // Those with a payload first: the first detail that covers a subscription gives it.
        let mut details: Vec<_> = own
            .into_iter()
            .map(|(matcher, payload)| detail(false, vec![matcher], payload))
            .collect();
        let topics =
            |entries: Vec<Entry>| entries.into_iter().map(|(matcher, _)| matcher).collect();
        details.push(detail(false, topics(bare), None));
        details.push(detail(true, topics(publish), None));
        Self {
            details,
            fallback_payload: claim
                .get("payload")
                .filter(|value| !value.is_null())
                .cloned()
                .map(Arc::new),
        }
        .within(name, limits)
    }
}

type Entry = (Matcher, Option<Arc<Value>>);

/// The entries of one action.
fn entries(
    claim: &Map<String, Value>,
    name: &str,
    action: &str,
    base: &Base,
    limits: &Limits,
) -> Result<Vec<Entry>, ProtocolError> {
    let path = format!("{name}.{action}");
    let listed = match claim.get(action) {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(listed)) => listed,
        Some(other) => {
            let problem = format!("is {}, not an array of topic selectors", kind_of(other));
            return Err(ProtocolError::token(path, problem));
        }
    };
    if listed.len() > limits.selectors {
        return Err(ProtocolError::token(
            path,
            format!(
                "{} selectors are more than the {} a token may have; grant a template instead",
                listed.len(),
                limits.selectors
            ),
        ));
    }
    let parse = |(index, entry): (usize, &Value)| {
        let path = format!("{path}[{index}]");
        match entry {
            Value::String(text) => {
                let matcher = Matcher::parse(MatcherType::Selector, text, &path, base, limits);
                Ok((matcher.map_err(ProtocolError::in_token)?, None))
            }
            Value::Object(object) => {
                let payload = object.get("payload").filter(|value| !value.is_null());
                let matcher = parse_topic(entry, &path, base, limits)?;
                Ok((matcher, payload.cloned().map(Arc::new)))
            }
            other => Err(ProtocolError::token(
                path,
                format!("is {}, not a topic selector", kind_of(other)),
            )),
        }
    };
    listed.iter().enumerate().map(parse).collect()
}
