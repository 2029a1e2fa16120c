//! `talaria fmt`: the standard form of a Caddyfile (B-016).

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use similar::{ChangeTag, TextDiff};
use talaria_config::{Error, format};

use super::output;

/// What `talaria fmt --help` adds.
pub(super) const HELP: &str = "\
Only white space changes: tabs indent, one space stands between words, and at most one line is blank. What the
file means stays. The exit code is 1 if the file was not in this form, unless --overwrite changed it.

Example:
  talaria fmt --overwrite /etc/talaria/Caddyfile";

/// The flags of `fmt`.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The file, `-` for standard input; ./Caddyfile unless one is named.
    #[arg(value_name = "PATH", conflicts_with = "config")]
    path: Option<PathBuf>,
    /// The same.
    #[arg(short, long, value_name = "PATH")]
    config: Option<PathBuf>,
    /// Write the form to the file instead of printing it.
    #[arg(short = 'w', long)]
    overwrite: bool,
    /// Print the lines that change, with - and +, instead of the form.
    #[arg(short, long, conflicts_with = "overwrite")]
    diff: bool,
}

/// Prints or writes the form.
pub(super) fn fmt(args: &Args) -> ExitCode {
    match formatted(args) {
        Ok(code) => code,
        Err(error) => output::failure(error),
    }
}

fn formatted(args: &Args) -> Result<ExitCode, Error> {
    let standard = PathBuf::from("Caddyfile");
    let path = args
        .path
        .as_ref()
        .or(args.config.as_ref())
        .unwrap_or(&standard);
    let is_input = path.as_os_str() == "-";
    let name = match is_input {
        true => "stdin".to_owned(),
        false => path.display().to_string(),
    };
    if is_input && args.overwrite {
        return Err(
            Error::new("--overwrite: standard input cannot be written").remedy("name a file")
        );
    }
    let text = read(path, is_input)?;
    let form = format::format(&name, &text)?;
    let is_formed = form == text;
    if args.overwrite {
        if !is_formed {
            std::fs::write(path, &form).map_err(|error| {
                Error::new(name.as_str())
                    .caused_by(error)
                    .remedy("make it writable")
            })?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let shown = match args.diff {
        true if is_formed => String::new(),
        true => difference(&text, &form),
        false => form,
    };
    output::write_out(&shown).map_err(output::not_written)?;
    if is_formed {
        return Ok(ExitCode::SUCCESS);
    }
    output::say(&format!(
        "{name} is not in the standard form; `talaria fmt --overwrite` writes it"
    ));
    Ok(ExitCode::FAILURE)
}

fn read(path: &Path, is_input: bool) -> Result<String, Error> {
    let read = match is_input {
        true => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).map(|_| text)
        }
        false => std::fs::read_to_string(path),
    };
    read.map_err(|error| {
        Error::new(path.display().to_string())
            .caused_by(error)
            .remedy("name a readable text file")
    })
}

/// The lines, those that go with `-` and those that come with `+`.
fn difference(before: &str, after: &str) -> String {
    let diff = TextDiff::from_lines(before, after);
    let mut shown = String::new();
    for change in diff.iter_all_changes() {
        shown.push_str(match change.tag() {
            ChangeTag::Delete => "- ",
            ChangeTag::Insert => "+ ",
            ChangeTag::Equal => "  ",
        });
        shown.push_str(change.value());
        if !change.value().ends_with('\n') {
            shown.push('\n');
        }
    }
    shown
}
