//! What is kept: by count, bytes and age, exact to the update.

use std::io;
use std::sync::Arc;

use super::format::{Content, Record};
use super::options::HistoryOptions;
use super::segment::{Files, Segment};
use crate::Position;

/// The end of the log.
#[derive(Debug, Clone, Copy)]
pub(super) struct End {
    /// The newest position.
    pub(super) head: Position,
    /// The bytes of all segments.
    pub(super) bytes: u64,
    /// The time of day, in milliseconds since 1970.
    pub(super) now: u64,
}

/// The bounds, and the floor that follows from them.
#[derive(Debug)]
pub(super) struct Retention {
    size: Option<u64>,
    max_bytes: Option<u64>,
    /// In milliseconds.
    max_age: Option<u64>,
    floor: Position,
    /// The oldest kept update, as long as it is that.
    oldest: Option<Oldest>,
}

#[derive(Debug, Clone, Copy)]
struct Oldest {
    position: Position,
    /// Where it begins, in bytes of all segments.
    start: u64,
    time: u64,
}

impl Retention {
    pub(super) fn new(options: &HistoryOptions, floor: Position) -> Self {
        let milliseconds = |age: std::time::Duration| u64::try_from(age.as_millis()).ok();
        Self {
            size: options.size,
            max_bytes: options.max_bytes,
            max_age: options.max_age.and_then(milliseconds),
            floor,
            oldest: None,
        }
    }

    /// Everything up to here is deleted.
    pub(super) fn floor(&self) -> Position {
        self.floor
    }

    /// Whether updates are deleted as time goes by.
    pub(super) fn ages(&self) -> bool {
        self.max_age.is_some()
    }

    /// Raises the floor to what the bounds say of this end of the log.
    pub(super) fn advance(
        &mut self,
        end: End,
        segments: &[Arc<Segment>],
        files: &Files,
    ) -> io::Result<Position> {
        if let Some(size) = self.size {
            self.floor = self.floor.max(end.head.back(size));
        }
        if self.max_bytes.is_some() || self.max_age.is_some() {
            let containing = segments.partition_point(|segment| segment.last() <= self.floor);
            for segment in &segments[containing..] {
                if !self.advance_within(end, segment, files)? {
                    break;
                }
            }
        }
        Ok(self.floor)
    }

    /// Raises the floor within a segment; whether all of it is deleted.
    fn advance_within(
        &mut self,
        end: End,
        segment: &Arc<Segment>,
        files: &Files,
    ) -> io::Result<bool> {
        let (first, last) = (self.floor.next().max(segment.first), segment.last());
        if first > last {
            return Ok(true);
        }
        if self.oldest.is_none_or(|oldest| oldest.position != first) {
            self.oldest = look(first, segment, files)?;
        }
        if self.oldest.is_some_and(|oldest| !self.is_over(end, oldest)) {
            return Ok(false);
        }
        let is_over = |position| -> io::Result<bool> {
            // What is lost needs no keeping.
            let found = look(position, segment, files)?;
            Ok(found.is_none_or(|found| self.is_over(end, found)))
        };
        let (mut low, mut high) = (first.0, last.0);
        if is_over(last)? {
            low = last.0 + 1;
        } else {
            while low < high {
                let middle = low + (high - low) / 2;
                if is_over(Position(middle))? {
                    low = middle + 1;
                } else {
                    high = middle;
                }
            }
        }
        self.floor = Position(low).back(1);
        Ok(low > last.0)
    }

    /// Whether an update is beyond what is kept.
    fn is_over(&self, end: End, update: Oldest) -> bool {
        let too_old = self
            .max_age
            .is_some_and(|age| update.time.saturating_add(age) <= end.now);
        let too_large = self
            .max_bytes
            .is_some_and(|most| end.bytes.saturating_sub(update.start) > most);
        too_old || (too_large && update.position < end.head)
    }
}

fn look(position: Position, segment: &Arc<Segment>, files: &Files) -> io::Result<Option<Oldest>> {
    let Some(at) = segment.offset(position, files)? else {
        return Ok(None);
    };
    let file = segment.file(files)?;
    let record = super::segment::read_record(&*file, at.into(), segment.end())?;
    Ok(
        record.and_then(|bytes| match Record::parse(&bytes)?.content {
            Content::Update(stored) if stored.position == position => Some(Oldest {
                position,
                start: segment.base + u64::from(at),
                time: stored.time,
            }),
            _ => None,
        }),
    )
}
