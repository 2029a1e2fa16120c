//! The standard form of a Caddyfile (`talaria fmt`, B-016): indented by tabs, one space between words, no
//! trailing white space, at most one blank line.
//!
//! Only white space between words changes. Words are those of the lexer, each written as its author wrote it,
//! so that the form never changes what a file means. A `{$NAME:default}` counts as part of a word, because it
//! is replaced before the text is read.

use crate::error::Error;
use crate::lexer::{Word, lex};
use crate::source::{Source, SourceKind};
use crate::text::{Text, next_substitution};

/// The text in its standard form. `name` is that of the file, for errors.
///
/// # Errors
///
/// The text cannot be read as words, for example because a quote is never closed.
pub fn format(name: &str, text: &str) -> Result<String, Error> {
    let masked = mask(text);
    let source = Source::new(SourceKind::File, name, &masked, false);
    let words = lex(&Text::literal(&source)).map_err(Error::hide_line)?;
    let mut writer = Writer {
        text,
        masked: &masked,
        out: String::with_capacity(text.len()),
        depth: 0,
        continues: false,
        blank: false,
    };
    let mut from = 0;
    for word in &words {
        let (start, end) = word.place.bytes();
        writer.gap(from, start);
        writer.word(word, start, end);
        from = end;
    }
    writer.gap(from, text.len());
    writer.end_line();
    if shape(text) == shape(&writer.out) {
        return Ok(writer.out);
    }
    Err(Error::new(format!(
        "{name}: the file has no standard form, because quotes are in a default value of a variable"
    ))
    .remedy("put the quotes around the variable: \"{$NAME:default}\""))
}

/// The words where no variable has a value: each with whether it is quoted and begins a line. `None` if the
/// text cannot be read.
fn shape(text: &str) -> Option<Vec<(String, bool, bool)>> {
    let source = Source::new(SourceKind::File, "", text, true);
    let words = lex(&Text::expand(&source, &|_| None)).ok()?;
    let mut line = usize::MAX;
    let shape = words.into_iter().map(|word| {
        let begins = word.line != line;
        line = word.end_line;
        (word.text, word.quoted, begins)
    });
    Some(shape.collect())
}

/// The text with `_` in place of what could end a word within `{$…}`, byte for byte.
fn mask(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, _, _, after)) = next_substitution(rest) {
        masked.push_str(before);
        let within = rest.len() - before.len() - after.len();
        let within = rest.get(before.len()..before.len() + within);
        for c in within.unwrap_or_default().chars() {
            match c.is_whitespace() || matches!(c, '"' | '`' | '\\') {
                true => masked.extend(std::iter::repeat_n('_', c.len_utf8())),
                false => masked.push(c),
            }
        }
        rest = after;
    }
    masked.push_str(rest);
    masked
}

struct Writer<'t> {
    text: &'t str,
    /// The same, in which white space separates words.
    masked: &'t str,
    out: String,
    /// How many blocks are open.
    depth: usize,
    /// Whether the line goes on from one that ends with a backslash.
    continues: bool,
    /// Whether a blank line precedes what comes.
    blank: bool,
}

