//! What variables and flags say about the log of the program.

use crate::error::Error;
use crate::levels::{Levels, VARIABLE};
use crate::settings::{LogForm, LogsSettings, Notice};
use crate::shown::show;
use crate::source::Environment;

/// The variable that sets the levels of the log; it takes precedence over `RUST_LOG`, and the flag `--log-level` over
/// both.
pub const LEVEL: &str = "TALARIA_LOG_LEVEL";

/// The variable that sets the form of the log; the flag `--log-format` takes precedence.
pub const FORM: &str = "TALARIA_LOG_FORMAT";

/// The forms of the log.
const FORMS: &[&str] = &["auto", "json", "console"];

/// Takes over what variables say. What they leave out stays as the configuration has it.
///
/// # Errors
///
/// Each value that is malformed, whether or not another takes precedence.
pub fn apply(
    logs: &mut LogsSettings,
    environment: Environment<'_>,
    notices: &mut Vec<Notice>,
) -> Result<(), Error> {
    let mut errors = Vec::new();
    // The last one takes precedence.
    for name in [VARIABLE, LEVEL] {
        let value = environment(name).filter(|value| !value.trim().is_empty());
        match value.map(|value| Levels::parse_named(name, &value, notices)) {
            Some(Ok(levels)) => logs.levels = Some(levels),
            Some(Err(error)) => errors.push(error),
            None => {}
        }
    }
    match environment(FORM).map(|word| form(FORM, &word)) {
        Some(Ok(form)) => logs.form = form,
        Some(Err(error)) => errors.push(error),
        None => {}
    }
    Error::all(errors)
}

/// The form that a word names; `None` for `auto`, which leaves it to the configuration and to where the lines go.
///
/// # Errors
///
/// The word names none; `name` says where it stands.
pub fn form(name: &str, word: &str) -> Result<Option<LogForm>, Error> {
    match word.trim().to_ascii_lowercase().as_str() {
        "" | "auto" => Ok(None),
        "json" => Ok(Some(LogForm::Json)),
        "console" => Ok(Some(LogForm::Console)),
        _ => Err(
            Error::new(format!("{name}: {} is not a form of the log", show(word)))
                .remedy(format!("write one of {}", FORMS.join(", "))),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(variables: &[(&str, &str)]) -> Result<LogsSettings, String> {
        let mut logs = LogsSettings::default();
        let environment = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let applied = apply(&mut logs, &environment, &mut Vec::new());
        applied.map(|()| logs).map_err(|error| error.to_string())
    }

    /// Our own variable takes precedence over that of programs in Rust, and an empty one says nothing.
    #[test]
    fn variables_have_an_order() {
        let levels = |value| Some(Levels::parse(value, &mut Vec::new()).unwrap());
        for (variables, expected) in [
            (&[][..], None),
            (&[(LEVEL, " "), (VARIABLE, "")], None),
            (&[(VARIABLE, "warn")], levels("warn")),
            (
                &[(VARIABLE, "warn"), (LEVEL, "debug,h2=off")],
                levels("debug,h2=off"),
            ),
        ] {
            assert_eq!(
                applied(variables).unwrap().levels,
                expected,
                "{variables:?}"
            );
        }
        for (word, expected) in [
            ("", None),
            ("auto", None),
            ("JSON", Some(LogForm::Json)),
            ("console", Some(LogForm::Console)),
        ] {
            assert_eq!(applied(&[(FORM, word)]).unwrap().form, expected, "{word}");
        }
    }

    /// A value that cannot be read is named with those that can.
    #[test]
    fn what_is_malformed_is_refused() {
        let error = applied(&[(LEVEL, "debgu"), (VARIABLE, "loud"), (FORM, "xml")]).unwrap_err();
        for named in [
            "TALARIA_LOG_LEVEL: `debgu` is not a level",
            "RUST_LOG: `loud` is not a level",
            "TALARIA_LOG_FORMAT: `xml` is not a form of the log",
            "auto, json, console",
            "error, warn, info",
        ] {
            assert!(error.contains(named), "{error}");
        }
    }
}
