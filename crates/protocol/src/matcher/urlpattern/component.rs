//! One component of a URL Pattern: literal text around a state set or a custom group.

use regex::bytes::Regex;
use urlpattern::matcher::InnerMatcher;

use super::compiler;
use super::regexp::{self, Source};
use crate::matcher::{comparing, program::Program};

/// A compiled component.
#[derive(Debug)]
pub(super) struct Component {
    prefix: Box<str>,
    suffix: Box<str>,
    middle: Middle,
}

#[derive(Debug)]
enum Middle {
    /// The component is literal: the prefix is all of it.
    Nothing,
    /// A full wildcard.
    Anything,
    /// Names, wildcards and optional groups.
    Program(Program),
    /// At least one custom group.
    Custom(Box<Regex>),
}

impl Component {
    /// Compiles what the crate parsed.
    ///
    /// # Errors
    /// A sentence about a custom group that is invalid or too costly; `name` is the component's.
    pub(super) fn compile(
        name: &str,
        parsed: urlpattern::component::Component<Source>,
    ) -> Result<Self, String> {
        let refused = |problem: &str| format!("the {name}'s custom group {problem}");
        if !parsed.has_regexp_group {
            let source = parsed.regexp.map_err(|error| refused(&error.to_string()))?;
            if let Some(component) = compiler::compile(source.as_str()).map(Self::from_parts) {
                return Ok(component);
            }
            // The generated expression is not what this crate's version is known to generate; the
            // general engine gives the same answers.
            let regex = regexp::compile(source.as_str()).map_err(|problem| refused(&problem))?;
            return Ok(Self {
                prefix: "".into(),
                suffix: "".into(),
                middle: Middle::Custom(Box::new(regex)),
            });
        }
        let source = match &parsed.matcher.inner {
            InnerMatcher::RegExp {
                regexp: Ok(source), ..
            } => source.as_str(),
            _ => return Err(refused("has no expression")),
        };
        let regex = regexp::compile(source).map_err(|problem| refused(&problem))?;
        Ok(Self {
            prefix: parsed.matcher.prefix.into(),
            suffix: parsed.matcher.suffix.into(),
            middle: Middle::Custom(Box::new(regex)),
        })
    }

    fn from_parts((prefix, program, suffix): (String, Program, String)) -> Self {
        Self {
            prefix: prefix.into(),
            suffix: suffix.into(),
            middle: if program.is_empty() {
                Middle::Nothing
            } else if program.is_anything() {
                Middle::Anything
            } else {
                Middle::Program(program)
            },
        }
    }

    /// Whether the component matches all of the input; adds the steps that this took.
    pub(super) fn matches(&self, input: &str, spent: &mut u64) -> bool {
        *spent += self.comparing();
        if let Middle::Nothing = self.middle {
            return self.prefix.len() == input.len() && begins(input, &self.prefix);
        }
        if !begins(input, &self.prefix) {
            return false;
        }
        let rest = input.get(self.prefix.len()..).unwrap_or_default();
        let end = rest.len().checked_sub(self.suffix.len());
        let Some((rest, suffix)) = end.and_then(|end| rest.split_at_checked(end)) else {
            return false;
        };
        if !begins(suffix, &self.suffix) {
            return false;
        }
        match &self.middle {
            Middle::Nothing => false,
            Middle::Anything => true,
            Middle::Program(program) => program.matches(rest.as_bytes(), spent),
            Middle::Custom(regex) => {
                *spent += custom_steps(rest.len());
                regex.is_match(rest.as_bytes())
            }
        }
    }

    /// What every matching input begins with.
    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Whether the prefix is the only matching input.
    pub(super) fn is_literal(&self) -> bool {
        matches!(self.middle, Middle::Nothing)
    }

    /// What one evaluation may cost, in states.
    pub(super) fn states(&self) -> usize {
        /// The general engine may hold 200 KiB for a custom group.
        const CUSTOM: usize = 256;
        match &self.middle {
            Middle::Nothing | Middle::Anything => 0,
            Middle::Program(program) => program.len(),
            Middle::Custom(_) => CUSTOM,
        }
    }

    /// The most that one evaluation of an input of `bytes` bytes may cost, in steps.
    pub(super) fn steps(&self, bytes: usize) -> u64 {
        let middle = match &self.middle {
            Middle::Nothing | Middle::Anything => 0,
            Middle::Program(program) => program.steps(bytes),
            Middle::Custom(_) => custom_steps(bytes),
        };
        self.comparing() + middle
    }

    /// What comparing the literal texts costs at most, in steps.
    fn comparing(&self) -> u64 {
        comparing(&self.prefix) + comparing(&self.suffix)
    }

    pub(super) fn heap_bytes(&self) -> usize {
        let middle = match &self.middle {
            Middle::Nothing | Middle::Anything => 0,
            Middle::Program(program) => program.heap_bytes(),
            Middle::Custom(regex) => size_of::<Regex>() + regex.as_str().len(),
        };
        self.prefix.len() + self.suffix.len() + middle
    }
}

fn custom_steps(bytes: usize) -> u64 {
    /// What a byte may cost the general engine, in steps.
    const A_BYTE: usize = 4096;
    (A_BYTE * (bytes + 1)) as u64
}

/// Whether the input begins with the text. Most components compare with an empty text, whose
/// pointer is dangling; vectorised comparisons of nothing at such an address cost 100 ns each.
fn begins(input: &str, text: &str) -> bool {
    text.is_empty() || input.starts_with(text)
}