impl Writer<'_> {
    /// Writes the comments and line ends between two words.
    fn gap(&mut self, start: usize, end: usize) {
        let mut at = start;
        while let Some(rest) = self.masked.get(at..end).filter(|rest| !rest.is_empty()) {
            let skipped = rest.len() - rest.trim_start_matches(is_blank).len();
            at += skipped;
            let rest = rest.get(skipped..).unwrap_or_default();
            if let Some(after) = rest.strip_prefix('\n') {
                self.line_end();
                at = end - after.len();
            } else if rest.starts_with('#') {
                let length = rest.find('\n').unwrap_or(rest.len());
                let comment = self.text.get(at..at + length).unwrap_or_default();
                self.comment(comment.trim_end());
                at += length;
            } else if rest.starts_with('\\') {
                self.continue_line();
                let after = rest.find('\n').map_or(rest.len(), |newline| newline + 1);
                at += after;
            } else {
                return;
            }
        }
    }

    /// Ends the line, or leaves one blank where several are.
    fn line_end(&mut self) {
        if self.out.is_empty() {
            return;
        }
        if self.is_at_start() && !self.continues {
            self.blank = true;
        } else {
            // The line that a backslash joins to the one before may be empty.
            self.out.push('\n');
        }
        self.continues = false;
    }

    fn end_line(&mut self) {
        if !self.is_at_start() {
            self.out.push('\n');
        }
    }

    fn continue_line(&mut self) {
        if self.is_at_start() {
            self.begin_line(false);
            self.out.push('\\');
        } else {
            self.out.push_str(" \\");
        }
        self.out.push('\n');
        self.continues = true;
    }

    fn comment(&mut self, comment: &str) {
        match self.is_at_start() {
            true => self.begin_line(false),
            false => self.out.push(' '),
        }
        self.out.push_str(comment);
    }

    fn word(&mut self, word: &Word, start: usize, end: usize) {
        let is_close = word.is("}");
        let starts_line = self.is_at_start();
        if is_close {
            self.depth = self.depth.saturating_sub(1);
        }
        match starts_line {
            true => self.begin_line(is_close),
            false => self.out.push(' '),
        }
        self.out
            .push_str(self.text.get(start..end).unwrap_or_default());
        if word.is("{") {
            self.depth += 1;
        }
    }

    /// Writes the blank line that was left, unless the block begins or ends there, and the indentation.
    fn begin_line(&mut self, is_close: bool) {
        let opens = self.out.ends_with("{\n");
        if std::mem::take(&mut self.blank) && !opens && !is_close && !self.out.is_empty() {
            self.out.push('\n');
        }
        let depth = self.depth + usize::from(self.continues);
        self.out.extend(std::iter::repeat_n('\t', depth));
        self.continues = false;
    }

    fn is_at_start(&self) -> bool {
        self.out.is_empty() || self.out.ends_with('\n')
    }
}

/// Whether white space separates words without ending a line.
fn is_blank(c: char) -> bool {
    c.is_whitespace() && c != '\n'
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tree::parse;

    fn formatted(source: &str) -> String {
        format("Caddyfile", source).unwrap()
    }

    #[test]
    fn white_space_is_put_in_order() {
        for (source, expected) in [
            ("", ""),
            ("\n\n a   b \n", "a b\n"),
            (
                ":80 {\nmercure {\n\n  a\tb  # c \n\n\n\n d\n\n}\n}",
                ":80 {\n\tmercure {\n\t\ta b # c\n\n\t\td\n\t}\n}\n",
            ),
            ("# one\n\n\n#two\na", "# one\n\n#two\na\n"),
            ("a \\\n b\nc", "a \\\n\tb\nc\n"),
            ("a {\r\n b\r\n}\r\n", "a {\n\tb\n}\n"),
            ("a {$X:b  c}   d", "a {$X:b  c} d\n"),
            ("a \"b\n  c\"  d", "a \"b\n  c\" d\n"),
            (
                "a {\n b <<X\n    c\n   d\n   X 200\n}",
                "a {\n\tb <<X\n    c\n   d\n   X 200\n}\n",
            ),
            ("{$A}\n{\n{$B}\n}\n", "{$A}\n{\n\t{$B}\n}\n"),
        ] {
            assert_eq!(formatted(source), expected, "{source:?}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        assert!(
            format("f", "a \"S3CR3T")
                .unwrap_err()
                .to_string()
                .starts_with("f:1:3: ")
        );
        assert!(format("f", "jwt <<A\nS3CR3T").is_err());
    }

    proptest! {
        /// The words, their quotes and lines stay; so do the blocks. The form of the form is itself.
        #[test]
        fn the_meaning_stays(
            source in "(\\PC|[ \n\t{}\"`#\\\\:<aX]|\r\n|\\\\\n|<<X\n| X\n|\\{\\$A:x  y\\}| \\{\n|\n\\}\n|# a\n){0,120}"
        ) {
            let Ok(form) = format("f", &source) else { return Ok(()) };
            prop_assert_eq!(&format("f", &form).unwrap(), &form, "not idempotent");
            prop_assert_eq!(shape(&source), shape(&form));
            let tree = |text: &str| parse(&crate::lexer::tests::text(text)).is_ok();
            prop_assert_eq!(tree(&source), tree(&form));
        }
    }
}
