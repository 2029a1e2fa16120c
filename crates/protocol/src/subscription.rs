//! Subscriptions: what a subscriber asks for (specification, "Subscription").

use crate::base::Base;
use crate::error::ProtocolError;
use crate::form::{self, Pair};
use crate::generation::{Generation, Rule};
use crate::limits::Limits;
use crate::matcher::{Matcher, MatcherSet, MatcherType};
use crate::topic::check_characters;

/// The cursor that asks for everything the hub keeps (specification, "Reconnection").
pub const EARLIEST: &str = "earliest";

/// A subscription as its client wrote it, for events and documents. The engine compares the
/// [`Matcher`] that it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// The matcher's type.
    pub matcher_type: MatcherType,
    /// The matcher's text, as sent.
    pub text: String,
}

impl Subscription {
    /// The generation of the parameter that made it, by which documents show it.
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
    /// The set of topics that they select together.
    pub matchers: MatcherSet,
    /// The value of `last_event_id` if present, even if empty, or of what 0.x clients call it. A
    /// `Last-Event-ID` field takes precedence.
    pub last_event_id: Option<LastEventId>,
}

impl SubscribeRequest {
    /// Reads the pairs of a query and, for `QUERY`, those of the body, as one list in that order.
    /// `topic` and the 0.x names of the cursor are read if the rule accepts 0.x. Under the classic
    /// rule a request with `topic` may have parameters of any name, as in 0.x.
    ///
    /// # Errors
    /// [`Blame::Malformed`](crate::Blame::Malformed) for no matcher, too many of them, a bad one,
    /// or a name in the reserved `match` namespace.
    pub fn from_pairs(
        pairs: &[Pair<'_>],
        rule: Rule,
        base: &Base,
        limits: &Limits,
    ) -> Result<Self, ProtocolError> {
        let mut reading = Reading::begin(pairs, rule, base, limits)?;
        while reading.read_next()? {}
        Ok(reading.end())
    }
}

/// A request that is read matcher by matcher, because a pattern costs much to read, and a request may have
/// hundreds.
#[derive(Debug)]
pub struct Reading<'a> {
    parameters: Parameters<'a>,
    rule: Rule,
    base: &'a Base,
    limits: &'a Limits,
    /// The matchers of the first parameters.
    matchers: Vec<Matcher>,
    states: usize,
}

impl<'a> Reading<'a> {
    /// Reads everything but the matchers; see [`SubscribeRequest::from_pairs`].
    ///
    /// # Errors
    /// [`Blame::Malformed`](crate::Blame::Malformed) for no matcher, too many of them, or a name in the
    /// reserved `match` namespace.
    pub fn begin(
        pairs: &'a [Pair<'_>],
        rule: Rule,
        base: &'a Base,
        limits: &'a Limits,
    ) -> Result<Self, ProtocolError> {
        let parameters = Parameters::collect(pairs, rule);
        parameters.check_names(rule)?;
        if parameters.asked.is_empty() {
            return Err(no_matcher(pairs, rule));
        }
        parameters.check_counts(limits)?;
        Ok(Self {
            matchers: Vec::with_capacity(parameters.asked.len()),
            parameters,
            rule,
            base,
            limits,
            states: 0,
        })
    }

    /// Whether some matchers must be compiled, which costs much more than the rest of a request.
    pub fn is_costly(&self) -> bool {
        let asked = &self.parameters.asked;
        let is_compiled = |asked: &Subscription| match asked.matcher_type {
            MatcherType::Exact => false,
            MatcherType::Selector => asked.text.contains('{'),
            MatcherType::UrlPattern => true,
        };
        asked.iter().any(|(_, asked)| is_compiled(asked))
    }

    /// Reads the next matcher. Returns whether there was one.
    ///
    /// # Errors
    /// [`Blame::Malformed`](crate::Blame::Malformed) for a bad one, or if the patterns are too complex
    /// together.
    pub fn read_next(&mut self) -> Result<bool, ProtocolError> {
        let Some((name, asked)) = self.parameters.asked.get(self.matchers.len()) else {
            return Ok(false);
        };
        let text = &asked.text;
        if asked.matcher_type == MatcherType::Selector {
            check_characters(name, text, self.rule.checks(Generation::V0))?;
        }
        let matcher = Matcher::parse(asked.matcher_type, text, name, self.base, self.limits)?;
        self.states += matcher.states();
        check_states(name, self.states, self.limits)?;
        self.matchers.push(matcher);
        Ok(true)
    }

    /// The request, once all its matchers are read.
    pub fn end(self) -> SubscribeRequest {
        let last_event_id = self.parameters.last_event_id();
        let asked = self.parameters.asked.into_iter();
        SubscribeRequest {
            matchers: self.matchers.into_iter().collect(),
            last_event_id,
            subscriptions: asked.map(|(_, subscription)| subscription).collect(),
        }
    }
}

