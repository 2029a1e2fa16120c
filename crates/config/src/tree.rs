//! Lines and blocks of a Caddyfile (B-281).

use crate::error::Error;
use crate::lexer::{Word, lex};
use crate::shown::show;
use crate::source::Place;
use crate::text::Text;

/// The deepest nesting of blocks; without a bound a text could exhaust the stack.
pub(crate) const MAX_DEPTH: usize = 32;

/// A line: its first word, the others, and the block that it opens.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    /// The first word.
    pub name: Word,
    /// The other words, the opening brace excluded.
    pub args: Vec<Word>,
    /// The lines between the braces.
    pub block: Option<Vec<Line>>,
}

/// A whole file.
#[derive(Debug)]
pub(crate) struct Document {
    /// The block without a key at the file's head, and where it opens.
    pub global: Option<(Place, Vec<Line>)>,
    /// All other lines.
    pub lines: Vec<Line>,
}

/// Parses a text into lines and blocks.
///
/// # Errors
///
/// Unbalanced or misplaced braces, blocks nested deeper than 32, and what [`lex`] refuses.
pub(crate) fn parse(text: &Text) -> Result<Document, Error> {
    let words = lex(text)?;
    let mut parser = Parser {
        words: words.into_iter().peekable(),
    };
    let mut global = None;
    if let Some(open) = parser.words.next_if(|word| word.is("{")) {
        parser.ends_line(&open, "{")?;
        global = Some((open.place.clone(), parser.block(&open, 1)?));
    }
    let lines = parser.lines(0)?;
    if let Some(stray) = parser.words.next() {
        return Err(stray.error("this `}` closes no block").remedy("remove it"));
    }
    Ok(Document { global, lines })
}

struct Parser {
    words: std::iter::Peekable<std::vec::IntoIter<Word>>,
}

impl Parser {
    /// Lines up to the `}` of the block or the end of the text; the `}` is not consumed.
    fn lines(&mut self, depth: usize) -> Result<Vec<Line>, Error> {
        let mut lines = Vec::new();
        while let Some(name) = self.words.next_if(|word| !word.is("}")) {
            if name.is("{") {
                return Err(name
                    .error("this block has no name before its `{`")
                    .remedy("write the opening brace at the end of the line that it belongs to"));
            }
            let mut args: Vec<Word> = Vec::new();
            let mut end_line = name.end_line;
            while let Some(word) = self.words.next_if(|word| word.line == end_line) {
                end_line = word.end_line;
                args.push(word);
            }
            let block = match args.pop_if(|word| word.is("{")) {
                Some(open) if depth + 1 > MAX_DEPTH => {
                    return Err(open.error(format!("blocks are nested deeper than {MAX_DEPTH}")));
                }
                Some(open) => Some(self.block(&open, depth + 1)?),
                None => None,
            };
            let glued = args.last().unwrap_or(&name);
            if block.is_none() && !glued.quoted && glued.text.len() > 1 && glued.text.ends_with('{')
            {
                return Err(glued
                    .error("this word ends with a brace, which so opens no block")
                    .remedy("put a space before `{`"));
            }
            if let Some(brace) = args.iter().find(|word| word.is("{") || word.is("}")) {
                let remedy = "`{` must be the last word of its line, and `}` must stand alone";
                return Err(brace.error("misplaced brace").remedy(remedy));
            }
            lines.push(Line { name, args, block });
        }
        Ok(lines)
    }

    fn block(&mut self, open: &Word, depth: usize) -> Result<Vec<Line>, Error> {
        let lines = self.lines(depth)?;
        match self.words.next() {
            Some(close) => self.ends_line(&close, "}").map(|()| lines),
            None => Err(open
                .error("this block is never closed")
                .remedy("add the missing `}`")),
        }
    }

    fn ends_line(&mut self, brace: &Word, shape: &str) -> Result<(), Error> {
        match self.words.peek() {
            Some(next) if next.line == brace.end_line => Err(next
                .error(format!("unexpected text after `{shape}`"))
                .remedy("write it on a separate line")),
            _ => Ok(()),
        }
    }
}

impl Line {
    /// Refuses a block.
    ///
    /// # Errors
    ///
    /// The line opens a block.
    pub(crate) fn without_block(&self) -> Result<&Self, Error> {
        match &self.block {
            Some(_) => Err(self
                .name
                .error(format!("{} takes no block", show(&self.name.text)))
                .remedy("remove the braces")),
            None => Ok(self),
        }
    }

