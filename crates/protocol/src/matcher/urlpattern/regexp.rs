//! Parses the regular expressions that the `urlpattern` crate generates.

use regex_syntax::ast::ErrorKind;
use regex_syntax::hir::Hir;
use regex_syntax::{Error, ParserBuilder};

use super::error::ExpressionError;

/// How deep an expression may nest, which bounds what walking it costs.
const MAX_NESTING: u32 = 64;

/// Parses an expression of the crate, which spans all of a component.
///
/// The components of a URL are ASCII, so `\w` and its like are the ASCII classes, as in ECMAScript.
/// That also keeps parsing cheap: it is Unicode classes that make it slow.
///
/// # Errors
/// The reason why the expression cannot run in linear time, or is not one.
pub(super) fn parse(expression: &str) -> Result<Hir, ExpressionError> {
    if enables_unicode(expression) {
        return Err(ExpressionError::UnicodeFlag);
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
        .map_err(|error| reason(&error))
}

fn reason(error: &Error) -> ExpressionError {
    match error {
        Error::Parse(error) => match error.kind() {
            ErrorKind::UnsupportedLookAround => ExpressionError::LookAround,
            ErrorKind::UnsupportedBackreference => ExpressionError::BackReference,
            ErrorKind::NestLimitExceeded(most) => ExpressionError::Nesting { most: *most },
            kind => ExpressionError::Syntax(kind.to_string()),
        },
        _ => ExpressionError::UnicodeClass,
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
