//! For which requests a directive is (B-282).

use percent_encoding::percent_decode_str;
use regex::{Captures, Regex, RegexBuilder};

use crate::proxies::TrustedProxies;
use crate::settings::template::Template;

/// The most bytes of memory of a regular expression, and of the tables that it fills while it is used.
const REGEX_BYTES: usize = 4 << 20;

/// Which requests a directive is for.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// All requests.
    Any,
    /// The path is one of these (case is ignored).
    Path(Vec<PathPattern>),
    /// The host is one of these, in lower case, without port; `*.` stands for one label.
    Host(Vec<String>),
    /// The method is one of these.
    Method(Vec<String>),
    /// A field has a value; `None` for any value.
    Field {
        /// Its name, in lower case.
        name: String,
        /// Its values, of which one suffices; `None` if the field must be missing.
        values: Option<Vec<ValuePattern>>,
    },
    /// Each parameter that is named here has one of its values.
    Query(Vec<(String, ValuePattern)>),
    /// The client used HTTPS, or did not.
    Protocol {
        /// Whether HTTPS.
        tls: bool,
    },
    /// The path fits a regular expression.
    PathRegex(RegexPattern),
    /// A value of a field fits a regular expression.
    FieldRegex {
        /// Its name, in lower case.
        name: String,
        /// The regular expression.
        pattern: RegexPattern,
    },
    /// An address is in one of these ranges.
    Address {
        /// Whether it is that of the client, which a trusted proxy names, and not that of the peer.
        of_client: bool,
        /// The ranges.
        ranges: TrustedProxies,
    },
    /// A comparison of two texts holds.
    Compared {
        /// The first text.
        left: Template,
        /// How the texts are compared.
        how: Comparison,
        /// The second text.
        right: Template,
    },
    /// A text fits a regular expression.
    TextRegex(Template, RegexPattern),
    /// All of them hold.
    All(Vec<Condition>),
    /// At least one of them holds.
    AtLeastOne(Vec<Condition>),
    /// The condition does not hold.
    Not(Box<Condition>),
}

/// How two texts are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// They are equal.
    Equal,
    /// The first begins with the second.
    StartsWith,
    /// The first ends with the second.
    EndsWith,
    /// The second stands in the first.
    Contains,
    /// Both are integers, and the first is less.
    Less,
    /// Both are integers, and the first is not greater.
    AtMost,
}

impl Comparison {
    /// Whether it holds for two texts.
    pub fn holds(self, left: &str, right: &str) -> bool {
        let numbers = || left.parse::<i64>().ok().zip(right.parse::<i64>().ok());
        match self {
            Self::Equal => left == right,
            Self::StartsWith => left.starts_with(right),
            Self::EndsWith => left.ends_with(right),
            Self::Contains => left.contains(right),
            Self::Less => numbers().is_some_and(|(left, right)| left < right),
            Self::AtMost => numbers().is_some_and(|(left, right)| left <= right),
        }
    }
}

/// A regular expression, and the name under which placeholders find what it captures.
#[derive(Debug, Clone)]
pub struct RegexPattern {
    /// The name, if it has one.
    pub name: Option<String>,
    regex: Regex,
}

impl PartialEq for RegexPattern {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.regex.as_str() == other.regex.as_str()
    }
}

impl RegexPattern {
    /// The regular expression of a text. What it costs grows with the text that it is asked about only, and its memory
    /// is bounded.
    ///
    /// # Errors
    /// The text is not a regular expression, or takes too much memory.
    pub fn new(name: Option<&str>, text: &str) -> Result<Self, regex::Error> {
        let mut builder = RegexBuilder::new(text);
        let regex = builder
            .size_limit(REGEX_BYTES)
            .dfa_size_limit(REGEX_BYTES)
            .build()?;
        Ok(Self {
            name: name.map(str::to_owned),
            regex,
        })
    }

    /// What its groups capture in a text, if the text fits.
    pub fn captures<'t>(&self, text: &'t str) -> Option<Captures<'t>> {
        self.regex.captures(text)
    }

    /// The names of its groups, in their order; the first group is the whole match.
    pub fn groups(&self) -> impl Iterator<Item = Option<&str>> {
        self.regex.capture_names()
    }
}

