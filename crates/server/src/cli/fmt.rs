//! `talaria fmt`: the standard form of a Caddyfile (B-016).

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

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

/// The lines, those that go with `-` and those that come with `+`. Only white space differs, so those belong together
/// that have as many other characters before them.
fn difference(before: &str, after: &str) -> String {
    let letters = |line: &str| line.chars().filter(|c| !c.is_whitespace()).count();
    let mut old = before.split_inclusive('\n').peekable();
    let mut new = after.split_inclusive('\n').peekable();
    let (mut old_letters, mut new_letters) = (0, 0);
    let mut shown = Difference::default();
    loop {
        let goes = match (old.peek(), new.peek()) {
            (None, None) => break,
            (Some(gone), Some(come)) if old_letters == new_letters => {
                if gone == come {
                    shown.stays(gone);
                    old_letters += letters(gone);
                    new_letters = old_letters;
                    (old.next(), new.next());
                    continue;
                }
                gone.trim().is_empty() || !come.trim().is_empty()
            }
            (gone, come) => come.is_none() || (gone.is_some() && old_letters < new_letters),
        };
        let (lines, seen, list) = match goes {
            true => (&mut old, &mut old_letters, &mut shown.gone),
            false => (&mut new, &mut new_letters, &mut shown.come),
        };
        if let Some(line) = lines.next() {
            *seen += letters(line);
            list.push(line);
        }
    }
    shown.end()
}

/// What is shown of a difference, and the lines that were changed since the last one that stays.
#[derive(Default)]
struct Difference<'a> {
    shown: String,
    gone: Vec<&'a str>,
    come: Vec<&'a str>,
}

impl<'a> Difference<'a> {
    fn stays(&mut self, line: &'a str) {
        self.change();
        self.line("  ", line);
    }

    fn change(&mut self) {
        for line in std::mem::take(&mut self.gone) {
            self.line("- ", line);
        }
        for line in std::mem::take(&mut self.come) {
            self.line("+ ", line);
        }
    }

    fn line(&mut self, mark: &str, line: &str) {
        self.shown.push_str(mark);
        self.shown.push_str(line.strip_suffix('\n').unwrap_or(line));
        self.shown.push('\n');
    }

    fn end(mut self) -> String {
        self.change();
        self.shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_stay_are_found_again_after_those_that_change() {
        for (before, after, shown) in [
            ("a\n", "a\n", "  a\n"),
            ("a", "a\n", "- a\n+ a\n"),
            ("a\r\nb\n", "a\nb\n", "- a\r\n+ a\n  b\n"),
            ("a\n\n\nb\n", "a\n\nb\n", "  a\n  \n- \n  b\n"),
            ("a\nb\n", "a\n\nb\n", "  a\n+ \n  b\n"),
            (
                "a {b\nc\n}",
                "a {\n\tb\n\tc\n}\n",
                "- a {b\n- c\n- }\n+ a {\n+ \tb\n+ \tc\n+ }\n",
            ),
            (
                " a\nb\n c\nd\n",
                "a\nb\nc\nd\n",
                "-  a\n+ a\n  b\n-  c\n+ c\n  d\n",
            ),
            ("", "", ""),
        ] {
            assert_eq!(difference(before, after), shown, "{before:?}");
        }
    }
}
