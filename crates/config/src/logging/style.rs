//! `format`: how the lines of a log look.

use super::{filter, times};
use crate::error::Error;
use crate::guide::Page;
use crate::lexer::Word;
use crate::settings::{DurationNotation, LevelNotation, LogForm, LogNotation, LogStep, LogStyle};
use crate::shown::show;
use crate::source::Environment;
use crate::tree::Line;
use crate::unknown::refuse;

/// Options of `json` and `console`.
const NOTATION: &[&str] = &[
    "caller_key",
    "duration_format",
    "level_format",
    "level_key",
    "line_ending",
    "message_key",
    "name_key",
    "stacktrace_key",
    "time_format",
    "time_key",
    "time_local",
];

/// Reads `format <form> [{ … }]`, or `wrap <form> [{ … }]` within another.
///
/// # Errors
/// The form is not known, or an option of it.
pub(super) fn format(
    words: &[Word],
    line: &Line,
    style: &mut LogStyle,
    environment: Environment<'_>,
) -> Result<(), Error> {
    let [form, rest @ ..] = words else {
        return Err(line.missing("one of json, console, filter and append"));
    };
    match (form.text.as_str(), rest) {
        ("json", []) => {
            style.form = Some(LogForm::Json);
            notation(line, &mut style.notation)
        }
        ("console", []) => {
            style.form = Some(LogForm::Console);
            notation(line, &mut style.notation)
        }
        ("filter", []) => wrapping(line, style, environment, |field, steps| {
            filter::field(field).map(|step| steps.push(step))
        }),
        ("append", fields) => {
            if let [name, value] = fields {
                style.steps.push(added(name, value, environment)?);
            } else if let Some(surplus) = fields.first() {
                return Err(surplus.error("`append` takes a field and its value"));
            }
            wrapping(line, style, environment, |field, steps| {
                let [value] = field.args.as_slice() else {
                    return Err(field.missing("one value"));
                };
                steps.push(added(&field.name, value, environment)?);
                Ok(())
            })
        }
        ("json" | "console" | "filter", [surplus, ..]) => Err(surplus
            .error(format!("`format {}` takes no {}", form.text, show(&surplus.text)))
            .remedy("write its options in a block")),
        ("transform" | "formatted", _) => Err(form
            .error(format!(
                "the format `{}`, which a plugin adds, is not supported",
                form.text
            ))
            .remedy(
                "write `format console` for people, or `format json` with `time_format`, `level_format` and `format filter` for programs",
            )
            .page(Page::LOGS)),
        _ => {
            let known = &["append", "console", "filter", "json"];
            let later = &["logfmt", "single_field"];
            Err(refuse(form, "format of a log", later, known))
        }
    }
}

/// The block of a form around another: its own fields, in `fields { … }` or without, and `wrap <form>`.
fn wrapping(
    line: &Line,
    style: &mut LogStyle,
    environment: Environment<'_>,
    read: impl Fn(&Line, &mut Vec<LogStep>) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut errors = Vec::new();
    let mut wrapped = None;
    for option in line.block.iter().flatten() {
        match (option.name.text.as_str(), &option.block) {
            ("wrap", _) => wrapped = Some(option),
            ("fields", Some(fields)) if option.args.is_empty() => {
                let fields = fields.iter();
                errors.extend(fields.filter_map(|field| read(field, &mut style.steps).err()));
            }
            _ => errors.extend(read(option, &mut style.steps).err()),
        }
    }
    // Those within see what these have made.
    if let Some(within) = wrapped {
        errors.extend(format(&within.args, within, style, environment).err());
    }
    Error::all(errors)
}

/// A field that is added.
fn added(name: &Word, value: &Word, environment: Environment<'_>) -> Result<LogStep, Error> {
    let value = match value.text.as_str() {
        "{system.hostname}" => hostname(),
        _ => crate::routes::Texts(environment).fixed(value, "a field of every line")?,
    };
    Ok(LogStep::Append {
        name: name.text.clone(),
        value,
    })
}

/// The name of this machine.
fn hostname() -> String {
    let name = rustix::system::uname();
    name.nodename().to_string_lossy().into_owned()
}

/// The options of `json` and `console`.
fn notation(line: &Line, notation: &mut LogNotation) -> Result<(), Error> {
    let options = line.block.iter().flatten();
    Error::all(
        options
            .filter_map(|option| apply(option, notation).err())
            .collect(),
    )
}

fn apply(option: &Line, notation: &mut LogNotation) -> Result<(), Error> {
    let text = || Ok::<_, Error>(option.without_block()?.one("a name")?.text.clone());
    match option.name.text.as_str() {
        "message_key" => notation.message = text()?,
        "level_key" => notation.level = text()?,
        "time_key" => notation.time = text()?,
        "name_key" => notation.logger = text()?,
        // No line has them.
        "caller_key" | "stacktrace_key" => _ = text()?,
        "line_ending" => notation.ending = ending(option.without_block()?.one("a line ending")?)?,
        "time_format" => {
            notation.times = Some(times::notation(option.without_block()?.one("a format")?)?);
        }
        "time_local" => {
            option.without_block()?.at_most(0, "")?;
            notation.local = true;
        }
        "duration_format" => {
            let word = option.without_block()?.one("a format")?;
            notation.durations = match word.text.as_str() {
                "s" | "second" | "seconds" => DurationNotation::Seconds,
                "ms" | "milli" | "millis" => DurationNotation::Milliseconds,
                "ns" | "nano" | "nanos" => DurationNotation::Nanoseconds,
                "string" => DurationNotation::Text,
                _ => {
                    let known = &["seconds", "ms", "nano", "string"];
                    return Err(refuse(word, "format of durations", &[], known));
                }
            };
        }
        "level_format" => {
            let word = option.without_block()?.one("a format")?;
            notation.levels = Some(match word.text.as_str() {
                "lower" => LevelNotation::Lower,
                "upper" => LevelNotation::Upper,
                "color" => LevelNotation::Color,
                _ => {
                    let known = &["lower", "upper", "color"];
                    return Err(refuse(word, "format of levels", &[], known));
                }
            });
        }
        _ => return Err(refuse(&option.name, "option of a format", &[], NOTATION)),
    }
    Ok(())
}

/// What ends a line, in which `\n`, `\r` and `\t` may be written so.
fn ending(word: &Word) -> Result<String, Error> {
    let text = word.text.replace("\\n", "\n").replace("\\r", "\r");
    let text = text.replace("\\t", "\t").replace("\\0", "\0");
    match text.len() {
        1..=16 => Ok(text),
        _ => Err(word
            .error(format!("{} cannot end a line", show(&word.text)))
            .remedy("write 1 to 16 characters, for example \\n or \\r\\n")),
    }
}
