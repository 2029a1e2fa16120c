//! The files that imports name (B-282).

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::budget::MAX_FILES;
use crate::error::Error;
use crate::folders;
use crate::glob::matches;
use crate::lexer::Word;
use crate::settings::Notice;
use crate::source::{Environment, Source, SourceKind};
use crate::text::{Text, Unset};
use crate::tree::{Document, parse};

/// The most bytes of an imported file.
const MAX_BYTES: u64 = 1 << 20;

/// Reads imported files, and keeps what there is to tell about them.
pub(crate) struct Reader<'a> {
    /// Where the variables in their text come from.
    pub(crate) environment: Environment<'a>,
    /// The variables that a file names and that give nothing.
    pub(crate) unset: &'a mut Vec<Unset>,
    /// What to tell the operator.
    pub(crate) notices: &'a mut Vec<Notice>,
    /// Gets the files that are imported.
    pub(crate) read: &'a mut Vec<PathBuf>,
}

/// Why an imported file was not read.
pub(super) enum Unread {
    /// There is none at this path.
    Missing(PathBuf),
    /// It cannot be read, or is wrong.
    Wrong(Error),
}

impl Reader<'_> {
    /// The files that a path names, whose last part may hold `*` and `?`, in the order of their names.
    ///
    /// # Errors
    ///
    /// A mark in another part, a folder that cannot be listed, or more files than may be imported.
    pub(super) fn find(&mut self, word: &Word, folder: &Path) -> Result<Vec<PathBuf>, Error> {
        let path = folder.join(&word.text);
        let is_glob = |text: &str| text.contains(['*', '?']);
        let (parent, pattern) = match word.text.rsplit_once('/') {
            Some((parent, _)) if is_glob(parent) => {
                let error =
                    word.error("only the last part of an imported path may hold `*` and `?`");
                return Err(error.remedy("write an import for each folder"));
            }
            Some((parent, last)) => (folder.join(format!("{parent}/")), last),
            None => (folder.to_owned(), word.text.as_str()),
        };
        if !is_glob(pattern) {
            return Ok(vec![path]);
        }
        let cannot = |error: std::io::Error| {
            word.error(format!("the folder {} cannot be listed", shown(&parent)))
                .caused_by(error)
        };
        let listed = if parent.as_os_str().is_empty() {
            Path::new(".").read_dir()
        } else {
            parent.read_dir()
        };
        let listed = match listed {
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            listed => Some(listed.map_err(cannot)?),
        };
        let mut found = Vec::new();
        for entry in listed.into_iter().flatten() {
            let name = entry.map_err(cannot)?.file_name();
            let shown = name.to_string_lossy();
            // What begins with a dot is hidden: a half-written file of an editor, for example.
            let is_hidden = shown.starts_with('.') && !pattern.starts_with('.');
            let path = parent.join(&name);
            if !is_hidden && matches(pattern, &shown) && path.is_file() {
                found.push(path);
            }
            if found.len() > MAX_FILES {
                return Err(word.error(format!("this path matches more than {MAX_FILES} files")));
            }
        }
        found.sort_unstable();
        if found.is_empty() {
            self.notices.push(Notice::info(format!(
                "{}: no file matches {}",
                word.place,
                shown(&path)
            )));
        }
        Ok(found)
    }

    /// Reads a file: its lines and the number of its bytes.
    ///
    /// # Errors
    ///
    /// It cannot be read, or its text is wrong.
    pub(super) fn read(&mut self, word: &Word, path: &Path) -> Result<(Document, usize), Unread> {
        self.read.push(path.to_owned());
        let text = folders::read(path, MAX_BYTES).and_then(folders::text);
        let text = text.map_err(|error| match error.kind() {
            ErrorKind::NotFound => Unread::Missing(absolute(path)),
            _ => Unread::Wrong(
                word.error(format!("the file {} cannot be imported", shown(path)))
                    .caused_by(error)
                    .remedy("check the path and its permissions"),
            ),
        })?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        let name = path.display().to_string();
        let source = Source::new(SourceKind::File, &name, text, false);
        let mut replaced = Text::expand(&source, self.environment);
        self.unset.append(&mut replaced.unset());
        let document = parse(&replaced).map_err(Unread::Wrong)?;
        Ok((document, text.len()))
    }
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// A path as messages show it: the whole of it, without control characters.
pub(super) fn shown(path: &Path) -> String {
    let path = absolute(path).to_string_lossy().into_owned();
    format!("`{}`", path.replace(char::is_control, " "))
}
