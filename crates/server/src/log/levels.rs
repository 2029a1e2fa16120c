//! What `RUST_LOG` asks for. A directive that would have no effect is refused.

use tracing_subscriber::filter::{LevelFilter, Targets};

use crate::config::error::{ConfigError, show};

/// The variable that sets the levels of the log.
pub const VARIABLE: &str = "RUST_LOG";

const LEVELS: &[&str] = &["error", "warn", "info", "debug", "trace", "off"];

/// The crates that log, and the beginnings of their names that are of use.
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
#[derive(Debug, Clone)]
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
    /// stands for all of its events; what is not named has `info`.
    ///
    /// # Errors
    ///
    /// The first directive that is not one, names what does not log, or contradicts an earlier one,
    /// and the right form.
    pub fn parse(value: &str) -> Result<Self, ConfigError> {
        let Self(mut levels) = Self::default();
        if value.trim().is_empty() {
            return Ok(Self(levels));
        }
        let mut named: Vec<Option<&str>> = Vec::new();
        for directive in value.split(',').map(str::trim) {
            let (target, level) = parse(directive).map_err(|problem| {
                ConfigError::general(format!("{VARIABLE}: {problem}")).remedy(format!(
                    "write a level ({}), or levels of targets as in `info,h2=off`; the targets are {}",
                    LEVELS.join(", "),
                    TARGETS.join(", ")
                ))
            })?;
            if named.contains(&target) {
                let what = target.unwrap_or("the level of everything");
                return Err(ConfigError::general(format!(
                    "{VARIABLE}: {what} is set more than once"
                ))
                .remedy(
                    "keep one of them; one level and one for each target are written `info,h2=off`",
                ));
            }
            named.push(target);
            levels = match target {
                Some(target) => levels.with_target(target, level),
                None => levels.with_default(level),
            };
        }
        Ok(Self(levels))
    }
}

fn parse(directive: &str) -> Result<(Option<&str>, LevelFilter), String> {
    if directive.is_empty() {
        return Err("a comma separates nothing".to_owned());
    }
    match directive.split_once('=') {
        Some((target, name)) => {
            let target = known(target.trim())
                .ok_or_else(|| format!("{} is not a target that logs", show(target.trim())))?;
            let level = level(name.trim())
                .ok_or_else(|| format!("{} is not a level", show(name.trim())))?;
            Ok((Some(target), level))
        }
        None => match (level(directive), known(directive)) {
            (Some(level), _) => Ok((None, level)),
            (None, Some(target)) => Ok((Some(target), LevelFilter::TRACE)),
            (None, None) => Err(format!("{} is not a level", show(directive))),
        },
    }
}

fn level(name: &str) -> Option<LevelFilter> {
    let known = LEVELS.iter().any(|level| name.eq_ignore_ascii_case(level));
    let number = matches!(name.as_bytes(), [b'0'..=b'5']);
    (known || number).then(|| name.parse().ok()).flatten()
}

fn known(target: &str) -> Option<&'static str> {
    TARGETS.iter().copied().find(|known| *known == target)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::Level;

    /// Every form, and what it enables.
    #[test]
    fn levels_are_read() {
        let hub = "talaria_hub::subscribe";
        for (value, target, level, enabled) in [
            ("", hub, Level::INFO, true),
            ("", hub, Level::DEBUG, false),
            (" ", hub, Level::INFO, true),
            ("debug", hub, Level::DEBUG, true),
            ("DEBUG", "h2::codec", Level::DEBUG, true),
            ("Trace", hub, Level::TRACE, true),
            ("off", hub, Level::ERROR, false),
            ("0", hub, Level::ERROR, false),
            ("4", hub, Level::DEBUG, true),
            ("info,h2=off", "h2::codec", Level::ERROR, false),
            ("info, h2 = off", "h2::codec", Level::ERROR, false),
            ("h2=off,debug", hub, Level::DEBUG, true),
            ("talaria=debug", hub, Level::DEBUG, true),
            ("talaria_hub=debug", hub, Level::DEBUG, true),
            (
                "talaria_hub=debug",
                "talaria_server::run",
                Level::INFO,
                true,
            ),
            (
                "talaria_hub=debug",
                "talaria_server::run",
                Level::DEBUG,
                false,
            ),
            ("warn,talaria_hub", hub, Level::TRACE, true),
            (
                "hyper=debug,error",
                "hyper_util::client",
                Level::DEBUG,
                true,
            ),
        ] {
            let Levels(levels) = Levels::parse(value).unwrap();
            assert_eq!(
                levels.would_enable(target, &level),
                enabled,
                "{value:?} {target} {level}"
            );
        }
    }

    /// No directive is without effect: it is used or refused, and the error shows the right form.
    #[test]
    fn what_has_no_effect_is_refused() {
        for (value, named) in [
            ("debgu", "`debgu` is not a level"),
            ("warning", "`warning` is not a level"),
            ("information", "`information` is not a level"),
            ("6", "`6` is not a level"),
            ("-1", "`-1` is not a level"),
            ("true", "`true` is not a level"),
            ("\"debug\"", "is not a level"),
            ("info;h2=off", "`info;h2` is not a target"),
            ("info h2=off", "`info h2` is not a target"),
            ("info debug", "`info debug` is not a level"),
            ("info,h2=", "`` is not a level"),
            ("info,=debug", "`` is not a target"),
            ("info,h2=on", "`on` is not a level"),
            ("info,h2=debug=trace", "`debug=trace` is not a level"),
            ("info,h2:debug", "`h2:debug` is not a level"),
            ("info,", "a comma separates nothing"),
            (",info", "a comma separates nothing"),
            ("info,,h2=off", "a comma separates nothing"),
            ("talaria-hub=debug", "`talaria-hub` is not a target"),
            ("mercure=debug", "`mercure` is not a target"),
            ("talaria_hubb=debug", "`talaria_hubb` is not a target"),
            ("Talaria=debug", "`Talaria` is not a target"),
            (
                "talaria_protocol=debug",
                "`talaria_protocol` is not a target",
            ),
            (
                "talaria_hub::nothing=debug",
                "`talaria_hub::nothing` is not a target",
            ),
            ("rustls=debug", "`rustls` is not a target"),
            ("h2[Connection]=debug", "`h2[Connection]` is not a target"),
            (
                "info,debug",
                "the level of everything is set more than once",
            ),
            ("h2=off,h2=debug", "h2 is set more than once"),
            ("h2,h2=debug", "h2 is set more than once"),
        ] {
            let error = Levels::parse(value).unwrap_err().to_string();
            assert!(
                error.starts_with("RUST_LOG: ") && error.contains(named),
                "{value:?}: {error}"
            );
            assert!(error.contains("info,h2=off"), "{value:?}: {error}");
        }
    }

    /// The list of targets is what can log: the packages of the lock file that need `tracing`.
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
        let lock = include_str!("../../../../Cargo.lock");
        for package in lock.split("[[package]]") {
            let name = package.split('"').nth(1).unwrap_or_default();
            if package.contains("\n \"tracing\",") && !elsewhere.contains(&name) {
                let target = name.replace('-', "_");
                assert!(known(&target).is_some(), "{target} logs");
            }
        }
    }
}
