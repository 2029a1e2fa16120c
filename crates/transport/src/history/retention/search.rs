//! The search for the floor. It begins at the oldest update, and its strides double, so that it reads only
//! a few updates however long the log is.

use std::io;
use std::sync::Arc;

use super::limits::{End, Limits, Stored, Verdict};
use crate::Position;
use crate::history::format::{Content, Record};
use crate::history::segment::{Files, Segment, read_record};
use crate::history::shared::Shared;

/// A question: where is the floor, at this end of the log?
pub(super) struct Question {
    pub(super) limits: Limits,
    pub(super) end: End,
    /// The floor until now.
    pub(super) floor: Position,
    pub(super) shared: Arc<Shared>,
}

/// The answer: the floor, and the oldest update above it unless that is lost or not readable.
pub(super) struct Answer {
    pub(super) floor: Position,
    pub(super) oldest: Option<Stored>,
    /// Why some updates could not be read.
    pub(super) error: Option<io::Error>,
}

/// One search.
pub(super) struct Search<'a> {
    limits: Limits,
    end: End,
    floor: Position,
    segments: Arc<[Arc<Segment>]>,
    files: &'a Files,
    /// Why an update could not be read.
    error: Option<io::Error>,
}

impl<'a> Search<'a> {
    pub(super) fn new(question: &'a Question) -> Self {
        Self {
            limits: question.limits,
            end: question.end,
            floor: question.floor,
            segments: question.shared.segments(),
            files: &question.shared.files,
            error: None,
        }
    }

    /// Finds the last update that must be deleted. One that cannot be read now is as old as the next one,
    /// like one that is lost, and is read again the next time.
    pub(super) fn run(mut self) -> Answer {
        // An unknown update may have hidden expired ones after it, so another sweep begins there.
        while let Some(over) = self.sweep() {
            self.floor = over;
        }
        let oldest = self
            .look(self.floor.next())
            .filter(|_| self.floor < self.end.head);
        Answer {
            floor: self.floor,
            oldest,
            error: self.error,
        }
    }

    /// The last expired update above the floor that this sweep found.
    fn sweep(&mut self) -> Option<Position> {
        // Up to `low` no update is known to be kept; from `high` on every update is kept or does not
        // exist.
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
            let verdict = match self.look(Position(at)) {
                Some(found) => self.limits.judge(self.end, found),
                None => Verdict::Unknown,
            };
            match verdict {
                Verdict::Kept => high = at,
                Verdict::Over(position) => (low, over) = (position.0, Some(position)),
                Verdict::Unknown => low = at,
            }
        }
        over
    }

    /// Reads the update at a position, or the next one if an event has the position; `None` if it is lost
    /// or cannot be read. An error is kept for the answer.
    fn look(&mut self, position: Position) -> Option<Stored> {
        match self.read(position) {
            Ok(found) => found,
            // The segment was deleted meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                self.error = Some(error);
                None
            }
        }
    }

    fn read(&self, position: Position) -> io::Result<Option<Stored>> {
        let containing = self
            .segments
            .partition_point(|segment| segment.last() < position);
        let Some(segment) = self.segments.get(containing) else {
            return Ok(None);
        };
        let Some((position, at)) = segment.place(position, self.files)? else {
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
