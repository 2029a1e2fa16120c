//! URL Pattern matching in linear time and bounded memory.
//!
//! The `urlpattern` crate parses and canonicalises a pattern as the URL Pattern standard says, but
//! its engine compiles every component to a general regular expression: tens of kilobytes each,
//! and up to hundreds of milliseconds for a crafted one. Here the crate's regular expressions are
//! only taken as text, which becomes a state set of a few bytes per character: by [`generated`] if
//! it has no custom groups such as `(\d+)`, else by [`regexp`] and [`compiler`].
//! Reading the generated expression instead of the pattern's parts is deliberate: which
//! delimiter and prefix a part has depends on decisions that the crate makes inside, and the
//! expression is where they are all spelled out.

mod brackets;
mod compiler;
mod component;
mod error;
mod generated;
mod regexp;
mod source;
#[cfg(test)]
mod web_platform_tests;

use urlpattern::quirks::MatchInput;
use urlpattern::{UrlPatternInit, UrlPatternOptions};

use self::compiler::MAX_STATES;
use self::component::Component;
pub use self::error::{ExpressionError, UrlPatternError};
use self::source::Source;
use crate::base::Base;
use crate::topic::TopicUrl;

/// The most names, wildcards, groups and repetitions of a pattern. The crate compares the name of
/// each with those of all others, and takes a microsecond or two for each besides.
const MAX_PARTS: usize = 512;

/// The number of names, wildcards, groups and repetitions that a pattern can have at most.
fn parts(pattern: &str) -> usize {
    let mut is_escaped = false;
    let is_part = |c| {
        let is_part = !is_escaped && matches!(c, '*' | ':' | '(' | '{');
        is_escaped = c == '\\' && !is_escaped;
        is_part
    };
    pattern
        .chars()
        .map(is_part)
        .filter(|is_part| *is_part)
        .count()
}

/// A compiled URL Pattern. Two are equal exactly if their text and base are.
#[derive(Debug)]
pub struct UrlPattern {
    pattern: Box<str>,
    base: Box<str>,
    prefix: Box<str>,
    components: Components,
}

impl UrlPattern {
    /// Compiles a pattern against the hub's base (specification, "URL Pattern").
    ///
    /// An absolute pattern does not depend on the base: the standard would resolve the pathname of
    /// `urn\:isbn\::number` against it, so that the pattern could never match.
    ///
    /// # Errors
    /// The reason why the text is not a pattern that the hub evaluates.
    pub fn parse(pattern: &str, base: &Base) -> Result<Self, UrlPatternError> {
        let count = parts(pattern);
        if count > MAX_PARTS {
            return Err(UrlPatternError::TooManyParts {
                count,
                most: MAX_PARTS,
            });
        }
        if brackets::are_unbalanced(pattern) {
            return Err(UrlPatternError::Brackets);
        }
        let mut init =
            UrlPatternInit::parse_constructor_string::<Source>(pattern, Some(base.url().clone()))
                .map_err(|error| UrlPatternError::Syntax(error.to_string()))?;
        if init.protocol.is_some() {
            init.base_url = None;
        }
        let components = Components::compile(init)?;
        Ok(Self {
            pattern: pattern.into(),
            base: base.url().as_str().into(),
            prefix: components.literal_prefix().into(),
            components,
        })
    }

    /// Whether the pattern matches the topic's URL, in time linear in the URL's length.
    pub fn matches(&self, topic: &TopicUrl) -> bool {
        self.matches_in(topic, &mut 0)
    }

    /// Whether the pattern matches the topic's URL; adds to `spent` the steps that this took, at
    /// least one.
    pub fn matches_in(&self, topic: &TopicUrl, spent: &mut u64) -> bool {
        let url = topic.url();
        let inputs = [
            url.path(),
            url.host_str().unwrap_or_default(),
            url.scheme(),
            url::quirks::port(url),
            url.query().unwrap_or_default(),
            url.fragment().unwrap_or_default(),
            url.username(),
            url.password().unwrap_or_default(),
        ];
        self.components.match_all(inputs, spent)
    }

    /// The most steps that one evaluation of a URL of `bytes` bytes may take.
    pub fn steps(&self, bytes: usize) -> u64 {
        let components = self.components.0.iter();
        components.map(|component| component.steps(bytes)).sum()
    }

    /// The text with which the [`TopicUrl::key`] of every matching topic begins.
    pub fn literal_prefix(&self) -> &str {
        &self.prefix
    }

    /// The pattern as written.
    pub fn text(&self) -> &str {
        &self.pattern
    }

    /// The number of states of the compiled pattern: what an evaluation costs at most for each
    /// byte.
    pub fn states(&self) -> usize {
        self.components.0.iter().map(Component::states).sum()
    }

    /// The bytes that the compiled pattern occupies; evaluating it allocates nothing.
    pub fn size_bytes(&self) -> usize {
        size_of::<Self>()
            + self.pattern.len()
            + self.base.len()
            + self.prefix.len()
            + self.components.heap_bytes()
    }
}

/// The eight components, in the order in which they are compared: the selective ones first.
#[derive(Debug)]
struct Components([Component; 8]);

impl Components {
    fn compile(init: UrlPatternInit) -> Result<Self, UrlPatternError> {
        // `ignore_case` stays off (specification, "URL Pattern").
        let parsed = urlpattern::UrlPattern::<Source>::parse(init, UrlPatternOptions::default())
            .map_err(|error| UrlPatternError::Syntax(error.to_string()))?;
        let mut left = MAX_STATES;
        let mut compile = |name, parsed| {
            let component = Component::compile(name, parsed, left)?;
            left -= component.states();
            Ok::<_, UrlPatternError>(component)
        };
        Ok(Self([
            compile("pathname", parsed.pathname)?,
            compile("hostname", parsed.hostname)?,
            compile("protocol", parsed.protocol)?,
            compile("port", parsed.port)?,
            compile("search", parsed.search)?,
            compile("hash", parsed.hash)?,
            compile("username", parsed.username)?,
            compile("password", parsed.password)?,
        ]))
    }

    fn match_all(&self, inputs: [&str; 8], spent: &mut u64) -> bool {
        let mut pairs = self.0.iter().zip(inputs);
        pairs.all(|(component, input)| component.matches(input, spent))
    }

    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "inputs of the standard's own cases")
    )]
    fn match_input(&self, input: &MatchInput) -> bool {
        let inputs = [
            &input.pathname,
            &input.hostname,
            &input.protocol,
            &input.port,
            &input.search,
            &input.hash,
            &input.username,
            &input.password,
        ];
        self.match_all(inputs.map(|input| &**input), &mut 0)
    }

    /// The longest text that every matching key must begin with; see [`TopicUrl::key_of`].
    fn literal_prefix(&self) -> String {
        let [path, host, protocol, port, ..] = &self.0;
        let mut prefix = String::new();
        for component in [protocol, host, port] {
            prefix.push_str(component.prefix());
            if !component.is_literal() {
                return prefix;
            }
            prefix.push('\0');
        }
        prefix.push_str(path.prefix());
        prefix
    }

    fn heap_bytes(&self) -> usize {
        self.0.iter().map(Component::heap_bytes).sum()
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
