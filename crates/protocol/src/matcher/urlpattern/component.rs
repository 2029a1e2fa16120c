//! One component of a URL Pattern: literal text around a state set.

use urlpattern::matcher::InnerMatcher;
use urlpattern::regexp::RegExp;

use super::compiler::{self, Compiled, MAX_STATES};
use super::error::{ExpressionError, UrlPatternError};
use super::generated;
use crate::matcher::program::{Class, Program, comparing};

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
    /// Names, wildcards, optional and custom groups.
    Program(Box<Program>),
}

impl Component {
    /// Compiles what the crate parsed to at most `most` states.
    ///
    /// # Errors
    /// The reason why the component, whose name is `name`, is refused.
    pub(super) fn compile<R: RegExp>(
        name: &'static str,
        parsed: urlpattern::component::Component<R>,
        most: usize,
    ) -> Result<Self, UrlPatternError> {
        let matcher = parsed.matcher;
        let component = match matcher.inner {
            InnerMatcher::Literal { literal } => Self {
                prefix: literal.into(),
                suffix: "".into(),
                middle: Middle::Nothing,
            },
            InnerMatcher::SingleCapture {
                filter,
                allow_empty,
            } => Self {
                prefix: matcher.prefix.into(),
                suffix: matcher.suffix.into(),
                middle: match filter.map(u8::try_from) {
                    None if allow_empty => Middle::Anything,
                    Some(Ok(delimiter)) => Class::Except(delimiter).into(),
                    // The delimiters are `/` and `.`.
                    None | Some(Err(_)) => Class::Any.into(),
                },
            },
            InnerMatcher::RegExp { .. } => {
                let source = parsed
                    .regexp
                    .map_err(|error| UrlPatternError::Syntax(error.to_string()))?;
                let source = source.pattern_string();
                let generated = (!parsed.has_regexp_group)
                    .then(|| generated::compile(source))
                    .flatten();
                match generated {
                    Some(compiled) => compiled.into(),
                    None => Self::of_expression(source, most).map_err(|error| {
                        UrlPatternError::CustomGroup {
                            component: name,
                            error,
                        }
                    })?,
                }
            }
        };
        if component.states() > most {
            return Err(UrlPatternError::TooManyStates {
                component: name,
                most: MAX_STATES,
            });
        }
        Ok(component)
    }

    /// Compiles an expression that spans the component to at most `most` states.
    ///
    /// # Errors
    /// The reason why the expression is refused.
    pub(super) fn of_expression(expression: &str, most: usize) -> Result<Self, ExpressionError> {
        compiler::compile(expression, most).map(Self::from)
    }

    /// Whether the component matches all of the input; adds to `spent` the steps that this took.
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
        }
    }

    /// The text with which every matching input begins.
    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Whether the prefix is the only matching input.
    pub(super) fn is_literal(&self) -> bool {
        matches!(self.middle, Middle::Nothing)
    }

    /// What one evaluation may cost at most for each byte, in states.
    pub(super) fn states(&self) -> usize {
        self.program().map_or(0, Program::len)
    }

    /// The most steps that one evaluation of an input of `bytes` bytes may take.
    pub(super) fn steps(&self, bytes: usize) -> u64 {
        let program = self.program();
        self.comparing() + program.map_or(0, |program| program.steps(bytes))
    }

    /// The most steps that the comparisons with literal texts take.
    fn comparing(&self) -> u64 {
        comparing(&self.prefix) + comparing(&self.suffix)
    }

    pub(super) fn heap_bytes(&self) -> usize {
        let program = self.program();
        let program = program.map_or(0, |program| size_of::<Program>() + program.heap_bytes());
        self.prefix.len() + self.suffix.len() + program
    }

    fn program(&self) -> Option<&Program> {
        match &self.middle {
            Middle::Nothing | Middle::Anything => None,
            Middle::Program(program) => Some(program),
        }
    }
}

impl From<Compiled> for Component {
    fn from(compiled: Compiled) -> Self {
        let Compiled {
            mut prefix,
            program,
            suffix,
        } = compiled;
        if program.len() == 0 {
            prefix.push_str(&suffix);
            return Self {
                prefix: prefix.into(),
                suffix: "".into(),
                middle: Middle::Nothing,
            };
        }
        Self {
            prefix: prefix.into(),
            suffix: suffix.into(),
            middle: Middle::Program(Box::new(program)),
        }
    }
}

impl From<Class> for Middle {
    /// One or more bytes of a class.
    fn from(class: Class) -> Self {
        Self::Program(Box::new(compiler::wildcard(class)))
    }
}

/// Whether the input begins with the text. Most components compare with an empty text, whose
/// pointer is dangling; vectorised comparisons of nothing at such an address cost 100 ns each.
fn begins(input: &str, text: &str) -> bool {
    text.is_empty() || input.starts_with(text)
}
