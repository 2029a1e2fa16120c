//! The levels of the log that flags, variables and the configuration ask for.

use std::fmt;

use tracing_subscriber::filter::{LevelFilter, Targets};

use crate::error::Error;
use crate::lexer::Word;
use crate::notice::Notice;
use crate::shown::show;

/// The variable that sets the levels of the log, as programs in Rust have it.
pub const VARIABLE: &str = "RUST_LOG";

const LEVELS: &[&str] = &["error", "warn", "info", "debug", "trace", "off"];

/// The crates that log, and `talaria` for all whose names begin with it.
const TARGETS: &[&str] = &[
    "talaria",
    "talaria_hub",
    "talaria_postgres",
    "talaria_redis",
    "talaria_server",
    "talaria_transport",
    "h2",
    "hyper",
    "hyper_util",
];

/// The levels of the log; `info` unless something else is asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Levels(Targets);

impl Default for Levels {
    fn default() -> Self {
        Self(Targets::new().with_default(LevelFilter::INFO))
    }
}

impl From<Levels> for Targets {
    fn from(levels: Levels) -> Self {
        levels.0
    }
}

impl From<LevelFilter> for Levels {
    fn from(level: LevelFilter) -> Self {
        Self(Targets::new().with_default(level))
    }
}

/// The level that a word of the configuration names; `panic` and `fatal`, which the existing server has above
/// `error`, are those of no line here.
pub(crate) fn named(word: &Word) -> Result<LevelFilter, Error> {
    let name = word.text.to_ascii_lowercase();
    match name.as_str() {
        "panic" | "fatal" => Ok(LevelFilter::OFF),
        name => level(name).ok_or_else(|| {
            word.error(format!("{} is not a level", show(&word.text)))
                .remedy(format!("write one of {}", LEVELS.join(", ")))
        }),
    }
}

impl Levels {
    /// Reads the value of `RUST_LOG`: `LEVEL` and `TARGET=LEVEL`, separated by commas. A target alone
    /// stands for all of its events; a target that is not named has `info`. Of two directives for one target
    /// the last counts. `notices` gets one warning for all directives that have no effect here: other programs
    /// may need them.
    ///
    /// # Errors
    ///
    /// The first directive that is malformed, and the right form.
    pub fn parse(value: &str, notices: &mut Vec<Notice>) -> Result<Self, Error> {
        Self::parse_named(VARIABLE, value, notices)
    }

    /// As [`Self::parse`]; `variable` is what messages call the place of the value.
    ///
    /// # Errors
    ///
    /// As [`Self::parse`].
    pub fn parse_named(
        variable: &str,
        value: &str,
        notices: &mut Vec<Notice>,
    ) -> Result<Self, Error> {
        let Self(mut levels) = Self::default();
        let mut unknown: Vec<String> = Vec::new();
        let directives = value.split(',').map(str::trim);
        for directive in directives.filter(|directive| !directive.is_empty()) {
            let (target, level) = parse(directive).map_err(|problem| {
                // A password may hold commas, so only the whole value shows where it ends.
                let problem = match value.contains('@') {
                    true => format!("{} is not a list of levels", show(value)),
                    false => problem.to_string(),
                };
                Error::new(format!("{variable}: {problem}")).remedy(format!(
                    "write a level ({}), or levels of targets as in `info,h2=off`; the targets are {}",
                    LEVELS.join(", "),
                    TARGETS.join(", ")
                ))
            })?;
            levels = match target {
                Some(target) if logs(target) => levels.with_target(target, level),
                Some(_) => {
                    unknown.push(show(directive));
                    levels
                }
                None => levels.with_default(level),
            };
        }
        if !unknown.is_empty() {
            notices.push(Notice::warning(format!(
                "{variable}: {} has no effect here; the targets that log are {}",
                unknown.join(", "),
                TARGETS.join(", ")
            )));
        }
        Ok(Self(levels))
    }
}

/// A target, if there is one, and its level.
///
/// # Errors
///
/// What is wrong, in a clause.
fn parse(directive: &str) -> Result<(Option<&str>, LevelFilter), Wrong<'_>> {
    match directive.rsplit_once('=') {
        Some((target, name)) => {
            let (target, name) = (target.trim(), name.trim());
            let level = level(name).ok_or(Wrong::Level(name))?;
            if !is_target(target) {
                return Err(Wrong::Target(target));
            }
            Ok((Some(target), level))
        }
        None => match level(directive) {
            Some(level) => Ok((None, level)),
            // A word alone that is not a known target is probably a misspelt level.
            None if logs(directive) || directive.contains("::") && is_target(directive) => {
                Ok((Some(directive), LevelFilter::TRACE))
            }
            None => Err(Wrong::Level(directive)),
        },
    }
}

/// Whether a text has the form of a target: a path of names, which may end in a span's `[…]`.
fn is_target(text: &str) -> bool {
    let path = match text.split_once('[') {
        Some((path, span)) if span.ends_with(']') => path,
        Some(_) => return false,
        None => text,
    };
    let name_byte = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
    path.split("::")
        .all(|name| !name.is_empty() && name.bytes().all(name_byte))
}

/// Whether a target is a crate that logs, or a path in one.
fn logs(target: &str) -> bool {
    let (name, is_path) = match target.split_once("::") {
        Some((name, _)) => (name, true),
        None => (target, false),
    };
    // `talaria` stands for several crates, so no path of a module follows it.
    is_target(target)
        && !target.contains('[')
        && TARGETS.contains(&name)
        && !(is_path && name == "talaria")
}

/// What is wrong with a directive.
enum Wrong<'a> {
    Level(&'a str),
    Target(&'a str),
}

impl fmt::Display for Wrong<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Level(name) => write!(f, "{} is not a level", show(name)),
            Self::Target(name) => write!(f, "{} is not a target", show(name)),
        }
    }
}

fn level(name: &str) -> Option<LevelFilter> {
    let known = LEVELS.iter().any(|level| name.eq_ignore_ascii_case(level));
    let number = matches!(name.as_bytes(), [b'0'..=b'5']);
    (known || number).then(|| name.parse().ok()).flatten()
}

#[cfg(test)]
mod tests;
