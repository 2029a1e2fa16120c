//! Configuration text after the substitution of variables.

use std::sync::Arc;

use crate::source::{Environment, Place, Source, SourceKind};

/// A `{$NAME}` that was replaced by nothing.
#[derive(Debug)]
pub(crate) struct Unset {
    /// Where it stands.
    pub(crate) place: Place,
    /// Whether the directive means something else without it. A variable that stands alone, or for one
    /// of several words, may well be empty.
    pub(crate) is_missed: bool,
    name: String,
    /// Whether the variable is set to empty text; a default does not apply then.
    is_empty: bool,
}

impl Unset {
    /// What is wrong, in a clause.
    pub(crate) fn problem(&self) -> String {
        let name = &self.name;
        if self.is_empty {
            format!("the variable {name} is set but empty, so it is replaced by empty text")
        } else {
            format!("the variable {name} is not set, so it is replaced by empty text")
        }
    }
}

/// Configuration text after the substitution of `{$NAME}`, which knows where each byte came from.
pub(crate) struct Text {
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
    pub(crate) fn expand(source: &Arc<Source>, environment: Environment<'_>) -> Self {
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
    pub(crate) fn literal(source: &Arc<Source>) -> Self {
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
        let before = source.text().get(start..span.0)?;
        let after = source
            .text()
            .get(span.0 + span.1..end.max(span.0 + span.1))?;
        let is_comment = before.trim_start().starts_with('#') || before.contains(" #");
        (!is_comment).then(|| Unset {
            place: Place::span(source, span.0, span.1),
            is_missed: is_missed(before, after),
            name: name.to_owned(),
            is_empty,
        })
    }

    /// Takes the variables that were replaced by empty text.
    pub(crate) fn unset(&mut self) -> Vec<Unset> {
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
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// Where bytes `start..end` of the text came from; the start decides when they came from
    /// several sources.
    pub(crate) fn place(&self, start: usize, end: usize) -> Option<Place> {
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
        Some(Place::span(&piece.source, offset, len))
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
pub(crate) fn next_substitution(text: &str) -> Option<(&str, &str, Option<&str>, &str)> {
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
pub(crate) fn names_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    ["KEY", "SECRET", "PASSWORD", "TOKEN", "JWT"]
        .iter()
        .any(|part| name.contains(part))
}

#[cfg(test)]
mod tests;
