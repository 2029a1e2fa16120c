//! What is kept: by count, bytes and age, exact to the update.

mod limits;
mod scout;
mod search;

use std::io;
use std::sync::Arc;
use std::time::Duration;

pub(super) use self::limits::End;
use self::limits::{Limits, Stored, Verdict};
use self::scout::Scout;
use self::search::{Answer, Question};
use super::options::HistoryOptions;
use super::shared::Shared;
use crate::Position;
use crate::events::EventRanges;

/// How long the committer waits for a look at the disk; the answer counts later then. What is in
/// the system's cache is read a thousand times as fast.
const PATIENCE: Duration = Duration::from_millis(100);

/// The floor that follows from the bounds. The committer owns it, and never waits long for a disk
/// because of it.
pub(super) struct Retention {
    size: Option<u64>,
    limits: Limits,
    floor: Position,
    /// Which positions above the floor are those of events, if that counts.
    events: EventRanges,
    /// The oldest kept update, as long as it is that.
    oldest: Option<Stored>,
    scout: Option<Scout>,
    /// Whether the disk was not readable when it was last looked at.
    is_failing: bool,
}

impl Retention {
    /// The bounds of the options, above a floor.
    pub(super) fn start(
        options: &HistoryOptions,
        floor: Position,
        events: EventRanges,
    ) -> io::Result<Self> {
        let milliseconds = |age: Duration| u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
        let limits = Limits {
            max_bytes: options.max_bytes,
            max_age: options.max_age.map(milliseconds),
            witness: None,
        };
        let looks = limits.max_bytes.is_some() || limits.max_age.is_some();
        Ok(Self {
            size: options.size,
            limits,
            floor,
            events,
            oldest: None,
            scout: looks.then(Scout::start).transpose()?,
            is_failing: false,
        })
    }

    /// Everything up to here is deleted.
    pub(super) fn floor(&self) -> Position {
        self.floor
    }

    /// Takes the positions of committed events into account.
    pub(super) fn add_events(&mut self, first: Position, last: Position) {
        if self.size.is_some() {
            self.events.push(first.max(self.floor.next()), last);
        }
    }

    /// Where the floor will be at least once the newest position is this one.
    pub(super) fn floor_at(&self, head: Position) -> Position {
        let by_size = self.size;
        by_size.map_or(self.floor, |size| self.events.floor(self.floor, head, size))
    }

    /// Whether a look at the disk has not ended yet.
    pub(super) fn is_looking(&self) -> bool {
        self.scout.as_ref().is_some_and(Scout::is_looking)
    }

    /// Raises the floor to what the bounds say of this end of the log. A slow disk is not waited
    /// for, unless there is time.
    pub(super) fn advance(&mut self, end: End, shared: &Arc<Shared>, has_time: bool) -> Position {
        self.floor = self.floor_at(end.top);
        self.events.forget(self.floor);
        let patience = if has_time { None } else { Some(PATIENCE) };
        let late = self.scout.as_mut().and_then(Scout::late_answer);
        self.learn(late);
        if self
            .limits
            .witness
            .is_some_and(|known| known.position <= self.floor)
        {
            self.limits.witness = None;
        }
        self.limits.witness(end);
        if self.floor < end.head && self.must_look(end) {
            let question = Question {
                limits: self.limits,
                end,
                floor: self.floor,
                shared: Arc::clone(shared),
            };
            let scout = self.scout.as_mut();
            let answer = scout.and_then(|scout| scout.ask(question, patience));
            self.learn(answer);
        }
        self.events.forget(self.floor);
        self.floor
    }

    /// Whether the disk must be looked at: unless the oldest update is known and kept.
    fn must_look(&self, end: End) -> bool {
        // Between the floor and it there are events only.
        let oldest = self.oldest.filter(|oldest| oldest.position > self.floor);
        oldest.is_none_or(|oldest| self.limits.judge(end, oldest) != Verdict::Kept)
    }

    fn learn(&mut self, answer: Option<io::Result<Answer>>) {
        match answer {
            Some(Ok(answer)) => {
                self.floor = self.floor.max(answer.floor);
                self.oldest = answer.oldest;
                self.report(answer.error);
            }
            Some(Err(error)) => self.report(Some(error)),
            None => {}
        }
    }

    /// Says once why some updates could not be looked at.
    fn report(&mut self, error: Option<io::Error>) {
        let was_failing = std::mem::replace(&mut self.is_failing, error.is_some());
        if let Some(error) = error.filter(|_| !was_failing) {
            tracing::error!(
                %error,
                "retention cannot read some updates; they are kept until they can be read or what follows them is over"
            );
        }
    }
}
