//! The table of all options, and what it is asked.

use super::budgets::BUDGETS;
use super::connections::CONNECTION;
use super::hub::HUB;
use super::issuers::{ISSUER, ROLE};
use super::process::PROCESS;
use super::row::{Effect, Row};
use super::transports;
use crate::draft::Draft;
use crate::error::Error;
use crate::lexer::Word;
use crate::settings::Notice;
use crate::source::Environment;
use crate::tree::Line;
use crate::unknown::refuse;

/// Every option, in the order of the reference page.
pub(crate) fn all() -> impl Iterator<Item = &'static Row> + Clone {
    let sections = [PROCESS, HUB, CONNECTION, BUDGETS, ISSUER, ROLE];
    sections.into_iter().flatten().chain(transports::rows())
}

fn directives() -> impl Iterator<Item = &'static Row> + Clone {
    all().filter(|row| row.is_directive())
}

/// Applies the lines of a `mercure` block, in order, so that a repeated directive keeps its last
/// value (B-124).
///
/// # Errors
///
/// Every line that is unknown or wrong.
pub(crate) fn apply(
    draft: &mut Draft,
    lines: &[Line],
    environment: Environment<'_>,
) -> Result<(), Error> {
    let mut errors = Vec::new();
    let mut is_in_key = false;
    for (index, line) in lines.iter().enumerate() {
        let row = directives().find(|row| row.name == line.name.text);
        let Some((row, Effect::Hub(setter))) = row.map(|row| (row, &row.effect)) else {
            if is_in_key {
                // It may be a further line of the wrong key, which no message shows.
                break;
            }
            errors.push(unknown(&line.name));
            continue;
        };
        draft.mark_written(row.name);
        let program = draft
            .taken
            .contains(row.name)
            .then(|| draft.program.clone());
        let applied = setter.apply(draft, line, environment, &row.default());
        let is_other = program.is_some_and(|program| program != draft.program);
        let applied = applied.and(match is_other {
            true => Err(line.name.error(format!(
                "`{}` is for the whole program, and the `mercure` block of another site has another value",
                row.name
            )).remedy("write it in one of them, or the same in both")),
            false => Ok(()),
        });
        if let Err(error) = applied {
            is_in_key |= row.name.contains("jwt");
            errors.push(error);
            continue;
        }
        if row.protects_all && setter.is_absent(draft) {
            draft.notices.push(Notice::warning(format!(
                "{}: `{} off` lets one client take what all need; write a number that this machine can bear",
                line.name.place, row.name
            )));
        }
        warn_of_repetition(draft, lines, index);
    }
    Error::all(errors)
}

/// Takes the variables over that set what no directive did.
///
/// # Errors
///
/// Every value that is wrong.
pub(crate) fn apply_variables(
    draft: &mut Draft,
    environment: Environment<'_>,
) -> Result<(), Error> {
    let mut errors = Vec::new();
    for row in directives().filter(|row| !row.variables.is_empty()) {
        let Some(read) = row.read_variable.filter(|_| !draft.is_written(row.name)) else {
            continue;
        };
        for name in row.variables {
            if let Some(value) = environment(name) {
                errors.extend(read(draft, name, &value, environment).err());
            }
        }
    }
    Error::all(errors)
}

/// Says once where the last of several lines counts that set one value.
fn warn_of_repetition(draft: &mut Draft, lines: &[Line], index: usize) {
    let [before @ .., line] = lines.get(..=index).unwrap_or_default() else {
        return;
    };
    let name = &line.name.text;
    let is_same = |other: &Line| other.name.text == *name;
    let is_last = !lines.iter().skip(index + 1).any(is_same);
    if name != "issuer" && is_last && before.iter().any(is_same) {
        draft.notices.push(Notice::info(format!(
            "{}: `{name}` is written more than once, and this line alone counts",
            line.name.place
        )));
    }
}

fn unknown(word: &Word) -> Error {
    let names: Vec<&str> = directives().map(|row| row.name).collect();
    joined_values(word, &names).unwrap_or_else(|| refuse(word, "directive", &[], &names))
}

/// The error for a known directive that a quote or another notation joins with its values.
fn joined_values(word: &Word, names: &[&str]) -> Option<Error> {
    let text = word
        .text
        .trim_start_matches(|c: char| !c.is_ascii_alphanumeric());
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_')?;
    let name = text.get(..end).filter(|name| names.contains(name))?;
    let error = word.error(format!(
        "`{name}` is joined with what follows it into one word"
    ));
    // What follows may be a key.
    Some(error.hide_line().remedy(format!(
        "write `{name}` and its values as words, one directive a line, without quotes around the line"
    )))
}

/// A directive of the `mercure` block with what follows its name.
pub(crate) fn usage(name: &str) -> Option<String> {
    let mut directives = directives();
    directives.find(|row| row.name == name).map(Row::usage)
}

/// What a flag does, for `--help`.
pub fn flag_help(flag: &str) -> &'static str {
    all().find(|row| row.flag == flag).map_or("", |row| row.doc)
}

/// The environment variables that configure something.
pub(crate) fn variables() -> impl Iterator<Item = &'static str> + Clone {
    all().flat_map(|row| row.variables.iter().copied())
}

/// Whether an environment variable of this name configures something.
pub fn reads(name: &str) -> bool {
    variables().any(|variable| variable == name)
}

/// Why a variable of an option was not read, where there is no file.
pub(crate) fn precedence(variable: &str) -> String {
    let row = all().find(|row| row.variables.contains(&variable));
    match row {
        Some(row) if !row.flag.is_empty() => format!("the flag --{} takes precedence", row.flag),
        Some(row) if row.is_directive() => {
            format!("a `{}` directive takes precedence", row.name)
        }
        _ if variable.ends_with("_ALG") => "its key is not read either".to_owned(),
        _ => "a directive takes precedence".to_owned(),
    }
}
