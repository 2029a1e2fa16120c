//! What an import puts into the lines that it brings: its arguments and its block (B-282).

use super::budget::Budget;
use crate::error::Error;
use crate::lexer::Word;
use crate::shown::show;
use crate::source::Place;
use crate::tree::Line;

/// What follows the name of a snippet or file on an `import` line.
#[derive(Debug)]
pub(super) struct Arguments {
    /// Where the line stands.
    pub(super) place: Place,
    /// The words behind the name.
    pub(super) words: Vec<Word>,
    /// The lines of its block.
    pub(super) block: Vec<Line>,
}

impl Arguments {
    /// Copies `lines`, with the arguments and the block in the place of their placeholders.
    ///
    /// # Errors
    ///
    /// A placeholder that names no argument, or text beyond the bounds.
    pub(super) fn fill(&self, lines: &[Line], budget: &mut Budget) -> Result<Vec<Line>, Error> {
        let mut filled = Vec::new();
        for line in lines {
            if let Some(inserted) = self.inserted(line) {
                for lines in inserted {
                    filled.append(&mut copy(lines, budget)?);
                }
                continue;
            }
            let mut words = Vec::new();
            for word in std::iter::once(&line.name).chain(&line.args) {
                self.fill_word(word, &mut words, budget)?;
            }
            let block = line.block.as_ref();
            let block = block.map(|block| self.fill(block, budget)).transpose()?;
            let mut words = words.into_iter();
            match words.next() {
                Some(name) => filled.push(Line {
                    name,
                    args: words.collect(),
                    block,
                }),
                // A line of arguments, of which there are none, is left out.
                None if block.is_none() => {}
                None => return Err(line.name.error("no argument names this block")),
            }
        }
        Ok(filled)
    }

    /// The parts of the block that stand for a line `{block}` or `{blocks.NAME}`.
    fn inserted(&self, line: &Line) -> Option<Vec<&[Line]>> {
        if line.name.quoted || !line.args.is_empty() || line.block.is_some() {
            return None;
        }
        let placeholder = line.name.text.strip_prefix('{')?.strip_suffix('}')?;
        if placeholder == "block" {
            return Some(vec![&self.block]);
        }
        let name = placeholder.strip_prefix("blocks.")?;
        let named = self.block.iter().filter(|line| line.name.text == name);
        Some(named.filter_map(|line| line.block.as_deref()).collect())
    }

    /// Adds a word with the arguments in the place of their placeholders. An unquoted word that is one
    /// placeholder becomes the words that it names.
    fn fill_word(
        &self,
        word: &Word,
        words: &mut Vec<Word>,
        budget: &mut Budget,
    ) -> Result<(), Error> {
        let whole = next_placeholder(&word.text)
            .filter(|(before, _, after)| !word.quoted && before.is_empty() && after.is_empty());
        if let Some((_, placeholder, _)) = whole {
            for argument in self.select(placeholder, word)? {
                budget.word(argument)?;
                words.push(Word {
                    // The line of the import does not say which of its words are keys.
                    place: argument.place.hidden(),
                    ..argument.clone()
                });
            }
            return Ok(());
        }
        budget.word(word)?;
        let mut text = String::new();
        let mut rest = word.text.as_str();
        while let Some((before, placeholder, after)) = next_placeholder(rest) {
            text.push_str(before);
            for (index, argument) in self.select(placeholder, word)?.iter().enumerate() {
                budget.bytes(word, argument.text.len() + 1)?;
                if index > 0 {
                    text.push(' ');
                }
                text.push_str(&argument.text);
            }
            rest = after;
        }
        text.push_str(rest);
        words.push(Word {
            text,
            ..word.clone()
        });
        Ok(())
    }

    /// The arguments that a placeholder names: `0`, `1:`, `:2`, `1:2` or `:`, the first being 0.
    fn select(&self, placeholder: &str, word: &Word) -> Result<&[Word], Error> {
        let count = self.words.len();
        let bound = |text: &str, default| match text {
            "" => Some(default),
            _ => text.parse::<usize>().ok(),
        };
        let range = match placeholder.split_once(':') {
            Some((start, end)) => bound(start, 0).zip(bound(end, count)),
            None => placeholder
                .parse()
                .ok()
                .map(|index: usize| (index, index.saturating_add(1))),
        };
        let Some((start, end)) = range else {
            let problem = format!("{} names no argument of an import", show(placeholder));
            return Err(word.error(problem).remedy(
                "write for example {args[0]} for the first argument, {args[1:]} for all others",
            ));
        };
        self.words.get(start..end).ok_or_else(|| {
            let has = match count {
                0 => "no argument".to_owned(),
                1 => "one argument".to_owned(),
                _ => format!("{count} arguments"),
            };
            let problem = format!(
                "{} is not an argument: the import at {} has {has}",
                show(placeholder),
                self.place
            );
            word.error(problem)
                .remedy("write it there, behind the name, or remove the placeholder; the first argument is 0")
        })
    }
}

/// The first `{args[…]}` or `{args.…}` of a text: what stands before it, in it, and behind it.
fn next_placeholder(text: &str) -> Option<(&str, &str, &str)> {
    let mut from = 0;
    loop {
        let open = from + text.get(from..)?.find("{args")?;
        let inner = text.get(open + "{args".len()..)?;
        let end = match inner.chars().next() {
            Some('[') => "]}",
            Some('.') => "}",
            _ => "",
        };
        if !end.is_empty() {
            let (placeholder, after) = inner.get(1..)?.split_once(end)?;
            return Some((text.get(..open)?, placeholder, after));
        }
        from = open + 1;
    }
}

/// A copy of lines as they are.
fn copy(lines: &[Line], budget: &mut Budget) -> Result<Vec<Line>, Error> {
    let mut copied = Vec::new();
    for line in lines {
        for word in std::iter::once(&line.name).chain(&line.args) {
            budget.word(word)?;
        }
        let block = line.block.as_ref();
        copied.push(Line {
            name: line.name.clone(),
            args: line.args.clone(),
            block: block.map(|block| copy(block, budget)).transpose()?,
        });
    }
    Ok(copied)
}
