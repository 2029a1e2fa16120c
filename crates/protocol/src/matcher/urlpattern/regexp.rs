//! The boundary with regular expressions: the crate's as text, custom groups compiled in bounds.

use std::cell::OnceCell;

use regex::bytes::{Regex, RegexBuilder};
use urlpattern::RegexSyntax;
use urlpattern::regexp::RegExp;

/// Bytes that a compiled expression, and each of its caches, may take: the largest expression of
/// 4,096 bytes without counted repetitions, 2,040 times `\w`, takes 192 KiB, and
/// `(?:\w{1,90}){1,20}`, which costs the default engine 200 ms, would take 240 KiB.
pub(super) const SIZE_LIMIT: usize = 200 * 1024;

/// A regular expression that the crate generated, kept as text.
#[derive(Debug)]
pub(super) struct Source {
    text: String,
    // The crate asks whether a protocol such as `http{s}?` matches the special schemes, one by one.
    compiled: OnceCell<Option<Regex>>,
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
        let regex = self.compiled.get_or_init(|| compile(&self.text).ok());
        let matches = regex.as_ref()?.is_match(text.as_bytes());
        matches.then(Vec::new)
    }

    fn pattern_string(&self) -> &str {
        &self.text
    }
}

/// Compiles an expression that contains custom groups, in bounded time and memory.
///
/// The components of a URL are ASCII, so `\w` and its like are the ASCII classes, as in ECMAScript.
/// That also keeps the compilation cheap: it is Unicode classes that make it slow.
///
/// # Errors
/// What is wrong, to be preceded by the place.
pub(super) fn compile(expression: &str) -> Result<Regex, String> {
    if enables_unicode(expression) {
        return Err("sets the flag \"u\"; leave it out, a URL's components are ASCII".to_owned());
    }
    RegexBuilder::new(expression)
        .unicode(false)
        .size_limit(SIZE_LIMIT)
        .dfa_size_limit(SIZE_LIMIT)
        .build()
        .map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => {
                "is too costly to compile; use fewer or smaller repetitions".to_owned()
            }
            _ => "is no regular expression of a linear-time engine; use ASCII classes and no look-around or back-reference".to_owned(),
        })
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
