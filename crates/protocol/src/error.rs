//! The error for everything that a client can get wrong in the protocol.

use std::borrow::Cow;
use std::fmt;

use serde_json::Value;

use crate::characters::is_forbidden;

/// What kind of refusal an error asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// The request is malformed: 400.
    Malformed,
    /// A maximum of [`crate::Limits`] on a publish is exceeded: 413.
    TooLarge,
    /// A topic in the hub's own namespace: 400, to 0.x clients 403 (B-635).
    Reserved,
    /// The presented token is unusable: 401 with `invalid_token`.
    Token,
}

/// A refused value: which field, what was wrong with it and what to do.
///
/// The text is meant for the client that sent the value; it quotes at most 64 characters of it and
/// 128 of the field, with control and format characters escaped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {problem}", Bounded(.field, 128))]
pub struct ProtocolError {
    /// What kind of refusal this is.
    pub blame: Blame,
    /// The parameter, form field or claim path, as the client spelled it.
    pub field: Cow<'static, str>,
    /// What is wrong and the remedy, in one sentence.
    pub problem: Cow<'static, str>,
}

impl ProtocolError {
    /// A malformed request.
    pub fn malformed(
        field: impl Into<Cow<'static, str>>,
        problem: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            blame: Blame::Malformed,
            field: field.into(),
            problem: problem.into(),
        }
    }

    /// A publish beyond a maximum.
    pub fn too_large(
        field: impl Into<Cow<'static, str>>,
        problem: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            blame: Blame::TooLarge,
            field: field.into(),
            problem: problem.into(),
        }
    }

    /// An unusable token.
    pub fn token(
        field: impl Into<Cow<'static, str>>,
        problem: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            blame: Blame::Token,
            field: field.into(),
            problem: problem.into(),
        }
    }

    /// Turns the error into that of a subscription, for which an exceeded maximum is a malformed
    /// request.
    pub fn in_subscription(self) -> Self {
        Self {
            blame: match self.blame {
                Blame::TooLarge => Blame::Malformed,
                blame => blame,
            },
            ..self
        }
    }

    /// Turns the error into that of a token: what makes a query malformed makes a token unusable.
    pub(crate) fn in_token(self) -> Self {
        Self {
            blame: Blame::Token,
            ..self
        }
    }
}

/// Shows a stranger's text in an error or a log line, escaped and cut: in quotes, with `…` after 64
/// characters. Control and format characters (those that no topic may hold), line and paragraph
/// separators (U+2028 and U+2029), `"` and `\` are escaped, so that the text can neither forge a
/// line nor fill the log.
///
/// ```
/// use talaria_protocol::error::Shown;
///
/// assert_eq!(Shown("a\n\"b\"").to_string(), r#""a\u{a}\"b\"""#);
/// assert_eq!(Shown("a\u{2028}b").to_string(), r#""a\u{2028}b""#);
/// assert_eq!(Shown(&"x".repeat(65)).to_string(), format!("\"{}…\"", "x".repeat(64)));
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Shown<'a>(pub &'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", Bounded(self.0, 64))
    }
}

/// Shows a text whole, with the characters escaped that could move a terminal's cursor or turn and hide others: control
/// and format characters, and line and paragraph separators.
///
/// ```
/// use talaria_protocol::error::Visible;
///
/// assert_eq!(Visible("\u{1b}[2J\"a\"").to_string(), r#"\u{1b}[2J"a""#);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Visible<'a>(pub &'a str);

impl fmt::Display for Visible<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match is_hidden(c) {
                true => write!(f, "{}", c.escape_unicode())?,
                false => write!(f, "{c}")?,
            }
        }
        Ok(())
    }
}

fn is_hidden(c: char) -> bool {
    is_forbidden(c) || matches!(c, '\u{2028}' | '\u{2029}')
}

/// A text, escaped as [`Shown`] escapes it and cut after a number of characters.
struct Bounded<'a>(&'a str, usize);

impl fmt::Display for Bounded<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut chars = self.0.chars();
        for c in chars.by_ref().take(self.1) {
            if is_hidden(c) {
                write!(f, "{}", c.escape_unicode())?;
            } else if matches!(c, '"' | '\\') {
                write!(f, "\\{c}")?;
            } else {
                write!(f, "{c}")?;
            }
        }
        f.write_str(if chars.next().is_some() { "…" } else { "" })
    }
}

/// The kind of a JSON value, for errors. They never quote the value, which may be a secret of the
/// issuer.
pub(crate) fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}