/// A text in which `*` at the beginning or the end stands for anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValuePattern {
    /// What stands between the asterisks.
    text: String,
    /// Whether anything may precede it.
    open_start: bool,
    /// Whether anything may follow it.
    open_end: bool,
}

impl ValuePattern {
    /// The pattern that a text stands for.
    pub fn new(text: &str) -> Self {
        let (text, open_end) = match text.strip_suffix('*') {
            Some(rest) => (rest, true),
            None => (text, false),
        };
        let (text, open_start) = match text.strip_prefix('*') {
            Some(rest) => (rest, true),
            None => (text, false),
        };
        Self {
            text: text.to_owned(),
            open_start,
            open_end,
        }
    }

    /// Whether a value fits.
    pub fn fits(&self, value: &str) -> bool {
        match (self.open_start, self.open_end) {
            (false, false) => value == self.text,
            (false, true) => value.starts_with(&self.text),
            (true, false) => value.ends_with(&self.text),
            (true, true) => value.contains(&self.text),
        }
    }
}

/// A pattern of paths: `*` within it stands for anything but a slash, at its ends for anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathPattern {
    text: String,
}

impl PathPattern {
    /// The pattern that a text stands for. Percent-encoded characters stand for themselves.
    pub fn new(text: &str) -> Self {
        let text = percent_decode_str(text).decode_utf8_lossy();
        Self {
            text: text.to_ascii_lowercase(),
        }
    }

    /// How many characters it has; of two directives, the one whose pattern is longer is asked first.
    pub fn length(&self) -> usize {
        self.text.trim_end_matches('*').len()
    }

    /// Whether anything may follow it.
    pub fn is_open(&self) -> bool {
        self.text.ends_with('*')
    }

    /// Whether a path fits.
    pub fn fits(&self, path: &str) -> bool {
        let path = path.to_ascii_lowercase();
        let inner = self.text.trim_start_matches('*').trim_end_matches('*');
        if inner.contains('*') {
            return fits_parts(&self.text, &path);
        }
        ValuePattern::new(&self.text).fits(&path)
    }
}

/// Whether a path fits a pattern with asterisks within it. Each asterisk takes as little as it can, and an
/// asterisk at the end takes all that is left, so the costs grow with the path only.
fn fits_parts(pattern: &str, path: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = path.strip_prefix(first) else {
        return false;
    };
    let parts: Vec<&str> = parts.collect();
    for (index, part) in parts.iter().enumerate() {
        let is_last = index + 1 == parts.len();
        if is_last && part.is_empty() {
            return true;
        }
        let reach = rest.find('/').unwrap_or(rest.len());
        if is_last {
            let Some(taken) = rest.strip_suffix(part) else {
                return false;
            };
            return taken.len() <= reach;
        }
        match rest.find(part) {
            Some(at) if at <= reach => rest = rest.get(at + part.len()..).unwrap_or_default(),
            _ => return false,
        }
    }
    rest.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A path is compared as a whole, without regard to case; asterisks as B-282 has them.
    #[test]
    fn paths_fit_patterns() {
        for (pattern, path, fits) in [
            ("/", "/", true),
            ("/", "/a", false),
            ("/A", "/a", true),
            ("/a", "/a/", false),
            ("/a*", "/abc/d", true),
            ("/a/*", "/a", false),
            ("/a/*", "/a/b/c", true),
            ("*.php", "/a/b.php", true),
            ("*.php", "/a/b.php/c", false),
            ("*/x/*", "/a/x/b", true),
            ("/a/*/c", "/a/b/c", true),
            ("/a/*/c", "/a/b/b/c", false),
            ("/a/*/c", "/a//c", true),
            ("/a/*/c*", "/a/b/cd/e", true),
            ("/a*b*c", "/axbyc", true),
            ("/a*b*c", "/axbyd", false),
            ("*", "/anything", true),
        ] {
            assert_eq!(
                PathPattern::new(pattern).fits(path),
                fits,
                "{pattern} {path}"
            );
        }
    }

    #[test]
    fn values_fit_patterns() {
        for (pattern, value, fits) in [
            ("a", "a", true),
            ("a", "b", false),
            ("a*", "ab", true),
            ("*a", "ba", true),
            ("*a*", "bab", true),
            ("*", "", true),
        ] {
            assert_eq!(
                ValuePattern::new(pattern).fits(value),
                fits,
                "{pattern} {value}"
            );
        }
    }
}
