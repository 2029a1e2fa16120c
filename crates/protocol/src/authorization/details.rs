//! The details of a token, and the checks on their claim (specification, "Authorization Details").

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::base::Base;
use crate::error::{ProtocolError, Shown, kind_of};
use crate::limits::Limits;
use crate::matcher::{Matcher, MatcherSet, MatcherType};
use crate::topic::Topic;

/// The type identifier of a Mercure authorization detail, compared byte by byte.
pub const DETAIL_TYPE: &str = "https://mercure.rocks/authorization-detail";

/// The claim that carries the details (RFC 9396).
const CLAIM: &str = "authorization_details";

/// An action that a detail grants (specification, "Authorization Details").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Publish updates.
    Publish,
    /// Read private updates.
    Subscribe,
}

impl Action {
    /// The name in the `actions` of a detail.
    pub fn name(self) -> &'static str {
        match self {
            Self::Publish => "publish",
            Self::Subscribe => "subscribe",
        }
    }
}

/// The Mercure authorization details of a token, in the token's order. The default grants nothing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AuthorizationDetails {
    pub(super) details: Vec<Detail>,
    /// The payload of the subscriptions that no detail's payload covers; 0.x tokens only.
    pub(super) fallback_payload: Option<Arc<Value>>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Detail {
    pub(super) publish: bool,
    pub(super) subscribe: bool,
    pub(super) topics: MatcherSet,
    pub(super) payload: Option<Arc<Value>>,
}

impl AuthorizationDetails {
    /// Reads the claim `authorization_details`, all or nothing (B-444): one broken Mercure detail
    /// refuses the claim. Entries of another type are ignored, whatever their shape.
    ///
    /// # Errors
    /// [`Blame::Token`](crate::Blame::Token), with the claim path of the culprit as field, such as
    /// `authorization_details[2].topics[0].match_type`.
    pub fn parse(claim: &Value, base: &Base, limits: &Limits) -> Result<Self, ProtocolError> {
        let entries = match claim {
            Value::Array(entries) => entries,
            Value::String(_) => {
                return Err(ProtocolError::token(
                    CLAIM,
                    "is a JSON string, not an array; have the issuer map the claim as JSON, not \
                     as text",
                ));
            }
            other => {
                return Err(ProtocolError::token(
                    CLAIM,
                    format!("is {}, not an array of details", kind_of(other)),
                ));
            }
        };
        let mercure = || {
            entries
                .iter()
                .enumerate()
                .filter_map(|(index, entry)| Some((index, as_mercure(entry)?)))
        };
        let count = mercure().count();
        if count > limits.details {
            return Err(ProtocolError::token(
                CLAIM,
                format!(
                    "{count} Mercure details are more than the {} a token may have; merge those \
                     with equal actions",
                    limits.details
                ),
            ));
        }
        let mut topics_left = limits.granted_topics;
        let details = mercure()
            .map(|(index, detail)| {
                Detail::parse(
                    detail,
                    &format!("{CLAIM}[{index}]"),
                    &mut topics_left,
                    base,
                    limits,
                )
            })
            .collect::<Result<_, _>>()?;
        Self {
            details,
            fallback_payload: None,
        }
        .within(CLAIM, limits)
    }

    /// Refuses details whose patterns occupy too much memory together, though each is legal.
    pub(super) fn within(self, claim: &str, limits: &Limits) -> Result<Self, ProtocolError> {
        let states = self.states();
        if states <= limits.granted_states {
            return Ok(self);
        }
        Err(ProtocolError::token(
            claim.to_owned(),
            format!(
                "the patterns of this token are too complex together, {states} states are more than {}; grant fewer or simpler patterns",
                limits.granted_states
            ),
        ))
    }

    /// Whether a claim holds a Mercure detail, however broken, so that its token is of Mercure 1.0.
    pub fn are_in(claim: &Value) -> bool {
        let entries = claim.as_array();
        entries.is_some_and(|entries| entries.iter().any(|entry| as_mercure(entry).is_some()))
    }

    /// Whether the token carries no Mercure detail at all.
    pub fn is_empty(&self) -> bool {
        self.details.is_empty()
    }

    /// Whether some detail grants the action on the topic.
    pub fn grants(&self, action: Action, topic: &Topic<'_>) -> bool {
        self.details
            .iter()
            .any(|detail| detail.includes(action) && detail.topics.matches(topic))
    }

    /// How many topic matchers the action is granted on.
    pub fn topics_of(&self, action: Action) -> usize {
        self.matchers_of(action).count()
    }

    /// The topic matchers that the action is granted on, in the order of the details.
    pub fn matchers_of(&self, action: Action) -> impl Iterator<Item = &Matcher> {
        let granting = self.details.iter().filter(move |it| it.includes(action));
        granting.flat_map(|detail| detail.topics.iter())
    }

    /// The number of states of all its patterns and templates, by which they occupy memory.
    pub fn states(&self) -> usize {
        let matchers = self.details.iter().flat_map(|detail| detail.topics.iter());
        matchers.map(Matcher::states).sum()
    }

