//! Where a piece of configuration text came from, so that an error can point at it.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use crate::shown::without_user;

/// Reads an environment variable; `None` when it is unset.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Kind of a [`Source`]; it decides how a [`Place`] is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceKind {
    /// A configuration file: `path:line:column`.
    File,
    /// An environment variable: `NAME, line n, column n`.
    Variable,
    /// A command line flag: `--name`.
    Flag,
}

/// One text as its author wrote it.
pub struct Source {
    kind: SourceKind,
    name: String,
    text: String,
    sensitive: bool,
}

impl Source {
    /// A text called `name` (path, variable or flag). The text of a `sensitive` source is never
    /// shown.
    pub fn new(kind: SourceKind, name: &str, text: &str, sensitive: bool) -> Arc<Self> {
        Arc::new(Self {
            kind,
            name: name.to_owned(),
            text: text.to_owned(),
            sensitive,
        })
    }

    /// The whole text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Bytes `start..end` of the line that holds byte `offset`.
    pub(crate) fn line_bounds(&self, offset: usize) -> (usize, usize) {
        let offset = offset.min(self.text.len());
        let start = self
            .text
            .get(..offset)
            .and_then(|t| t.rfind('\n'))
            .map_or(0, |i| i + 1);
        let rest = self.text.get(start..).unwrap_or_default();
        let end = start + rest.find('\n').unwrap_or(rest.len());
        (start, end)
    }

    /// Whether the line that holds byte `offset` configures a key or a password.
    pub(crate) fn line_holds_key(&self, offset: usize) -> bool {
        let (start, end) = self.line_bounds(offset);
        self.text
            .get(start..end)
            .is_some_and(|line| line.contains("jwt") || line.contains("passw"))
    }
}

impl fmt::Debug for Source {
    /// Without the text, which may hold keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source")
            .field("kind", &self.kind)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// A span of a [`Source`], or all of it. `Display` is the short form for messages; neither it nor
/// `Debug` shows any text of the source.
#[derive(Clone)]
pub struct Place {
    source: Arc<Source>,
    span: Option<(usize, usize)>,
    /// Whether the line is never shown.
    is_hidden: bool,
}

impl Place {
    /// The source as a whole, for example a variable that holds one value.
    pub fn whole(source: Arc<Source>) -> Self {
        Self {
            source,
            span: None,
            is_hidden: false,
        }
    }

    /// `len` bytes of a source from byte `start` on.
    pub(crate) fn span(source: &Arc<Source>, start: usize, len: usize) -> Self {
        Self {
            source: Arc::clone(source),
            span: Some((start, len)),
            is_hidden: false,
        }
    }

    /// The same place, whose line is never shown, because a key may stand on it that nothing there names.
    #[must_use]
    pub(crate) fn hidden(&self) -> Self {
        Self {
            is_hidden: true,
            ..self.clone()
        }
    }

    /// Whether both are of one source.
    pub(crate) fn is_of_source_of(&self, other: &Self) -> bool {
        self.source.kind == other.source.kind && self.source.name == other.source.name
    }

    /// The byte of the source at which it begins.
    pub(crate) fn start(&self) -> usize {
        self.span.map_or(0, |(start, _)| start)
    }

    /// The bytes of the source between which it lies; none for the source as a whole.
    pub(crate) fn bytes(&self) -> (usize, usize) {
        self.span
            .map_or((0, 0), |(start, len)| (start, start + len))
    }

    /// A variable as a whole, for messages about one that is missing or that holds a key.
    pub fn variable(name: &str) -> Self {
        Self::whole(Source::new(SourceKind::Variable, name, "", true))
    }

    /// The path, if the place is a whole file that holds a key.
    pub fn key_file(&self) -> Option<&Path> {
        let is_key = self.span.is_none() && self.source.sensitive;
        let path = Path::new(&self.source.name);
        (is_key && matches!(self.source.kind, SourceKind::File)).then_some(path)
    }

    /// Whether both places begin on the same line of the same source.
    pub fn is_on_line_of(&self, other: &Self) -> bool {
        let line = |place: &Self| place.position().map(|(line, _)| line);
        self.source.name == other.source.name && line(self).is_some() && line(self) == line(other)
    }

    /// Line and column, both counted from 1; columns are characters.
    fn position(&self) -> Option<(usize, usize)> {
        let (start, _) = self.span?;
        let (line_start, _) = self.source.line_bounds(start);
        let line = self.source.text.get(..line_start)?.matches('\n').count() + 1;
        let column = self.source.text.get(line_start..start)?.chars().count() + 1;
        Some((line, column))
    }

    /// The source's line up to the end of the span, and under it a line of carets. The rest of the line
    /// is left out, because it may be the key of a directive whose name is misspelt. `None` if the line
    /// itself may hold a key.
    pub fn excerpt(&self) -> Option<String> {
        let (start, len) = self.span?;
        if self.is_hidden || self.source.sensitive || self.source.line_holds_key(start) {
            return None;
        }
        let (line_start, line_end) = self.source.line_bounds(start);
        let end = (start + len.max(1)).min(line_end).max(start);
        let before = self.source.text.get(line_start..start)?.trim_start();
        let marked = self.source.text.get(start..end)?.trim_end();
        let rest = self.source.text.get(end..line_end)?.trim();
        let before: Vec<_> = before.split(' ').map(without_user).collect();
        let (before, marked) = (
            printable(&before.join(" ")),
            printable(&without_user(marked)),
        );
        let caret = "^".repeat(marked.chars().count().max(1));
        let more = if rest.is_empty() { "" } else { " …" };
        let pad = " ".repeat(before.chars().count());
        Some(format!("    {before}{marked}{more}\n    {pad}{caret}"))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.source.name;
        match (self.source.kind, self.position()) {
            (SourceKind::File, Some((line, column))) => write!(f, "{name}:{line}:{column}"),
            (SourceKind::Variable, Some((line, column))) => {
                write!(f, "{name}, line {line}, column {column}")
            }
            (SourceKind::Flag, _) | (_, None) => f.write_str(name),
        }
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Place({self})")
    }
}

/// The text with every control character (a tab too) shown as one space, cut after 160 characters.
fn printable(text: &str) -> String {
    text.chars()
        .take(160)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}
