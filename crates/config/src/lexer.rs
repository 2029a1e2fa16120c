//! The words of a Caddyfile (B-280).

use std::fmt;
use std::iter::Peekable;
use std::str::CharIndices;

use crate::error::Error;
use crate::source::{Place, Source, SourceKind};
use crate::text::Text;

/// One word and the place where it begins. `Debug` does not show the word, which may be a key.
#[derive(Clone)]
pub(crate) struct Word {
    /// What it says, quotes and escapes removed.
    pub text: String,
    /// Where it stands.
    pub place: Place,
    /// Whether it was quoted: a quoted `{` opens no block.
    pub quoted: bool,
    /// Number of the logical line on which it begins; an escaped line end joins two lines.
    pub line: usize,
    /// Number of the logical line on which it ends.
    pub end_line: usize,
}

impl fmt::Debug for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Word({})", self.place)
    }
}

impl Word {
    /// Whether it is the bare word `text`.
    pub(crate) fn is(&self, text: &str) -> bool {
        !self.quoted && self.text == text
    }

    /// An error at this word.
    pub(crate) fn error(&self, problem: impl Into<String>) -> Error {
        Error::at(&self.place, problem)
    }

    /// Refuses a `{$NAME}` that was not replaced because it stands in a variable's own text: as a key it
    /// would be a secret that anyone can guess (B-121).
    ///
    /// # Errors
    ///
    /// When the word holds one.
    pub(crate) fn refuse_unreplaced(&self) -> Result<(), Error> {
        if !self.text.contains("{$") {
            return Ok(());
        }
        Err(self
            .error("`{$…}` is not replaced within the text of a variable")
            .remedy("write the value itself, or {env.NAME} for a key")
            .hide_line())
    }
}

/// The words of a variable's text, in which nothing is replaced.
///
/// # Errors
///
/// As [`lex`].
pub(crate) fn words_of_variable(name: &str, text: &str) -> Result<Vec<Word>, Error> {
    let source = Source::new(SourceKind::Variable, name, text, false);
    lex(&Text::literal(&source))
}

/// Splits text into words.
///
/// # Errors
///
/// A quote that is not closed, and heredocs, which are not supported yet.
pub(crate) fn lex(text: &Text) -> Result<Vec<Word>, Error> {
    let mut lexer = Lexer {
        text,
        chars: text.as_str().char_indices().peekable(),
        line: 0,
        words: Vec::new(),
    };
    while let Some((start, c)) = lexer.chars.next() {
        match c {
            '\n' => lexer.line += 1,
            c if c.is_whitespace() => {}
            '#' => while lexer.chars.next_if(|(_, c)| *c != '\n').is_some() {},
            '"' | '`' => lexer.quoted(start, c)?,
            _ => lexer.bare(start, c)?,
        }
    }
    Ok(lexer.words)
}

struct Lexer<'t> {
    text: &'t Text,
    chars: Peekable<CharIndices<'t>>,
    /// The number of the logical line.
    line: usize,
    words: Vec<Word>,
}

