//! The options: the parser of the `mercure` block, the reference page and the help of the flags all
//! come from one table.

mod blocks;
mod connections;
mod directive;
mod identity;
mod limits;
pub mod reference;
mod table;
mod transport;

use crate::config::draft::Draft;
use crate::config::error::ConfigError;
use crate::config::lexer::Word;
use crate::config::settings::Notice;
use crate::config::site::refuse;
use crate::config::tree::Line;

use table::OPTIONS;

pub use directive::LATER;
pub use transport::{default_history, default_path, default_transport, from_url};

/// Where an option is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    /// Outside of the `mercure` block.
    Process,
    /// A directive of the `mercure` block.
    Hub,
    /// A directive of the `mercure` block that bounds what clients may hold.
    Limits,
    /// A line of an `issuer` block.
    Issuer,
    /// A line of a `publisher` or `subscriber` block within an `issuer` block.
    Role,
    /// A line of a `transport` block.
    Transport,
}

/// Reads an environment variable; `None` when it is unset.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Checks one directive and takes its values over.
type Apply = fn(&mut Draft, &Line, Environment<'_>) -> Result<(), ConfigError>;

/// One option.
pub struct Opt {
    /// Where it is written.
    pub section: Section,
    /// Name of its directive; empty when it has none.
    pub directive: &'static str,
    /// What follows the directive's name.
    pub arguments: &'static str,
    /// Environment variables that set it.
    pub variables: &'static [&'static str],
    /// Its command line flag, without dashes; empty when it has none.
    pub flag: &'static str,
    /// The value when nothing sets it.
    pub default: &'static str,
    /// What it does.
    pub doc: &'static str,
    /// Its parser, for directives of the `mercure` block.
    apply: Option<Apply>,
}

/// Every option, in the order of the reference page within its section.
fn all() -> impl Iterator<Item = &'static Opt> + Clone {
    OPTIONS.iter().chain(blocks::BLOCKS).chain(limits::BUDGETS)
}

/// Applies the lines of a `mercure` block, in order, so that a repeated directive keeps its last
/// value (B-124).
///
/// # Errors
///
/// The first line that is unknown, not supported yet or wrong.
pub fn apply(
    draft: &mut Draft,
    lines: &[Line],
    environment: Environment<'_>,
) -> Result<(), ConfigError> {
    for (index, line) in lines.iter().enumerate() {
        let known =
            all().find(|option| option.apply.is_some() && option.directive == line.name.text);
        match known.and_then(|option| option.apply) {
            Some(apply) => {
                apply(draft, line, environment)?;
                warn_of_repetition(draft, lines, index);
            }
            None => {
                let names = all().filter(|option| option.apply.is_some());
                let names: Vec<&str> = names.map(|option| option.directive).collect();
                return Err(joined_values(&line.name, &names)
                    .unwrap_or_else(|| refuse(&line.name, "directive", LATER, &names)));
            }
        }
    }
    Ok(())
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

/// The error for a known directive that a quote or another notation joins with its values.
fn joined_values(word: &Word, names: &[&str]) -> Option<ConfigError> {
    let text = word
        .text
        .trim_start_matches(|c: char| !c.is_ascii_alphanumeric());
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_')?;
    let name = text.get(..end).filter(|name| names.contains(name))?;
    let error = word.error(format!(
        "`{name}` is joined with what follows it into one word"
    ));
    // Which may be a key.
    Some(error.hide_line().remedy(format!(
        "write `{name}` and its values as words, one directive a line, without quotes around the line"
    )))
}

/// A directive of the `mercure` block with what follows its name.
pub fn directive(name: &str) -> Option<String> {
    let mut options = all();
    let option = options.find(|option| option.apply.is_some() && option.directive == name)?;
    Some(format!("{name} {}", option.arguments).trim_end().to_owned())
}

/// What a flag does, for `--help`.
pub fn flag_help(flag: &str) -> &'static str {
    all()
        .find(|option| option.flag == flag)
        .map_or("", |option| option.doc)
}

/// The environment variables that configure something.
pub fn variables() -> impl Iterator<Item = &'static str> + Clone {
    all().flat_map(|option| option.variables.iter().copied())
}

/// Whether the environment variable `name` configures something.
pub fn reads(name: &str) -> bool {
    variables().any(|variable| variable == name)
}