/// The parameters of a request that mean something to the hub, before any check.
#[derive(Debug, Default)]
struct Parameters<'a> {
    /// Each matcher with the name of its parameter.
    asked: Vec<(&'a str, Subscription)>,
    /// How many of them are `topic` parameters.
    selectors: usize,
    /// The first name in the reserved `match` namespace that is not a matcher type.
    unknown_matcher: Option<&'a str>,
    last_event_id: Option<&'a str>,
    older_last_event_id: Option<&'a str>,
}

impl<'a> Parameters<'a> {
    fn collect(pairs: &'a [Pair<'_>], rule: Rule) -> Self {
        let mut parameters = Self::default();
        for (name, value) in pairs {
            let (name, value): (&str, &str) = (name, value);
            let matcher_type = match name {
                "topic" => Some(MatcherType::Selector),
                _ => matcher_type_of(name),
            };
            if let Some(matcher_type) = matcher_type {
                parameters.selectors += usize::from(matcher_type == MatcherType::Selector);
                let text = value.to_owned();
                let subscription = Subscription { matcher_type, text };
                parameters.asked.push((name, subscription));
            } else if is_reserved(name) {
                parameters.unknown_matcher.get_or_insert(name);
            } else if name == "last_event_id" {
                parameters.last_event_id.get_or_insert(value);
            } else if rule.oldest() == Generation::V0
                && OLDER_LAST_EVENT_ID.contains(&name)
                && parameters.older_last_event_id.is_none_or(str::is_empty)
            {
                parameters.older_last_event_id = Some(value);
            }
        }
        parameters
    }

    fn check_names(&self, rule: Rule) -> Result<(), ProtocolError> {
        if self.selectors > 0 && rule.oldest() == Generation::V1 {
            return Err(ProtocolError::malformed(
                "topic",
                "this parameter belongs to Mercure 0.x; use \"match\" for a topic or \"match_urlpattern\" for a URL Pattern",
            ));
        }
        // This request is of 0.x alone: its other parameters mean nothing to the hub.
        let is_older = self.selectors > 0
            && self.selectors == self.asked.len()
            && rule.checks(Generation::V0) == Generation::V0;
        match self.unknown_matcher {
            Some(name) if !is_older => Err(ProtocolError::malformed(
                name.to_owned(),
                "names no matcher type of this hub; use \"match\", \"match_exact\" or \"match_urlpattern\"",
            )),
            _ => Ok(()),
        }
    }

    fn check_counts(&self, limits: &Limits) -> Result<(), ProtocolError> {
        let too_many = |field, count, things, most| {
            Err(ProtocolError::malformed(
                field,
                format!(
                    "{count} {things} are more than the {most} of one request; open several streams"
                ),
            ))
        };
        if self.selectors > limits.selectors {
            return too_many("topic", self.selectors, "topics", limits.selectors);
        }
        let matchers = self.asked.len() - self.selectors;
        if matchers > limits.matchers {
            return too_many("match", matchers, "matchers", limits.matchers);
        }
        Ok(())
    }

    /// The cursor of 1.0 unless it is absent or empty, else that of 0.x, else the empty one of 1.0.
    fn last_event_id(&self) -> Option<LastEventId> {
        let given = self.last_event_id.filter(|id| !id.is_empty());
        given
            .or(self.older_last_event_id)
            .or(self.last_event_id)
            .map(|id| LastEventId(id.to_owned()))
    }
}

fn no_matcher(pairs: &[Pair<'_>], rule: Rule) -> ProtocolError {
    let (field, remedy) = match rule.oldest() {
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
    ProtocolError::malformed(field, problem)
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

/// Refuses a request whose patterns would cost every publish too much together, though each is
/// legal. It is called for each pattern, since compiling them costs as well.
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
