//! The words of a Caddyfile (B-280).

mod heredoc;

use std::fmt;
use std::iter::Peekable;
use std::str::CharIndices;

use crate::error::Error;
use crate::source::{Place, Source, SourceKind};
use crate::text::Text;
use heredoc::Fault;

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
/// A quote or a heredoc that is not closed, and a line of a heredoc that is indented less than its end.
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
        let mut is_escaped = false;
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
                    && (rest.starts_with(['"', '`']) || rest.starts_with("<<"))
                    && let Some((at, escaped)) = self.chars.next()
                {
                    is_escaped = true;
                    word.push(escaped);
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
        if let Some(name) = word.strip_prefix("<<").filter(|_| !is_escaped)
            && self.ends_line(end)
        {
            return self.heredoc((start, end), name);
        }
        let place = self.place(start, end)?;
        self.words.push(Word {
            text: word,
            place,
            quoted: false,
            line: self.line,
            end_line: self.line,
        });
        Ok(())
    }

    /// Whether only white space follows byte `end` on its line.
    fn ends_line(&self, end: usize) -> bool {
        let rest = self.text.as_str().get(end..).unwrap_or_default();
        let mut rest = rest.chars().take_while(|c| *c != '\n');
        rest.all(char::is_whitespace)
    }

    /// Reads the lines that follow the opening word of a heredoc, up to the one that begins with `name`.
    fn heredoc(&mut self, (start, end): (usize, usize), name: &str) -> Result<(), Error> {
        let opening = self.place(start, end)?;
        if !heredoc::is_name(name) {
            return Err(Error::at(
                &opening,
                "the name of a heredoc may hold only letters, digits, `-` and `_`",
            )
            .remedy("write for example <<TEXT, or \\<< for a word that begins with <<"));
        }
        let rest = self.text.as_str().get(end..).unwrap_or_default();
        let read = heredoc::read(rest, name);
        let (text, len) = match read {
            Ok(read) => read,
            Err(Fault::NeverClosed) => {
                return Err(Error::at(&opening, "this heredoc is never closed").remedy(format!(
                    "write {name} at the beginning of a line, or \\<< for a word that begins with <<"
                )));
            }
            Err(Fault::Indentation(from, to)) => {
                // The text may be a key.
                let line = self.place(end + from, end + to)?;
                return Err(Error::at(
                    &line,
                    format!("this line is not indented as {name}, which ends the heredoc"),
                )
                .remedy(format!(
                    "begin it with the white space that {name} has before it"
                ))
                .hide_line());
            }
        };
        let first_line = self.line;
        while let Some((_, c)) = self.chars.next_if(|(at, _)| *at < end + len) {
            self.line += usize::from(c == '\n');
        }
        self.words.push(Word {
            text,
            place: self.place(start, end + len)?,
            quoted: true,
            line: first_line,
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

    /// A heredoc loses the white space of its closing name, and the line goes on behind that (B-280).
    #[test]
    fn heredocs() {
        let text = "respond <<HTML\n\t<p>\n\n\t  \"{\n\tHTML 200\nb";
        assert_eq!(
            words(text),
            [
                ("respond".into(), 0),
                ("<p>\n\n  \"{".into(), 0),
                ("200".into(), 4),
                ("b".into(), 5)
            ]
        );
        assert_eq!(plain("<<A\r\nx\r\ny\r\nA\r\nz"), ["x\ny", "z"]);
        assert_eq!(plain("<<A \nAB\nA-1\nA"), ["AB\nA-1"]);
        assert_eq!(plain("<<A\nA"), [""]);
        assert_eq!(
            plain("\\<<A\na << b <<c d"),
            ["<<A", "a", "<<", "b", "<<c", "d"]
        );
        assert!(lex(&super::tests::text("<<A\n{\nA")).unwrap()[0].quoted);
    }

    #[test]
    fn a_wrong_heredoc_has_a_place() {
        for (source, expected) in [
            ("a <<B\n x\n", "Caddyfile:1:3: this heredoc is never closed"),
            ("a <<B", "Caddyfile:1:3: this heredoc is never closed"),
            (
                "a <<B\n  x\n y\n  B",
                "Caddyfile:3:1: this line is not indented as B",
            ),
            ("a <<\nb", "Caddyfile:1:3: the name of a heredoc"),
            ("a <<b.c\nb.c", "Caddyfile:1:3: the name of a heredoc"),
        ] {
            let error = lex(&text(source)).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{source:?}: {error}");
        }
        let error = lex(&text("jwt <<B\n  x\n SECRET\n  B")).unwrap_err();
        assert!(!error.to_string().contains("SECRET"), "{error}");
    }
}
