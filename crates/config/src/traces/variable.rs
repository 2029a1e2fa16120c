//! Reads the value of a variable, or notes why it cannot be read.

use std::ops::RangeInclusive;
use std::time::Duration;

use percent_encoding::percent_decode_str;

use crate::error::Error;
use crate::shown::show;
use crate::source::{Environment, Place};

/// The longest time that a variable may name, in milliseconds: an hour.
const LONGEST: u64 = 3_600_000;

/// Reads variables, and keeps what is wrong with them.
pub(super) struct Reader<'e> {
    environment: Environment<'e>,
    errors: Vec<Error>,
}

impl<'e> Reader<'e> {
    pub(super) fn new(environment: Environment<'e>) -> Self {
        Self {
            environment,
            errors: Vec::new(),
        }
    }

    /// Ends with all that is wrong.
    pub(super) fn finish(self) -> Result<(), Error> {
        Error::all(self.errors)
    }

    /// Notes that the value of a variable is wrong.
    pub(super) fn refuse(&mut self, name: &str, what: String, remedy: String) {
        let error = Error::at(&Place::variable(name), what).remedy(remedy);
        self.errors.push(error.hide_line());
    }

    /// The first of these variables that is set, and its value; an empty one counts as not set.
    pub(super) fn text<'n>(&self, names: &[&'n str]) -> Option<(&'n str, String)> {
        // All are read, so that each counts as known.
        let mut values = names.iter().filter_map(|name| {
            let value = (self.environment)(name)?;
            let value = value.trim();
            (!value.is_empty()).then(|| (*name, value.to_owned()))
        });
        let first = values.next();
        values.for_each(drop);
        first
    }

    /// The value, if `parse` can read it; else the message says that it is not `what`.
    pub(super) fn parsed<T>(
        &mut self,
        names: &[&str],
        parse: impl FnOnce(&str) -> Option<T>,
        what: &str,
        remedy: &str,
    ) -> Option<T> {
        let (name, text) = self.text(names)?;
        let parsed = parse(&text);
        if parsed.is_none() {
            self.refuse(
                name,
                format!("{} is not {what}", show(&text)),
                remedy.to_owned(),
            );
        }
        parsed
    }

    /// A number within a range.
    pub(super) fn number(&mut self, names: &[&str], range: RangeInclusive<u64>) -> Option<u64> {
        let remedy = format!("write a number from {} to {}", range.start(), range.end());
        let parse = |text: &str| text.parse().ok().filter(|number| range.contains(number));
        self.parsed(names, parse, "a number that counts here", &remedy)
    }

    /// A number of milliseconds.
    pub(super) fn milliseconds(&mut self, names: &[&str]) -> Option<Duration> {
        self.number(names, 1..=LONGEST).map(Duration::from_millis)
    }

    /// One of these words, in any case.
    pub(super) fn one_of<T: Clone>(&mut self, names: &[&str], known: &[(&str, T)]) -> Option<T> {
        let (name, text) = self.text(names)?;
        self.known(name, &text, known)
    }

    /// Several of these words, separated by commas.
    pub(super) fn items<T: Clone>(&mut self, name: &str, known: &[(&str, T)]) -> Option<Vec<T>> {
        let (name, text) = self.text(&[name])?;
        let items = text.split(',').map(str::trim);
        let items = items.filter(|item| !item.is_empty());
        Some(
            items
                .filter_map(|item| self.known(name, item, known))
                .collect(),
        )
    }

    fn known<T: Clone>(&mut self, name: &str, text: &str, known: &[(&str, T)]) -> Option<T> {
        let lower = text.to_ascii_lowercase();
        let found = known.iter().find(|(word, _)| *word == lower);
        if found.is_none() {
            let words: Vec<&str> = known.iter().map(|(word, _)| *word).collect();
            self.refuse(
                name,
                format!("{} is not supported", show(text)),
                format!("write one of: {}", words.join(", ")),
            );
        }
        found.map(|(_, value)| value.clone())
    }

    /// `key=value` pairs, separated by commas, whose values may be percent-encoded. No message shows a value.
    pub(super) fn pairs(&mut self, names: &[&str]) -> Option<Vec<(String, String)>> {
        let (name, text) = self.text(names)?;
        let pairs = text.split(',').map(str::trim).enumerate();
        let pairs = pairs.filter(|(_, pair)| !pair.is_empty());
        let mut read = Vec::new();
        for (at, pair) in pairs {
            let pair = pair.split_once('=').and_then(|(key, value)| {
                let decoded = |text: &str| {
                    let text = percent_decode_str(text.trim()).decode_utf8().ok()?;
                    Some(text.into_owned())
                };
                Some((decoded(key).filter(|key| !key.is_empty())?, decoded(value)?))
            });
            match pair {
                Some(pair) => read.push(pair),
                None => self.refuse(
                    name,
                    format!("item {} is not a key and a value", at + 1),
                    "write key=value, separated by commas, with %2C for a comma in a value"
                        .to_owned(),
                ),
            }
        }
        Some(read)
    }
}
