//! Where a piece of configuration text came from, so that an error can point at it.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use super::error::without_user;

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
    fn line_bounds(&self, offset: usize) -> (usize, usize) {
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

    /// Whether the line that holds byte `offset` configures a key.
    fn line_holds_key(&self, offset: usize) -> bool {
        let (start, end) = self.line_bounds(offset);
        self.text
            .get(start..end)
            .is_some_and(|line| line.contains("jwt"))
    }
}

/// A span of a [`Source`], or all of it. `Display` is the short form for messages; neither it nor
/// `Debug` shows any text of the source.
#[derive(Clone)]
pub struct Place {
    source: Arc<Source>,
    span: Option<(usize, usize)>,
}

impl Place {
    /// The source as a whole, e.g. a variable that holds one value.
    pub fn whole(source: Arc<Source>) -> Self {
        Self { source, span: None }
    }

    /// A variable as a whole, for messages about one that is missing or holds a key.
    pub fn variable(name: &str) -> Self {
        Self::whole(Source::new(SourceKind::Variable, name, "", true))
    }

    /// The file, if this is one as a whole that holds a key.
    pub fn key_file(&self) -> Option<&Path> {
        let is_key = self.span.is_none() && self.source.sensitive;
        let path = Path::new(&self.source.name);
        (is_key && matches!(self.source.kind, SourceKind::File)).then_some(path)
    }

    /// Whether both begin on one line of one source.
    pub fn is_on_line_of(&self, other: &Self) -> bool {
        let line = |place: &Self| place.position().map(|(line, _)| line);
        self.source.name == other.source.name && line(self).is_some() && line(self) == line(other)
    }

    /// Line and column, both from 1, columns in characters.
    fn position(&self) -> Option<(usize, usize)> {
        let (start, _) = self.span?;
        let (line_start, _) = self.source.line_bounds(start);
        let line = self.source.text.get(..line_start)?.matches('\n').count() + 1;
        let column = self.source.text.get(line_start..start)?.chars().count() + 1;
        Some((line, column))
    }

