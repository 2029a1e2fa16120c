//! Topic matchers: which updates a subscription selects, and which topics a token grants.

mod program;
mod uri_template;
mod urlpattern;

use std::sync::Arc;

use self::program::comparing;
pub use self::uri_template::UriTemplate;
pub use self::urlpattern::{ExpressionError, UrlPattern, UrlPatternError};
use crate::base::Base;
use crate::error::ProtocolError;
use crate::generation::Generation;
use crate::limits::Limits;
use crate::topic::{Topic, check_characters};

/// The kind of a matching expression (specification, "Matcher Types").
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum MatcherType {
    /// Byte-for-byte equality.
    Exact,
    /// A WHATWG URL Pattern.
    UrlPattern,
    /// A topic selector of Mercure 0.x: equality or, where the text is one, a URI Template
    /// (B-610). It has no name in Mercure 1.0.
    Selector,
}

impl MatcherType {
    /// All types this hub supports, by their canonical names.
    pub const SUPPORTED: [(&'static str, Self); 2] =
        [("exact", Self::Exact), ("urlpattern", Self::UrlPattern)];

    /// The canonical name; of a selector, the parameter that 0.x clients send.
    pub fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::UrlPattern => "urlpattern",
            Self::Selector => "topic",
        }
    }

    /// The type of a canonical, case-sensitive name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::SUPPORTED
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, kind)| *kind)
    }
}

/// A matcher in the canonical form that the engine compares. Two matchers are equal exactly if they
/// select the same topics for the same reason (`*` whatever its type; exact text; pattern and
/// base).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Matcher {
    /// The reserved `*`: every topic.
    Any,
    /// This topic only.
    Exact(Arc<str>),
    /// Every topic whose URL the pattern matches.
    UrlPattern(Arc<UrlPattern>),
    /// Every topic that the template of a 0.x selector expands to.
    Template(Arc<UriTemplate>),
}

impl Matcher {
    /// Parses a matcher of a type.
    ///
    /// `field` names the parameter or claim in an error.
    ///
    /// # Errors
    /// [`Blame::Malformed`](crate::Blame::Malformed) if the text is too long, has a forbidden
    /// character, or is not a valid pattern.
    pub fn parse(
        kind: MatcherType,
        text: &str,
        field: &str,
        base: &Base,
        limits: &Limits,
    ) -> Result<Self, ProtocolError> {
        if text.len() > limits.pattern_bytes {
            return Err(ProtocolError::malformed(
                field.to_owned(),
                format!(
                    "{} bytes are more than the {} a matcher may have; shorten it",
                    text.len(),
                    limits.pattern_bytes
                ),
            ));
        }
        let checks = match kind {
            MatcherType::Exact | MatcherType::UrlPattern => Generation::V1,
            MatcherType::Selector => Generation::V0,
        };
        check_characters(field, text, checks)?;
        if text == "*" {
            return Ok(Self::Any);
        }
        match kind {
            MatcherType::Exact => Ok(Self::Exact(text.into())),
            MatcherType::UrlPattern => UrlPattern::parse(text, base)
                .map(|pattern| Self::UrlPattern(Arc::new(pattern)))
                .map_err(|error| ProtocolError::malformed(field.to_owned(), error.to_string())),
            MatcherType::Selector => Ok(Self::selector(text)),
        }
    }

    /// Parses a selector of Mercure 0.x; any text is one (B-610).
    pub fn selector(text: &str) -> Self {
        if text == "*" {
            return Self::Any;
        }
        match UriTemplate::parse(text) {
            Some(template) => Self::Template(Arc::new(template)),
            None => Self::Exact(text.into()),
        }
    }

    /// Its text, as it was written.
    pub fn text(&self) -> &str {
        match self {
            Self::Any => "*",
            Self::Exact(text) => text,
            Self::UrlPattern(pattern) => pattern.text(),
            Self::Template(template) => template.text(),
        }
    }

