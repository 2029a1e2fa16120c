//! The text of a regular expression, which the `urlpattern` crate takes for an engine.

use std::cell::OnceCell;

use urlpattern::RegexSyntax;
use urlpattern::regexp::RegExp;

use super::compiler::MAX_STATES;
use super::component::Component;

/// A regular expression that the crate generated, kept as text.
#[derive(Debug)]
pub(super) struct Source {
    text: String,
    // The crate asks whether a protocol such as `http{s}?` matches the special schemes, one by one.
    compiled: OnceCell<Option<Component>>,
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
