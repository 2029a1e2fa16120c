//! The search for the floor: from the oldest update on, in strides that double, so that a new bound
//! costs a few looks however long the log is.

use std::io;
use std::sync::Arc;

use super::scout::{Answer, Question};
use super::{End, Limits, Stored, Verdict};
use crate::Position;
use crate::history::format::{Content, Record};
use crate::history::segment::{Files, Segment, read_record};

/// One search.
pub(super) struct Search<'a> {
    limits: Limits,
    end: End,
    floor: Position,
    segments: Arc<[Arc<Segment>]>,
    files: &'a Files,
}

impl<'a> Search<'a> {
    pub(super) fn new(question: &'a Question) -> Self {
        Self {
            limits: question.limits,
            end: question.end,
            floor: question.floor,
            segments: question.shared.segments(),
            files: &question.shared.files,
        }
    }

    /// Finds the last update that is over.
    pub(super) fn run(mut self) -> io::Result<Answer> {
        // What is unknown may have hidden what is over before it; the next sweep begins behind.
        while let Some(over) = self.sweep()? {
            self.floor = over;
        }
        Ok(Answer {
            floor: self.floor,
            oldest: self.look(self.floor.next())?,
        })
    }

    /// The last update above the floor that was found to be over, if one is.
    fn sweep(&self) -> io::Result<Option<Position>> {
        // Up to `low` nothing is known to be kept, from `high` on everything is or does not exist.
        let (mut low, mut high) = (self.floor.0, self.end.head.0 + 1);
        let mut over = None;
        let mut stride = 1;
        while low + 1 < high {
            let middle = low + (high - low) / 2;
            let at = if high > self.end.head.0 {
                (low + stride).min(self.end.head.0)
            } else {
                middle
            };
            stride *= 2;
            match self.verdict(Position(at))? {
                Verdict::Kept => high = at,
                Verdict::Over => (low, over) = (at, Some(Position(at))),
                Verdict::Unknown => low = at,
            }
        }
        Ok(over)
    }

    fn verdict(&self, position: Position) -> io::Result<Verdict> {
        let found = self.look(position)?;
        Ok(match found {
            Some(found) => self.limits.judge(self.end, found),
            None => Verdict::Unknown,
        })
    }

    /// Reads an update; `None` if it is lost.
    fn look(&self, position: Position) -> io::Result<Option<Stored>> {
        match self.read(position) {
            // It was deleted while this looked for it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            read => read,
        }
    }

    fn read(&self, position: Position) -> io::Result<Option<Stored>> {
        let containing = self
            .segments
            .partition_point(|segment| segment.last() < position);
        let Some(segment) = self.segments.get(containing) else {
            return Ok(None);
        };
        let Some(at) = segment.offset(position, self.files)? else {
            return Ok(None);
        };
        let file = segment.file(self.files)?;
        let record = read_record(&*file, at.into(), segment.end())?;
        Ok(
            record.and_then(|bytes| match Record::parse(&bytes)?.content {
                Content::Update(stored) if stored.position == position => Some(Stored {
                    position,
                    start: segment.base + u64::from(at),
                    time: stored.time,
                }),
                _ => None,
            }),
        )
    }
}
