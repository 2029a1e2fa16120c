//! Subscriptions: what a subscriber asks for (specification, "Subscription").

use crate::form::{self, Pair};
use crate::topic::check_characters;
use crate::{Base, Generation, Limits, Matcher, MatcherSet, MatcherType, ProtocolError, Rule};

/// A subscription as it was asked: what events and documents show. What the engine compares is
/// the [`Matcher`] it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// The matcher's type.
    pub matcher_type: MatcherType,
    /// The matcher's text, as sent.
    pub text: String,
}

impl Subscription {
    /// The generation of the parameter that asked for it, in which it is shown.
    pub fn generation(&self) -> Generation {
        match self.matcher_type {
            MatcherType::Selector => Generation::V0,
            MatcherType::Exact | MatcherType::UrlPattern => Generation::V1,
        }
    }
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
    /// The value of `last_event_id`, if present, even empty, or of what 0.x clients call it. A
    /// `Last-Event-ID` field wins.
    pub last_event_id: Option<LastEventId>,
}

impl SubscribeRequest {
    /// Reads the pairs of a query and, for `QUERY`, those of the body, as one list in that order.
    /// `topic` and the 0.x names of the cursor are read if the rule accepts 0.x. Under the classic
    /// rule a request with `topic` may have parameters of any name, as in 0.x.
    ///
    /// # Errors
    /// Malformed: no matcher, too many, a bad one, or a name in the reserved `match` namespace.
    pub fn from_pairs(
        pairs: &[Pair<'_>],
        rule: Rule,
        base: &Base,
        limits: &Limits,
    ) -> Result<Self, ProtocolError> {
        let oldest = rule.oldest();
        let mut unknown_matcher = None;
        let mut asked = Vec::new();
        let mut last_event_id: Option<LastEventId> = None;
        let mut older_last_event_id: Option<LastEventId> = None;
        let mut selectors = 0;
        for (name, value) in pairs {
            if name == "topic" {
                selectors += 1;
                asked.push((
                    &**name,
                    Subscription {
                        matcher_type: MatcherType::Selector,
                        text: value.clone().into_owned(),
                    },
                ));
            } else if let Some(matcher_type) = matcher_type_of(name) {
                asked.push((
                    &**name,
                    Subscription {
                        matcher_type,
                        text: value.clone().into_owned(),
                    },
                ));
            } else if is_reserved(name) {
                unknown_matcher.get_or_insert(&**name);
            } else if name == "last_event_id" {
                last_event_id.get_or_insert_with(|| LastEventId(value.clone().into_owned()));
            } else if oldest == Generation::V0
                && OLDER_LAST_EVENT_ID.contains(&&**name)
                && older_last_event_id
                    .as_ref()
                    .is_none_or(|earlier| earlier.0.is_empty())
            {
                older_last_event_id = Some(LastEventId(value.clone().into_owned()));
            }
        }
        if selectors > 0 && oldest == Generation::V1 {
            return Err(ProtocolError::malformed(
                "topic",
                "this parameter belongs to Mercure 0.x; use \"match\" for a topic or \"match_urlpattern\" for a URL Pattern",
            ));
        }
        // A request of 0.x alone: its other parameters mean nothing to the hub.
        let is_older = selectors > 0
            && selectors == asked.len()
            && rule.checks(Generation::V0) == Generation::V0;
        if let Some(name) = unknown_matcher
            && !is_older
        {
            return Err(ProtocolError::malformed(
                name.to_owned(),
                "names no matcher type of this hub; use \"match\", \"match_exact\" or \"match_urlpattern\"",
            ));
        }
        if asked.is_empty() {
            let (field, remedy) = match oldest {
                Generation::V0 => (
                    "topic",
                    "name at least one topic with \"topic\" (Mercure 0.x), or with \"match\" or \"match_urlpattern\" (1.0), without brackets",
                ),
                Generation::V1 => (
                    "match",
                    "name at least one topic with \"match\" or \"match_urlpattern\", without brackets",
                ),
            };
            let problem = format!("missing ({}); {remedy}", form::names(pairs));
            return Err(ProtocolError::malformed(field, problem));
        }
        if selectors > limits.selectors {
            return Err(ProtocolError::malformed(
                "topic",
                format!(
                    "{selectors} topics are more than the {} of one request; open several streams",
                    limits.selectors
                ),
            ));
        }
        if asked.len() - selectors > limits.matchers {
            return Err(ProtocolError::malformed(
                "match",
                format!(
                    "{} matchers are more than the {} of one request; open several streams",
                    asked.len() - selectors,
                    limits.matchers
                ),
            ));
        }
        let mut states = 0;
        let matchers = asked
            .iter()
            .map(|(name, asked)| {
                let text = &asked.text;
                if asked.matcher_type == MatcherType::Selector {
                    check_characters(name, text, rule.checks(Generation::V0))?;
                }
                let matcher = Matcher::parse(asked.matcher_type, text, name, base, limits)?;
                states += matcher.states();
                check_states(name, states, limits)?;
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
            last_event_id: match last_event_id {
                Some(given) if !given.0.is_empty() => Some(given),
                given => older_last_event_id.or(given),
            },
        })
    }
}

/// How 0.x clients name the cursor in a query: the name of its specification, a polyfill's, and
/// that of before 0.14 (B-623, B-638, B-660).
const OLDER_LAST_EVENT_ID: [&str; 3] = ["lastEventID", "lastEventId", "Last-Event-ID"];

/// The matcher type that a parameter names.
fn matcher_type_of(name: &str) -> Option<MatcherType> {
    if name == "match" {
        return Some(MatcherType::Exact);
    }
    name.strip_prefix("match_").and_then(MatcherType::from_name)
}

/// Whether a parameter's name is reserved for matcher types (specification, "Subscription").
fn is_reserved(name: &str) -> bool {
    name.get(..5)
        .is_some_and(|start| start.eq_ignore_ascii_case("match"))
}

/// One request must not bring patterns that cost every publish too much, though each is legal.
/// Checked pattern by pattern, since compiling them costs as well.
fn check_states(field: &str, states: usize, limits: &Limits) -> Result<(), ProtocolError> {
    if states <= limits.pattern_states {
        return Ok(());
    }
    Err(ProtocolError::malformed(
        field.to_owned(),
        format!(
            "the patterns of this request are too complex together, {states} states are more than {}; use fewer optional groups and smaller repetitions, or several streams",
            limits.pattern_states
        ),
    ))
}