impl Lexer<'_> {
    /// Reads a quoted word up to the closing quote; it may span lines.
    fn quoted(&mut self, start: usize, quote: char) -> Result<(), Error> {
        let first_line = self.line;
        let mut word = String::new();
        let mut end = None;
        while let Some((at, next)) = self.chars.next() {
            if next == quote {
                end = Some(at + 1);
                break;
            }
            // Only the quote itself can be escaped: `\d` stays as it is.
            let is_escape = next == '\\' && quote == '"';
            if is_escape && self.chars.next_if(|(_, c)| *c == '"').is_some() {
                word.push('"');
                continue;
            }
            self.line += usize::from(next == '\n');
            word.push(next);
        }
        let place = self.place(start, end.unwrap_or(start + 1))?;
        if end.is_none() {
            return Err(Error::at(&place, "this quote is never closed")
                .remedy(format!("close it with {quote}, or escape it as \\{quote}")));
        }
        self.words.push(Word {
            text: word,
            place,
            quoted: true,
            line: first_line,
            end_line: self.line,
        });
        Ok(())
    }

    /// Reads a word up to the next white space.
    fn bare(&mut self, start: usize, first: char) -> Result<(), Error> {
        let mut word = String::new();
        let mut next = Some((start, first));
        let mut end = start;
        while let Some((at, c)) = next {
            if c == '\\' {
                let rest = self.text.as_str().get(at + 1..).unwrap_or_default();
                if rest.starts_with('\n') || rest.starts_with("\r\n") {
                    // An escaped line end is white space that does not end the line.
                    self.chars.next_if(|(_, c)| *c == '\r');
                    self.chars.next_if(|(_, c)| *c == '\n');
                    break;
                }
                if word.is_empty()
                    && rest.starts_with(['"', '`'])
                    && let Some((at, quote)) = self.chars.next()
                {
                    word.push(quote);
                    end = at + 1;
                    next = self.chars.next_if(|(_, c)| !c.is_whitespace());
                    continue;
                }
            }
            word.push(c);
            end = at + c.len_utf8();
            next = self.chars.next_if(|(_, c)| !c.is_whitespace());
        }
        if word.is_empty() {
            return Ok(());
        }
        let place = self.place(start, end)?;
        if word.starts_with("<<") {
            return Err(Error::at(&place, "heredocs are not supported yet")
                .remedy("quote the text instead; a quoted word may span lines"));
        }
        self.words.push(Word {
            text: word,
            place,
            quoted: false,
            line: self.line,
            end_line: self.line,
        });
        Ok(())
    }

    fn place(&self, start: usize, end: usize) -> Result<Place, Error> {
        let place = self.text.place(start, end);
        place.ok_or_else(|| Error::new("text without a source"))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The text as a file without any variables.
    pub(crate) fn text(text: &str) -> Text {
        Text::expand(
            &Source::new(SourceKind::File, "Caddyfile", text, false),
            &|_| None,
        )
    }

    fn words(source: &str) -> Vec<(String, usize)> {
        lex(&text(source))
            .unwrap()
            .into_iter()
            .map(|w| (w.text, w.line))
            .collect()
    }

    fn plain(source: &str) -> Vec<String> {
        words(source).into_iter().map(|(word, _)| word).collect()
    }

    /// A `#` begins a comment only at the start of a word (B-280).
    #[test]
    fn words_and_comments() {
        assert_eq!(plain("a b#c # d\n#e f\r\n\tg"), ["a", "b#c", "g"]);
        assert_eq!(
            words("a\n\nb c"),
            [("a".into(), 0), ("b".into(), 2), ("c".into(), 2)]
        );
    }

    /// Double quotes take `\"`, backquotes take no escape, and both span lines (B-280).
    #[test]
    fn quotes() {
        assert_eq!(plain(r#""a \"b\" \d" c"#), [r#"a "b" \d"#, "c"]);
        assert_eq!(plain("`a \\` \"x\ny\""), ["a \\", "x\ny"]);
        assert_eq!(plain("\\\"a \"\""), ["\"a", ""]);
        assert_eq!(words("\"x\ny\" z"), [("x\ny".into(), 0), ("z".into(), 1)]);
        let error = lex(&text("a\n  \"b")).unwrap_err().to_string();
        assert!(
            error.starts_with("Caddyfile:2:3: this quote is never closed"),
            "{error}"
        );
    }

    /// `\` at the line's end continues the line; elsewhere it is itself (B-280).
    #[test]
    fn continued_lines() {
        assert_eq!(words("a \\\n b"), [("a".into(), 0), ("b".into(), 0)]);
        assert_eq!(words("a\\\r\nb"), [("a".into(), 0), ("b".into(), 0)]);
        assert_eq!(plain("a\\b \\c \\"), ["a\\b", "\\c", "\\"]);
    }

    #[test]
    fn heredocs_are_refused_by_name() {
        let error = lex(&text("respond <<HTML\nx\nHTML"))
            .unwrap_err()
            .to_string();
        assert!(error.contains("heredocs are not supported yet"), "{error}");
    }
}