    /// What an evaluation costs at most for each byte of the topic, in states; 0 for equality.
    pub fn states(&self) -> usize {
        match self {
            Self::Any | Self::Exact(_) => 0,
            Self::UrlPattern(pattern) => pattern.states(),
            Self::Template(template) => template.states(),
        }
    }

    /// The bytes of heap that it occupies, shared or not.
    pub fn size_bytes(&self) -> usize {
        /// The two counters of an `Arc`.
        const COUNTERS: usize = 2 * size_of::<usize>();
        match self {
            Self::Any => 0,
            Self::Exact(text) => COUNTERS + text.len(),
            Self::UrlPattern(pattern) => COUNTERS + pattern.size_bytes(),
            Self::Template(template) => COUNTERS + template.size_bytes(),
        }
    }

    /// Whether the matcher selects the topic.
    pub fn matches(&self, topic: &Topic<'_>) -> bool {
        self.matches_in(topic, &mut 0)
    }

    /// Whether the matcher selects the topic; adds to `spent` the steps that this took, at least
    /// one.
    ///
    /// A step takes a few nanoseconds: a visit to a state, or a comparison of sixteen bytes.
    pub fn matches_in(&self, topic: &Topic<'_>, spent: &mut u64) -> bool {
        match self {
            Self::Any => {
                *spent += 1;
                true
            }
            Self::Exact(text) => {
                *spent += comparing(text);
                **text == *topic.text()
            }
            Self::UrlPattern(pattern) => match topic.url() {
                Some(url) => pattern.matches_in(url, spent),
                None => {
                    *spent += 1;
                    false
                }
            },
            Self::Template(template) => template.matches_in(topic.text(), spent),
        }
    }

    /// The most steps that one evaluation may take, on a topic of which neither text nor URL has
    /// more than `bytes` bytes; see [`Topic::bytes`].
    pub fn steps(&self, topic_bytes: usize) -> u64 {
        match self {
            Self::Any => 1,
            Self::Exact(text) => comparing(text),
            Self::UrlPattern(pattern) => pattern.steps(topic_bytes),
            Self::Template(template) => template.steps(topic_bytes),
        }
    }
}

/// A canonical set of matchers: sorted, without duplicates, and just `*` where `*` is in it.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MatcherSet(Box<[Matcher]>);

impl MatcherSet {
    /// The matchers, in canonical order: `*`, exact ones by text, patterns.
    pub fn iter(&self) -> std::slice::Iter<'_, Matcher> {
        self.0.iter()
    }

    /// Whether no topic is selected.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether any matcher selects the topic.
    pub fn matches(&self, topic: &Topic<'_>) -> bool {
        if self.0.first() == Some(&Matcher::Any) {
            return true;
        }
        let exact_end = self
            .0
            .partition_point(|matcher| matches!(matcher, Matcher::Any | Matcher::Exact(_)));
        let (exact, patterns) = self.0.split_at(exact_end);
        let found = exact.binary_search_by(|matcher| match matcher {
            Matcher::Exact(text) => (**text).cmp(topic.text()),
            // The slice holds exact matchers only; `*` was answered above.
            _ => std::cmp::Ordering::Less,
        });
        found.is_ok() || patterns.iter().any(|pattern| pattern.matches(topic))
    }
}

impl FromIterator<Matcher> for MatcherSet {
    fn from_iter<I: IntoIterator<Item = Matcher>>(matchers: I) -> Self {
        let mut matchers: Vec<Matcher> = matchers.into_iter().collect();
        if matchers.contains(&Matcher::Any) {
            matchers = vec![Matcher::Any];
        }
        matchers.sort_unstable();
        matchers.dedup();
        Self(matchers.into_boxed_slice())
    }
}

impl<'a> IntoIterator for &'a MatcherSet {
    type Item = &'a Matcher;
    type IntoIter = std::slice::Iter<'a, Matcher>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
