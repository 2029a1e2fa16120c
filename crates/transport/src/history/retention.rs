//! Retention: which updates are kept, by count, bytes and age, exact to the update.

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

/// How long the committer waits for the thread that reads the disk; a later answer counts the next time.
/// Reading from the cache of the system takes a thousandth of this.
const PATIENCE: Duration = Duration::from_millis(100);

/// The floor that follows from the bounds. It belongs to the committer, which never waits long for the
/// disk because of it.
pub(super) struct Retention {
    size: Option<u64>,
    limits: Limits,
    floor: Position,
    /// The positions of events above the floor, if there is a bound on the count.
    events: EventRanges,
    /// The oldest kept update, if it is known.
    oldest: Option<Stored>,
    scout: Option<Scout>,
    /// Whether the last read of the disk failed.
    is_failing: bool,
}

impl Retention {
    /// Starts retention with the bounds of the options and the floor of the log.
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
            seen: 0,
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

    /// The position up to which everything is deleted.
    pub(super) fn floor(&self) -> Position {
        self.floor
    }

    /// Adds the positions of committed events.
    pub(super) fn add_events(&mut self, first: Position, last: Position) {
        if self.size.is_some() {
            self.events.push(first.max(self.floor.next()), last);
        }
    }

    /// The least floor of the log when `head` is its newest position.
    pub(super) fn floor_at(&self, head: Position) -> Position {
        let by_size = self.size;
        by_size.map_or(self.floor, |size| self.events.floor(self.floor, head, size))
    }

    /// Whether a read of the disk has not ended yet.
    pub(super) fn is_looking(&self) -> bool {
        self.scout.as_ref().is_some_and(Scout::is_looking)
    }

    /// Raises the floor to what the bounds require at this end of the log. Waits for a slow disk only if
    /// `has_time`.
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

    /// Whether the disk must be read, because the oldest update is unknown or no longer kept.
    fn must_look(&self, end: End) -> bool {
        // Only events lie between the floor and the oldest update.
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

    /// Logs once why some updates could not be read.
    fn report(&mut self, error: Option<io::Error>) {
        let was_failing = std::mem::replace(&mut self.is_failing, error.is_some());
        if let Some(error) = error.filter(|_| !was_failing) {
            tracing::error!(
                name: "retention_stalled",
                %error,
                "retention cannot read some updates; it keeps them until they are readable or later updates are deleted"
            );
        }
    }
}