    /// Everything the token may read, as the engine compares it: the topics of all `subscribe`
    /// details.
    pub fn read_grants(&self) -> MatcherSet {
        self.details
            .iter()
            .filter(|detail| detail.subscribe)
            .flat_map(|detail| detail.topics.iter().cloned())
            .collect()
    }

    /// The payload of a subscription: that of the first `subscribe` detail whose topics match the
    /// text of the subscription's matcher, taken as a topic (specification, "Payloads"). `None`
    /// if there is no such detail, or if it has no payload.
    pub fn payload_for(&self, matcher_text: &str, base: &Base) -> Option<&Arc<Value>> {
        let topic = Topic::new(matcher_text, base);
        self.details
            .iter()
            .find(|detail| detail.subscribe && detail.topics.matches(&topic))
            .and_then(|detail| detail.payload.as_ref())
            .or(self.fallback_payload.as_ref())
    }
}

/// The entry as an object, if it is a Mercure detail.
fn as_mercure(entry: &Value) -> Option<&Map<String, Value>> {
    let object = entry.as_object()?;
    (object.get("type")?.as_str()? == DETAIL_TYPE).then_some(object)
}

impl Detail {
    fn includes(&self, action: Action) -> bool {
        match action {
            Action::Publish => self.publish,
            Action::Subscribe => self.subscribe,
        }
    }

    fn parse(
        detail: &Map<String, Value>,
        path: &str,
        topics_left: &mut usize,
        base: &Base,
        limits: &Limits,
    ) -> Result<Self, ProtocolError> {
        let mut publish = false;
        let mut subscribe = false;
        for (index, action) in non_empty_array(detail, path, "actions")?.iter().enumerate() {
            let Some(action) = action.as_str() else {
                return Err(ProtocolError::token(
                    format!("{path}.actions[{index}]"),
                    format!("is {}, not a string", kind_of(action)),
                ));
            };
            publish |= action == Action::Publish.name();
            subscribe |= action == Action::Subscribe.name();
        }

        let topics = non_empty_array(detail, path, "topics")?;
        *topics_left = topics_left.checked_sub(topics.len()).ok_or_else(|| {
            ProtocolError::token(
                format!("{path}.topics"),
                format!(
                    "more than the {} topics that all details of a token may have together; \
                     grant a URL pattern instead of single topics",
                    limits.granted_topics
                ),
            )
        })?;
        let topics = topics
            .iter()
            .enumerate()
            .map(|(index, topic)| {
                parse_topic(topic, &format!("{path}.topics[{index}]"), base, limits)
            })
            .collect::<Result<_, _>>()?;

        Ok(Self {
            publish,
            subscribe,
            topics,
            // The specification has an object here; the existing hub takes any value (B-444).
            payload: detail.get("payload").cloned().map(Arc::new),
        })
    }
}

/// Reads a topic matcher object (specification, "Topic Matcher List").
pub(super) fn parse_topic(
    topic: &Value,
    path: &str,
    base: &Base,
    limits: &Limits,
) -> Result<Matcher, ProtocolError> {
    let object = match topic {
        Value::Object(object) => object,
        Value::String(text) => {
            return Err(ProtocolError::token(
                path.to_owned(),
                format!(
                    "is the bare string {0}, not an object; write {{\"match\": {0}}}",
                    Shown(text)
                ),
            ));
        }
        other => {
            return Err(ProtocolError::token(
                path.to_owned(),
                format!("is {}, not an object with \"match\"", kind_of(other)),
            ));
        }
    };
    let kind = match object.get("match_type") {
        None => MatcherType::Exact,
        Some(value) => {
            let name = value
                .as_str()
                .map_or_else(|| kind_of(value).to_owned(), |name| Shown(name).to_string());
            value
                .as_str()
                .and_then(MatcherType::from_name)
                .ok_or_else(|| {
                    ProtocolError::token(
                        format!("{path}.match_type"),
                        format!(
                            "{name} is not a matcher type of this hub; use {}, in lower case",
                            MatcherType::SUPPORTED.map(|(name, _)| name).join(" or ")
                        ),
                    )
                })?
        }
    };
    let field = format!("{path}.match");
    match object.get("match") {
        None => Err(ProtocolError::token(
            field,
            "is missing; name the topic or pattern",
        )),
        Some(Value::String(text)) if text.is_empty() => Err(ProtocolError::token(
            field,
            "is empty; name the topic or pattern, or \"*\" for every topic",
        )),
        Some(Value::String(text)) => {
            Matcher::parse(kind, text, &field, base, limits).map_err(ProtocolError::in_token)
        }
        Some(other) => Err(ProtocolError::token(
            field,
            format!("is {}, not a string", kind_of(other)),
        )),
    }
}

fn non_empty_array<'a>(
    detail: &'a Map<String, Value>,
    path: &str,
    name: &str,
) -> Result<&'a [Value], ProtocolError> {
    let problem = match detail.get(name) {
        Some(Value::Array(values)) if !values.is_empty() => return Ok(values),
        Some(Value::Array(_)) => "is empty; a detail needs at least one entry".to_owned(),
        None => "is missing; a detail needs an array with at least one entry".to_owned(),
        Some(other) => format!("is {}, not an array", kind_of(other)),
    };
    Err(ProtocolError::token(format!("{path}.{name}"), problem))
}