    /// The source's line up to the end of the span, and a caret line under it. What follows on the
    /// line stays out, because it may be the key of a directive whose name is misspelt. `None` when
    /// the line may hold a key.
    pub fn excerpt(&self) -> Option<String> {
        let (start, len) = self.span?;
        if self.source.sensitive || self.source.line_holds_key(start) {
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

/// A `{$NAME}` in whose place nothing stands.
#[derive(Debug)]
pub struct Unset {
    /// Where it stands.
    pub place: Place,
    /// Whether the directive means something else without it. A variable that stands alone, or for one
    /// of several words, may well be empty.
    pub is_missed: bool,
    name: String,
    /// Whether the variable is set, but to nothing, so that a default does not count either.
    is_empty: bool,
}

impl Unset {
    /// What is wrong, in a clause.
    pub fn problem(&self) -> String {
        let name = &self.name;
        if self.is_empty {
            format!("the variable {name} is set but empty, so nothing stands in its place")
        } else {
            format!("the variable {name} is not set, so nothing stands in its place")
        }
    }
}

/// Configuration text after the substitution of `{$NAME}`, which knows where each byte came from.
pub struct Text {
    text: String,
    pieces: Vec<Piece>,
    unset: Vec<Unset>,
}

struct Piece {
    start: usize,
    source: Arc<Source>,
    offset: usize,
}

impl Text {
    /// The text of `source` with `{$NAME}` and `{$NAME:default}` replaced, once (B-120, B-121): a
    /// variable that is set, even to nothing, gives its value; the default is for an unset one.
    pub fn expand(source: &Arc<Source>, environment: &dyn Fn(&str) -> Option<String>) -> Self {
        let mut this = Self {
            text: String::new(),
            pieces: Vec::new(),
            unset: Vec::new(),
        };
        let mut rest = source.text();
        let mut offset = 0;
        while let Some((before, name, default, after)) = next_substitution(rest) {
            this.push(source, offset, before);
            let at = offset + before.len();
            let value = environment(name);
            if value.as_ref().map_or(default.is_none(), String::is_empty) {
                let len = rest.len() - before.len() - after.len();
                this.unset
                    .extend(Self::unset_at(source, (at, len), name, value.is_some()));
            }
            match (value, default) {
                (Some(value), _) => {
                    let sensitive = source.line_holds_key(at) || names_secret(name);
                    let variable = Source::new(SourceKind::Variable, name, &value, sensitive);
                    this.push(&variable, 0, &value);
                }
                (None, Some(default)) => this.push(source, at + "{$:".len() + name.len(), default),
                (None, None) => {}
            }
            offset += rest.len() - after.len();
            rest = after;
        }
        this.push(source, offset, rest);
        this
    }

    /// The text of `source` as it stands, for a variable's own text: substitution happens once.
    pub fn literal(source: &Arc<Source>) -> Self {
        let mut this = Self {
            text: String::new(),
            pieces: Vec::new(),
            unset: Vec::new(),
        };
        this.push(source, 0, source.text());
        this
    }

    /// The variable that stands at a span, unless in a comment.
    fn unset_at(
        source: &Arc<Source>,
        span: (usize, usize),
        name: &str,
        is_empty: bool,
    ) -> Option<Unset> {
        let (start, end) = source.line_bounds(span.0);
        let before = source.text.get(start..span.0)?;
        let after = source.text.get(span.0 + span.1..end.max(span.0 + span.1))?;
        let is_comment = before.trim_start().starts_with('#') || before.contains(" #");
        (!is_comment).then(|| Unset {
            place: Place {
                source: Arc::clone(source),
                span: Some(span),
            },
            is_missed: is_missed(before, after),
            name: name.to_owned(),
            is_empty,
        })
    }

    /// What nothing stands in the place of.
    pub fn unset(&mut self) -> Vec<Unset> {
        std::mem::take(&mut self.unset)
    }

    fn push(&mut self, source: &Arc<Source>, offset: usize, text: &str) {
        self.pieces.push(Piece {
            start: self.text.len(),
            source: Arc::clone(source),
            offset,
        });
        self.text.push_str(text);
    }

    /// The text to tokenise.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Where bytes `start..end` of the text came from; the start decides when they came from
    /// several sources.
    pub fn place(&self, start: usize, end: usize) -> Option<Place> {
        let index = self
            .pieces
            .partition_point(|piece| piece.start <= start)
            .checked_sub(1)?;
        let piece = self.pieces.get(index)?;
        let piece_end = self
            .pieces
            .get(index + 1)
            .map_or(self.text.len(), |next| next.start);
        let len = end.min(piece_end).saturating_sub(start);
        let offset = piece.offset + (start - piece.start);
        Some(Place {
            source: Arc::clone(&piece.source),
            span: Some((offset, len)),
        })
    }
}

/// Whether a variable that gives nothing between these parts of a line is part of a word, or the only word
/// behind a directive's name.
fn is_missed(before: &str, after: &str) -> bool {
    let within = |quote: char| Some((before.strip_suffix(quote)?, after.strip_prefix(quote)?));
    let (before, after) = within('"').or(within('`')).unwrap_or((before, after));
    let separates = |c: char| c.is_whitespace() || c == ',';
    let is_part = !before.is_empty() && !before.ends_with(separates)
        || !after.is_empty() && !after.starts_with(separates);
    is_part || before.split_whitespace().count() == 1 && after.trim().is_empty()
}

/// The first `{$…}` of `text`: what stands before it, its name, its default, what stands after it.
fn next_substitution(text: &str) -> Option<(&str, &str, Option<&str>, &str)> {
    let mut from = 0;
    loop {
        let open = from + text.get(from..)?.find("{$")?;
        let inner = text.get(open + 2..)?;
        let close = inner.find('}')?;
        let body = inner.get(..close)?;
        let (name, default) = match body.split_once(':') {
            Some((name, default)) => (name, Some(default)),
            None => (body, None),
        };
        if !name.is_empty() {
            return Some((text.get(..open)?, name, default, inner.get(close + 1..)?));
        }
        from = open + 2;
    }
}

/// Whether a variable's name says that its value is a secret.
fn names_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    ["KEY", "SECRET", "PASSWORD", "TOKEN", "JWT"]
        .iter()
        .any(|part| name.contains(part))
}

#[cfg(test)]
mod tests;
