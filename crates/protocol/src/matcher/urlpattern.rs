//! URL Pattern matching in linear time and bounded memory.

use crate::{Base, TopicUrl};

/// A compiled URL Pattern. Two are equal exactly if their text and base are.
#[derive(Debug)]
pub struct UrlPattern {
    pattern: Box<str>,
    base: Box<str>,
    prefix: Box<str>,
}

impl UrlPattern {
    /// Compiles a pattern against the hub's base.
    ///
    /// # Errors
    /// A sentence that says what is wrong with the pattern.
    pub fn parse(pattern: &str, base: &Base) -> Result<Self, String> {
        Ok(Self {
            pattern: pattern.into(),
            base: base.url().as_str().into(),
            prefix: "".into(),
        })
    }

    /// Whether the pattern matches the topic's URL.
    pub fn matches(&self, _topic: &TopicUrl) -> bool {
        false
    }

    /// What the [`TopicUrl::key`] of every matching topic begins with.
    pub fn literal_prefix(&self) -> &str {
        &self.prefix
    }

    /// The pattern as written.
    pub fn text(&self) -> &str {
        &self.pattern
    }
}

impl PartialEq for UrlPattern {
    fn eq(&self, other: &Self) -> bool {
        self.pattern == other.pattern && self.base == other.base
    }
}

impl Eq for UrlPattern {}

impl PartialOrd for UrlPattern {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for UrlPattern {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (&self.pattern, &self.base).cmp(&(&other.pattern, &other.base))
    }
}

impl std::hash::Hash for UrlPattern {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.pattern.hash(state);
        self.base.hash(state);
    }
}
