//! Reads a segment that may be damaged.

use std::io;

use super::disk::File;
use super::format::{Content, GroupHeader, SEGMENT_HEADER, Stored};
use super::scan::{Entry, Scanner};
use crate::Position;

/// What a walk finds in a segment.
pub(super) enum Met<'a> {
    /// A group begins.
    Group(GroupHeader),
    /// An update, and its offset.
    Update(Stored<'a>, u64),
    /// The first and the last position of events, and the offset of their record.
    Events(Position, Position, u64),
    /// Nothing is readable between these two offsets.
    Damage(u64, u64),
}

/// Reports everything in a segment, in order. After damage the walk continues with the next group.
pub(super) fn walk(
    file: &dyn File,
    number: u64,
    end: u64,
    report: &mut dyn FnMut(Met<'_>),
) -> io::Result<()> {
    let mut scanner = Scanner::new(file, SEGMENT_HEADER as u64, end);
    let mut last = Position::ORIGIN;
    loop {
        let damaged_at = match scanner.next()? {
            None => return Ok(()),
            Some((_, Entry::Group(header))) if header.number == number => {
                report(Met::Group(header));
                continue;
            }
            Some((at, Entry::Record(record))) => match record.content {
                Content::Update(stored) if stored.position > last => {
                    last = stored.position;
                    report(Met::Update(stored, at));
                    continue;
                }
                Content::Events(first, until) if first > last => {
                    last = until;
                    report(Met::Events(first, until, at));
                    continue;
                }
                Content::Snapshot | Content::Void => continue,
                Content::Update(_) | Content::Events(..) => at,
            },
            Some((at, Entry::Group(_) | Entry::Unreadable)) => at,
        };
        let next = scanner.find_group(damaged_at + 1, |header| header.number == number)?;
        let until = next.map_or(end, |header| header.at);
        report(Met::Damage(damaged_at, until));
        scanner.go_to(until);
    }
}
