//! Subscriptions: what a subscriber asks for (specification, "Subscription").

use crate::error::Shown;
use crate::form::Pair;
use crate::{Base, Limits, Matcher, MatcherSet, MatcherType, ProtocolError};

/// A subscription as it was asked: what events and documents show. What the engine compares is
/// the [`Matcher`] it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// The matcher's type.
    pub matcher_type: MatcherType,
    /// The matcher's text, as sent.
    pub text: String,
}

/// The cursor that a request carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastEventId(pub String);

/// The parameters of one subscription request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscribeRequest {
    /// Every matcher parameter, in order, duplicates included.
    pub subscriptions: Vec<Subscription>,
    /// What they select together.
    pub matchers: MatcherSet,
    /// The value of `last_event_id`, if present, even empty. A `Last-Event-ID` field wins.
    pub last_event_id: Option<LastEventId>,
}

impl SubscribeRequest {
    /// Reads the pairs of a query and, for `QUERY`, those of the body, as one list in that order.
    ///
    /// # Errors
    /// Malformed: no matcher, too many, a bad one, or a name in the reserved `match` namespace.
    pub fn from_pairs<'a>(
        pairs: impl IntoIterator<Item = &'a Pair<'a>>,
        base: &Base,
        limits: &Limits,
    ) -> Result<Self, ProtocolError> {
        let mut asked = Vec::new();
        let mut last_event_id: Option<LastEventId> = None;
        let mut legacy_topic = false;
        for (name, value) in pairs {
            if let Some(matcher_type) = matcher_type_of(name)? {
                asked.push((
                    &**name,
                    Subscription {
                        matcher_type,
                        text: value.clone().into_owned(),
                    },
                ));
            } else if name == "last_event_id" {
                last_event_id.get_or_insert_with(|| LastEventId(value.clone().into_owned()));
            } else if name == "topic" {
                legacy_topic = true;
            }
        }
        if legacy_topic {
            return Err(ProtocolError::malformed(
                "topic",
                "this parameter belongs to Mercure 0.x; use \"match\" for a topic or \"match_urlpattern\" for a URL Pattern",
            ));
        }
        if asked.is_empty() {
            return Err(ProtocolError::malformed(
                "match",
                "missing; name at least one topic with \"match\" or \"match_urlpattern\"",
            ));
        }
        if asked.len() > limits.matchers {
            return Err(ProtocolError::malformed(
                "match",
                format!(
                    "{} matchers are more than the {} of one request; open several streams",
                    asked.len(),
                    limits.matchers
                ),
            ));
        }
        let mut states = 0;
        let matchers = asked
            .iter()
            .map(|(name, asked)| {
                let text = &asked.text;
                let matcher = Matcher::parse(asked.matcher_type, text, name, base, limits)?;
                if let Matcher::UrlPattern(pattern) = &matcher {
                    states += pattern.states();
                    check_states(states, limits)?;
                }
                Ok(matcher)
            })
            .collect::<Result<MatcherSet, ProtocolError>>()?;
        let subscriptions = asked
            .into_iter()
            .map(|(_, subscription)| subscription)
            .collect();
        Ok(Self {
            subscriptions,
            matchers,
            last_event_id,
        })
    }
}

/// The matcher type that a parameter names; an unknown name in the reserved namespace is refused.
fn matcher_type_of(name: &str) -> Result<Option<MatcherType>, ProtocolError> {
    if name == "match" {
        return Ok(Some(MatcherType::Exact));
    }
    if let Some(matcher_type) = name.strip_prefix("match_").and_then(MatcherType::from_name) {
        return Ok(Some(matcher_type));
    }
    let reserved = name
        .get(..5)
        .is_some_and(|start| start.eq_ignore_ascii_case("match"));
    if reserved {
        return Err(ProtocolError::malformed(
            name.to_owned(),
            format!(
                "{} names no matcher type of this hub; use \"match\", \"match_exact\" or \"match_urlpattern\"",
                Shown(name)
            ),
        ));
    }
    Ok(None)
}

/// One request must not bring patterns that cost every publish too much, though each is legal.
/// Checked pattern by pattern, since compiling them costs as well.
fn check_states(states: usize, limits: &Limits) -> Result<(), ProtocolError> {
    if states <= limits.pattern_states {
        return Ok(());
    }
    Err(ProtocolError::malformed(
        "match_urlpattern",
        "the URL Patterns of this request are too complex together; use fewer optional or custom groups, or several streams",
    ))
}
