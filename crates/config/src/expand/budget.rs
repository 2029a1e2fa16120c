//! What imports may bring at most: without bounds a short file could take all memory.

use crate::error::Error;
use crate::lexer::Word;

/// The most lines of a configuration after its imports.
const MAX_LINES: usize = 20_000;
/// The most files that a configuration imports.
pub(super) const MAX_FILES: usize = 256;
/// The most bytes that imports bring in all.
const MAX_BYTES: usize = 16 << 20;
/// What a word costs beside its text.
const WORD: usize = 16;

/// What is left of each bound.
#[derive(Debug)]
pub(super) struct Budget {
    lines: usize,
    files: usize,
    bytes: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            lines: MAX_LINES,
            files: MAX_FILES,
            bytes: MAX_BYTES,
        }
    }
}

impl Budget {
    /// Counts one line of the result, which begins with `name`.
    ///
    /// # Errors
    ///
    /// There are too many.
    pub(super) fn line(&mut self, name: &Word) -> Result<(), Error> {
        take(&mut self.lines, 1).ok_or_else(|| too_much(name, MAX_LINES, "lines"))
    }

    /// Counts one file of `bytes` bytes that the word `path` imports.
    ///
    /// # Errors
    ///
    /// There are too many files or bytes.
    pub(super) fn file(&mut self, path: &Word, bytes: usize) -> Result<(), Error> {
        take(&mut self.files, 1).ok_or_else(|| too_much(path, MAX_FILES, "imported files"))?;
        self.bytes(path, bytes)
    }

    /// Counts one copy of a word.
    ///
    /// # Errors
    ///
    /// There are too many bytes.
    pub(super) fn word(&mut self, word: &Word) -> Result<(), Error> {
        self.bytes(word, word.text.len() + WORD)
    }

    /// Counts text that is copied at `word`.
    ///
    /// # Errors
    ///
    /// There are too many bytes.
    pub(super) fn bytes(&mut self, word: &Word, bytes: usize) -> Result<(), Error> {
        take(&mut self.bytes, bytes)
            .ok_or_else(|| too_much(word, MAX_BYTES >> 20, "MiB of imported text"))
    }
}

fn take(left: &mut usize, count: usize) -> Option<()> {
    *left = left.checked_sub(count)?;
    Some(())
}

fn too_much(word: &Word, most: usize, what: &str) -> Error {
    let problem = format!("the configuration has more than {most} {what}");
    let error = word.error(problem).hide_line();
    error.remedy("import less; perhaps a snippet imports another one many times")
}
