//! The names of a history's files.

use crate::Position;

const SEGMENT: &str = ".segment";
const INDEX: &str = ".index";
const CLOSED: &str = ".closed";
const TIER: &str = ".tier";
/// The end of the names of files that are still being written.
pub(super) const NEW: &str = ".new";

/// What a file is, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Name {
    Segment(u64, Position),
    Index(u64, Position),
    Closed(u64, Position),
    /// The numbers of its first and last segment.
    Tier(u64, u64),
}

/// The name of a segment, by its number and first position.
pub(super) fn segment(number: u64, first: Position) -> String {
    format!("{number:010}-{:020}{SEGMENT}", first.0)
}

/// The name of the index of a segment that has a successor.
pub(super) fn index(number: u64, first: Position) -> String {
    format!("{number:010}-{:020}{INDEX}", first.0)
}

/// The name of the index of a segment that was the newest when the log was closed.
pub(super) fn closed(number: u64, first: Position) -> String {
    format!("{number:010}-{:020}{CLOSED}", first.0)
}

/// The name of the tier of these segments, by the numbers of the first and the last one.
pub(super) fn tier(first: u64, last: u64) -> String {
    format!("{first:010}-{last:010}{TIER}")
}

/// Parses a name; `None` if it is not that of a history's file.
pub(super) fn parse(name: &str) -> Option<Name> {
    let (stem, kind): (_, fn(u64, Position) -> Name) =
        if let Some(stem) = name.strip_suffix(SEGMENT) {
            (stem, Name::Segment)
        } else if let Some(stem) = name.strip_suffix(INDEX) {
            (stem, Name::Index)
        } else if let Some(stem) = name.strip_suffix(TIER) {
            (stem, |first, last| Name::Tier(first, last.0))
        } else {
            (name.strip_suffix(CLOSED)?, Name::Closed)
        };
    let (number, second) = stem.split_once('-')?;
    let is_tier = name.ends_with(TIER);
    let second = digits(second, if is_tier { 10 } else { 20 })?;
    Some(kind(digits(number, 10)?, Position(second)))
}

/// Parses a number with leading zeros up to `least` digits. Only one spelling is accepted; else two files could
/// be the same segment.
fn digits(text: &str, least: usize) -> Option<u64> {
    let is_spelled = match text.len() {
        length if length > least => !text.starts_with('0'),
        length => length == least,
    };
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    (is_spelled && is_number).then(|| text.parse().ok())?
}
