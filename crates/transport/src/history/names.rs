//! The names of the files.

use crate::Position;

const SEGMENT: &str = ".segment";
const INDEX: &str = ".index";
const CLOSED: &str = ".closed";
/// Files that were being written.
pub(super) const NEW: &str = ".new";

/// What a file's name says it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Name {
    Segment(u64, Position),
    Index(u64, Position),
    Closed(u64, Position),
}

/// A segment, by its number and first position.
pub(super) fn segment(number: u64, first: Position) -> String {
    format!("{number:010}-{:020}{SEGMENT}", first.0)
}

/// The index of a segment that has a successor.
pub(super) fn index(number: u64, first: Position) -> String {
    format!("{number:010}-{:020}{INDEX}", first.0)
}

/// The index of a segment that was the newest when the log was closed.
pub(super) fn closed(number: u64, first: Position) -> String {
    format!("{number:010}-{:020}{CLOSED}", first.0)
}

/// Reads a name; `None` for another file's.
pub(super) fn parse(name: &str) -> Option<Name> {
    let (stem, kind): (_, fn(u64, Position) -> Name) =
        if let Some(stem) = name.strip_suffix(SEGMENT) {
            (stem, Name::Segment)
        } else if let Some(stem) = name.strip_suffix(INDEX) {
            (stem, Name::Index)
        } else {
            (name.strip_suffix(CLOSED)?, Name::Closed)
        };
    let (number, first) = stem.split_once('-')?;
    let (number, first) = (number.parse().ok()?, Position(first.parse().ok()?));
    let parsed = kind(number, first);
    // One spelling only, or two files could be one.
    let spelled = match parsed {
        Name::Segment(..) => segment(number, first),
        Name::Index(..) => index(number, first),
        Name::Closed(..) => closed(number, first),
    };
    (spelled == name).then_some(parsed)
}
