//! The levels of the log that `RUST_LOG` asks for.

use std::fmt;

use tracing_subscriber::filter::{LevelFilter, Targets};

use crate::error::Error;
use crate::notice::Notice;
use crate::shown::show;

/// The variable that sets the levels of the log.
pub const VARIABLE: &str = "RUST_LOG";

const LEVELS: &[&str] = &["error", "warn", "info", "debug", "trace", "off"];

/// The crates that log, and `talaria` for all whose names begin with it.
const TARGETS: &[&str] = &[
    "talaria",
    "talaria_hub",
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
                Error::new(format!("{VARIABLE}: {problem}")).remedy(format!(
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
                "{VARIABLE}: {} has no effect here; the targets that log are {}",
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
mod tests {
    use super::*;

    const HUB: &str = "talaria_hub::subscribe";

    /// A value, a target, a level, and whether the value lets events of that level through.
    const FORMS: &[(&str, &str, LevelFilter, bool)] = &[
        ("", HUB, LevelFilter::INFO, true),
        ("", HUB, LevelFilter::DEBUG, false),
        (" ", HUB, LevelFilter::INFO, true),
        ("debug", HUB, LevelFilter::DEBUG, true),
        ("DEBUG", "h2::codec", LevelFilter::DEBUG, true),
        ("Trace", HUB, LevelFilter::TRACE, true),
        ("off", HUB, LevelFilter::ERROR, false),
        ("0", HUB, LevelFilter::ERROR, false),
        ("4", HUB, LevelFilter::DEBUG, true),
        ("info,h2=off", "h2::codec", LevelFilter::ERROR, false),
        ("info, h2 = off", "h2::codec", LevelFilter::ERROR, false),
        ("h2=off,debug", HUB, LevelFilter::DEBUG, true),
        ("talaria=debug", HUB, LevelFilter::DEBUG, true),
        ("info,", HUB, LevelFilter::INFO, true),
        (",,debug, ", HUB, LevelFilter::DEBUG, true),
        (
            "info,talaria_hub::subscribe=debug",
            HUB,
            LevelFilter::DEBUG,
            true,
        ),
        ("talaria_hub::publish=debug", HUB, LevelFilter::DEBUG, false),
        (
            "talaria_server::run=debug",
            "talaria_server::run",
            LevelFilter::DEBUG,
            true,
        ),
        ("h2::codec=off", "h2::codec", LevelFilter::ERROR, false),
        (
            "hyper_util::client=debug",
            "hyper_util::client",
            LevelFilter::DEBUG,
            true,
        ),
        ("talaria_hub::subscribe", HUB, LevelFilter::TRACE, true),
        ("info,debug", HUB, LevelFilter::DEBUG, true),
        ("h2=off,h2=debug", "h2::codec", LevelFilter::DEBUG, true),
        ("talaria_hub=debug", HUB, LevelFilter::DEBUG, true),
        (
            "talaria_hub=debug",
            "talaria_server::run",
            LevelFilter::INFO,
            true,
        ),
        (
            "talaria_hub=debug",
            "talaria_server::run",
            LevelFilter::DEBUG,
            false,
        ),
        ("warn,talaria_hub", HUB, LevelFilter::TRACE, true),
        (
            "hyper=debug,error",
            "hyper_util::client",
            LevelFilter::DEBUG,
            true,
        ),
    ];

    /// Each form enables what it says.
    #[test]
    fn levels_are_read() {
        for (value, target, level, enabled) in FORMS {
            let mut notices = Vec::new();
            let level = level.into_level().unwrap();
            let Levels(levels) = Levels::parse(value, &mut notices).unwrap();
            assert_eq!(notices, [], "{value}");
            assert_eq!(
                levels.would_enable(target, &level),
                *enabled,
                "{value:?} {target} {level}"
            );
        }
    }

    /// A malformed directive is refused, and the error shows the right form.
    #[test]
    fn what_is_malformed_is_refused() {
        for (value, named) in [
            ("debgu", "`debgu` is not a level"),
            ("warning", "`warning` is not a level"),
            ("information", "`information` is not a level"),
            ("rustls", "`rustls` is not a level"),
            ("6", "`6` is not a level"),
            ("-1", "`-1` is not a level"),
            ("true", "`true` is not a level"),
            ("\"debug\"", "`\"debug\"` is not a level"),
            ("info;h2=off", "`info;h2` is not a target"),
            ("info h2=off", "`info h2` is not a target"),
            ("info debug", "`info debug` is not a level"),
            ("info,h2=", "`` is not a level"),
            ("info,=debug", "`` is not a target"),
            ("info,h2=on", "`on` is not a level"),
            ("info,h2=debug=trace", "`h2=debug` is not a target"),
            ("info,h2:debug", "`h2:debug` is not a level"),
            ("h2::=debug", "`h2::` is not a target"),
            ("h2[a=debug", "`h2[a` is not a target"),
            ("my_app=debgu", "`debgu` is not a level"),
            ("::", "`::` is not a level"),
        ] {
            let mut notices = Vec::new();
            let error = Levels::parse(value, &mut notices).unwrap_err().to_string();
            assert!(
                error.starts_with("RUST_LOG: ") && error.contains(named),
                "{value:?}: {error}"
            );
            assert!(error.contains("info,h2=off"), "{value:?}: {error}");
            assert_eq!(notices, []);
        }
        for value in [
            "redis://u:PW@h",
            "redis://PW=x@h",
            "redis://u:PW,PW@h",
            "u:PW@h",
        ] {
            let error = Levels::parse(value, &mut Vec::new())
                .unwrap_err()
                .to_string();
            assert!(error.contains("@h") && !error.contains("PW"), "{error}");
        }
    }

    /// Directives for other programs are named once, and do not stop the hub.
    #[test]
    fn foreign_targets_are_named() {
        for (value, named) in [
            ("info,rustls=warn", "`rustls=warn` has no effect here"),
            ("tower=off", "`tower=off` has"),
            (
                "my_app=debug,reqwest=off,tokio=off,h2=off",
                "`my_app=debug`, `reqwest=off`, `tokio=off` has",
            ),
            ("my_app::module", "`my_app::module` has"),
            ("talaria-hub=debug", "`talaria-hub=debug` has"),
            ("talaria_hubb=debug", "`talaria_hubb=debug` has"),
            ("talaria::hub=debug", "`talaria::hub=debug` has"),
            ("Talaria=debug", "`Talaria=debug` has"),
            ("h2[Connection]=debug", "`h2[Connection]=debug` has"),
        ] {
            let mut notices = Vec::new();
            assert!(Levels::parse(value, &mut notices).is_ok(), "{value}");
            assert_eq!(notices.len(), 1, "{value}");
            let text = &notices[0].text;
            assert!(
                text.starts_with("RUST_LOG: ") && text.contains(named),
                "{text}"
            );
        }
    }

    /// The targets are the crates that can log: the packages of the lock file that need `tracing`.
    #[test]
    fn every_crate_that_logs_is_a_target() {
        // Not in the program: QUIC and fetching over it, models of threads, and the subscriber itself.
        let elsewhere = [
            "quinn",
            "quinn-proto",
            "quinn-udp",
            "loom",
            "tracing-subscriber",
        ];
        let lock = include_str!("../../../Cargo.lock");
        for package in lock.split("[[package]]") {
            let name = package.split('"').nth(1).unwrap_or_default();
            if package.contains("\n \"tracing\",") && !elsewhere.contains(&name) {
                let target = name.replace('-', "_");
                assert!(logs(&target), "{target} logs");
            }
        }
    }
}
