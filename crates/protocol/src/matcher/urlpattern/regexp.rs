//! The boundary with regular expressions: the text that the crate generates, and how it is parsed.

use std::cell::OnceCell;

use regex_syntax::ast::ErrorKind;
use regex_syntax::hir::Hir;
use regex_syntax::{Error, ParserBuilder};
use urlpattern::RegexSyntax;
use urlpattern::regexp::RegExp;

use super::MAX_STATES;
use super::component::Component;

/// How deep an expression may nest, which bounds what walking it costs.
const MAX_NESTING: u32 = 64;

/// What is wrong with an expression that needs Unicode's tables.
pub(super) const UNICODE: &str = "sets the flag \"u\"; leave it out, a URL's components are ASCII";

/// A regular expression that the crate generated, kept as text.
#[derive(Debug)]
pub(super) struct Source {
    text: String,
    // The crate asks whether a protocol such as `http{s}?` matches the special schemes, one by one.
    compiled: OnceCell<Option<Component>>,
}

impl Source {
    pub(super) fn as_str(&self) -> &str {
        &self.text
    }
}

impl RegExp for Source {
    fn syntax() -> RegexSyntax {
        RegexSyntax::Rust
    }

    fn parse(pattern: &str, _flags: &str, _force_eval: bool) -> Result<Self, ()> {
        Ok(Self {
            text: pattern.to_owned(),
            compiled: OnceCell::new(),
        })
    }

    fn matches<'a>(&self, text: &'a str) -> Option<Vec<Option<&'a str>>> {
        let component = self
            .compiled
            .get_or_init(|| Component::of_expression(&self.text, MAX_STATES).ok());
        let matches = component.as_ref()?.matches(text, &mut 0);
        matches.then(Vec::new)
    }

    fn pattern_string(&self) -> &str {
        &self.text
    }
}

/// Parses an expression of the crate, which spans all of a component.
///
/// The components of a URL are ASCII, so `\w` and its like are the ASCII classes, as in ECMAScript.
/// That also keeps parsing cheap: it is Unicode classes that make it slow.
///
/// # Errors
/// What is wrong, to be preceded by the place.
pub(super) fn parse(expression: &str) -> Result<Hir, String> {
    if enables_unicode(expression) {
        return Err(UNICODE.to_owned());
    }
    let body = expression.strip_prefix('^').unwrap_or(expression);
    let body = body.strip_suffix('$').unwrap_or(body);
    ParserBuilder::new()
        .unicode(false)
        .utf8(false)
        // A component has no line ends.
        .dot_matches_new_line(true)
        .nest_limit(MAX_NESTING)
        .build()
        .parse(body)
        .map_err(|error| explain(&error))
}

fn explain(error: &Error) -> String {
    match error {
        Error::Parse(error) => match error.kind() {
            ErrorKind::UnsupportedLookAround => {
                "uses look-around, which takes more than linear time; leave it out".to_owned()
            }
            ErrorKind::UnsupportedBackreference => {
                "uses a back-reference, which takes more than linear time; leave it out".to_owned()
            }
            ErrorKind::NestLimitExceeded(most) => {
                format!("nests more than {most} levels deep; use fewer groups and modifiers")
            }
            kind => format!("is not a regular expression of this hub, {kind}; correct it"),
        },
        _ => {
            "needs Unicode classes, and a URL's components are ASCII; use ASCII classes".to_owned()
        }
    }
}

/// Whether an inline flag group such as `(?u:…)` would bring the Unicode classes back.
fn enables_unicode(expression: &str) -> bool {
    let mut rest = expression;
    while let Some(at) = rest.find(['\\', '(']) {
        let (step, flags) = match rest.get(at..) {
            Some(escape) if escape.starts_with('\\') => (2, ""),
            Some(group) => (1, group.strip_prefix("(?").unwrap_or_default()),
            None => return false,
        };
        let end = flags.find(|c: char| !c.is_ascii_alphabetic() && c != '-');
        if flags
            .get(..end.unwrap_or(0))
            .is_some_and(|flags| flags.contains('u'))
        {
            return true;
        }
        rest = rest.get(at + step..).unwrap_or_default();
    }
    false
}
