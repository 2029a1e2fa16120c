//! The words of a Caddyfile (B-280).

use super::error::ConfigError;
use super::source::{Place, Text};

/// One word and the place where it begins.
#[derive(Debug, Clone)]
pub struct Word {
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

impl Word {
    /// Whether it is the bare word `text`.
    pub fn is(&self, text: &str) -> bool {
        !self.quoted && self.text == text
    }

    /// An error at this word.
    pub fn error(&self, problem: impl Into<String>) -> ConfigError {
        ConfigError::at(&self.place, problem)
    }

    /// Refuses a `{$NAME}` that was not replaced, because it stands in a variable's own text (B-121):
    /// as a key it would be a secret that anybody can guess.
    ///
    /// # Errors
    ///
    /// When the word holds one.
    pub fn refuse_unreplaced(&self) -> Result<(), ConfigError> {
        if !self.text.contains("{$") {
            return Ok(());
        }
        Err(self
            .error("`{$…}` is not replaced within the text of a variable")
            .remedy("write the value itself, or {env.NAME} for a key")
            .hide_line())
    }
}

/// Splits text into words.
///
/// # Errors
///
/// A quote that is not closed, and heredocs, which are not supported yet.
pub fn lex(text: &Text) -> Result<Vec<Word>, ConfigError> {
    let mut words = Vec::new();
    let mut chars = text.as_str().char_indices().peekable();
    let mut line = 0;
    while let Some((start, c)) = chars.next() {
        match c {
            '\n' => line += 1,
            c if c.is_whitespace() => {}
            '#' => while chars.next_if(|(_, c)| *c != '\n').is_some() {},
            '"' | '`' => {
                let first_line = line;
                let mut word = String::new();
                let mut end = None;
                while let Some((at, next)) = chars.next() {
                    if next == c {
                        end = Some(at + 1);
                        break;
                    }
                    // Only the quote itself can be escaped: `\d` stays as it is.
                    if next == '\\' && c == '"' && chars.next_if(|(_, c)| *c == '"').is_some() {
                        word.push('"');
                        continue;
                    }
                    line += usize::from(next == '\n');
                    word.push(next);
                }
                let place = place(text, start, end.unwrap_or(start + 1))?;
                if end.is_none() {
                    return Err(ConfigError::at(&place, "this quote is never closed")
                        .remedy(format!("close it with {c}, or escape it as \\{c}")));
                }
                words.push(Word {
                    text: word,
                    place,
                    quoted: true,
                    line: first_line,
                    end_line: line,
                });
            }
            _ => {
                let mut word = String::new();
                let mut next = Some((start, c));
                let mut end = start;
                while let Some((at, c)) = next {
                    if c == '\\' {
                        let rest = text.as_str().get(at + 1..).unwrap_or_default();
                        if rest.starts_with('\n') || rest.starts_with("\r\n") {
                            // An escaped line end is white space that does not end the line.
                            chars.next_if(|(_, c)| *c == '\r');
                            chars.next_if(|(_, c)| *c == '\n');
                            break;
                        }
                        if word.is_empty()
                            && rest.starts_with(['"', '`'])
                            && let Some((at, quote)) = chars.next()
                        {
                            word.push(quote);
                            end = at + 1;
                            next = chars.next_if(|(_, c)| !c.is_whitespace());
                            continue;
                        }
                    }
                    word.push(c);
                    end = at + c.len_utf8();
                    next = chars.next_if(|(_, c)| !c.is_whitespace());
                }
                if word.is_empty() {
                    continue;
                }
                let place = place(text, start, end)?;
                if word.starts_with("<<") {
                    return Err(ConfigError::at(&place, "heredocs are not supported yet")
                        .remedy("quote the text instead; a quoted word may span lines"));
                }
                words.push(Word {
                    text: word,
                    place,
                    quoted: false,
                    line,
                    end_line: line,
                });
            }
        }
    }
    Ok(words)
}

fn place(text: &Text, start: usize, end: usize) -> Result<Place, ConfigError> {
    text.place(start, end)
        .ok_or_else(|| ConfigError::general("text without a source"))
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::config::source::{Source, SourceKind};

    /// The text as a file without any variables.
    pub fn text(text: &str) -> Text {
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

    /// B-280: comments only at the start of a word.
    #[test]
    fn words_and_comments() {
        assert_eq!(plain("a b#c # d\n#e f\r\n\tg"), ["a", "b#c", "g"]);
        assert_eq!(
            words("a\n\nb c"),
            [("a".into(), 0), ("b".into(), 2), ("c".into(), 2)]
        );
    }

    /// B-280: double quotes with `\"`, backquotes without escapes, both over lines.
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

    /// B-280: `\` at the line's end continues the line; elsewhere it is itself.
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
