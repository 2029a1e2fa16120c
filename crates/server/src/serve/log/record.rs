//! What a log is given, before it has a form.

use std::borrow::Cow;
use std::time::Duration;

use tracing::Level;

/// A name and a value.
pub(crate) type Field = (Cow<'static, str>, Value);

/// One line to be.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    /// How severe it is.
    pub level: Level,
    /// Seconds since 1970.
    pub time: f64,
    /// What writes it (B-702).
    pub logger: Cow<'static, str>,
    /// The stable name of what has happened; empty if it has none.
    pub event: &'static str,
    /// The sentence.
    pub message: String,
    /// Everything else.
    pub fields: Vec<Field>,
}

/// The value of a field.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Flag(bool),
    Signed(i64),
    Unsigned(u64),
    Real(f64),
    Duration(Duration),
    /// A text, within quotes on the console.
    Text(String),
    /// A text without quotes on the console, unless it holds control characters.
    Plain(String),
    /// The same, unless it also holds white space or quotes.
    Word(String),
    List(Vec<Value>),
    Group(Vec<Field>),
}

impl Value {
    /// The text that it is, if it is one.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::Plain(text) | Self::Word(text) => Some(text),
            _ => None,
        }
    }

    /// Changes each text in it.
    pub(super) fn change(&mut self, change: &impl Fn(&str) -> String) {
        match self {
            Self::Text(text) | Self::Plain(text) | Self::Word(text) => *text = change(text),
            Self::List(values) => values.iter_mut().for_each(|value| value.change(change)),
            Self::Group(fields) => fields
                .iter_mut()
                .for_each(|(_, value)| value.change(change)),
            _ => {}
        }
    }
}