    /// Its one argument, called `what` in messages.
    ///
    /// # Errors
    ///
    /// A missing argument, a surplus one, or a run-time placeholder.
    pub(crate) fn one(&self, what: &str) -> Result<&Word, Error> {
        self.at_most(1, what)?;
        self.args.first().ok_or_else(|| self.missing(what))
    }

    /// All its arguments, at least one, called `what` in messages.
    ///
    /// # Errors
    ///
    /// No argument, or a run-time placeholder.
    pub(crate) fn some(&self, what: &str) -> Result<&[Word], Error> {
        self.at_most(usize::MAX, what)?;
        if self.args.is_empty() {
            Err(self.missing(what))
        } else {
            Ok(&self.args)
        }
    }

    /// Refuses more than `count` arguments.
    ///
    /// # Errors
    ///
    /// The first surplus argument, or a run-time placeholder (B-232).
    pub(crate) fn at_most(&self, count: usize, what: &str) -> Result<(), Error> {
        let name = show(&self.name.text);
        if let Some(surplus) = self.args.get(count) {
            let takes = match count {
                0 => format!("{name} takes no argument"),
                _ => format!("{name} takes {what} and nothing more"),
            };
            return Err(surplus
                .error(format!("{takes}, but there is {}", show(&surplus.text)))
                .remedy("remove it, or put the next directive on a separate line"));
        }
        for word in &self.args {
            if word.text.contains("{env.") || word.text.contains("{file.") {
                let problem = format!(
                    "run-time placeholders act only in a key, its algorithm, or what signs in at a server, not in {name}"
                );
                return Err(word
                    .error(problem)
                    .remedy("write {$NAME} instead, in a configuration file"));
            }
            word.refuse_unreplaced()?;
        }
        Ok(())
    }

    /// The error for a missing argument (B-231).
    pub(crate) fn missing(&self, what: &str) -> Error {
        self.name
            .error(format!("{} needs {what}", show(&self.name.text)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expand::{Reader, expand};
    use crate::lexer::tests::text;
    use proptest::prelude::*;

    fn error(source: &str) -> String {
        parse(&text(source)).unwrap_err().to_string()
    }

    /// Braces open at a line's end and close alone, and the first block may have no name (B-281).
    #[test]
    fn blocks() {
        let document = parse(&text("{\n debug\n}\n:80 {\n a b {\n  c\n }\n}\n")).unwrap();
        assert_eq!(document.global.unwrap().1[0].name.text, "debug");
        let site = &document.lines[0];
        let a = &site.block.as_ref().unwrap()[0];
        assert_eq!((a.name.text.as_str(), a.args[0].text.as_str()), ("a", "b"));
        assert_eq!(a.block.as_ref().unwrap()[0].name.text, "c");
    }

    #[test]
    fn misplaced_braces_have_a_place() {
        assert!(error("a {\n b\n").starts_with("Caddyfile:1:3: this block is never closed"));
        assert!(error("a\n}").starts_with("Caddyfile:2:1: this `}` closes no block"));
        assert!(error("a{\n b\n}").starts_with("Caddyfile:1:1: this word ends with a brace"));
        assert!(error("a { b }").starts_with("Caddyfile:1:3: misplaced brace"));
        assert!(error("a {\n} b").starts_with("Caddyfile:2:3: unexpected text after `}`"));
        assert!(error("a\n{\n}").starts_with("Caddyfile:2:1: this block has no name"));
        assert!(error(&"a {\n".repeat(40)).contains("nested deeper"));
    }

    proptest! {
        /// Any text parses and is expanded, or is refused with a message; it never panics.
        #[test]
        fn never_panics(
            source in "(\\PC|[ \n\t{}\"`#\\\\$:<]|\n\\(a\\) \\{\n|import [ab] |\\{args\\[|\\]\\}|\n\\{block\\}\n){0,200}"
        ) {
            let value = source.clone();
            let source = crate::source::Source::new(
                crate::source::SourceKind::File, "f", &source, false);
            let text = Text::expand(&source, &|name| (name.len() < 2).then(|| value.clone()));
            let mut reader = Reader {
                environment: &|_| None,
                unset: &mut Vec::new(),
                notices: &mut Vec::new(),
            read: &mut Vec::new(),
            };
            let nowhere = std::path::Path::new("/nowhere");
            let expanded = parse(&text).and_then(|document| expand(document, &mut reader, nowhere));
            if let Err(error) = expanded {
                prop_assert!(!error.to_string().is_empty());
            }
        }
    }
}
