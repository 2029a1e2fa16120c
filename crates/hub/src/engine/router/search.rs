//! Finds the interests that may receive a group.
//!
//! The index is behind the router's mutex, and clients decide what their patterns cost. So a search goes
//! on in small parts: under the mutex it collects patterns that are new to a topic, or walks over
//! interests; outside it judges what it collected, within an allowance. The patterns that it has not
//! judged by then it leaves to their readers ([`Due::Skip`](super::due::Due::Skip)).
//!
//! The index may change between two parts. Interests that left cost nothing. The router has those that
//! joined start after the group.

mod judging;
mod private;
mod state;
mod walks;

pub(crate) use self::state::Search;
use self::state::{Phase, Walk};
use crate::engine::interests::{Index, SetName};

/// What a search needs next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// [`Search::judge`], without the mutex.
    Judge,
    /// To release the mutex for a moment.
    Pause,
    Done,
}

impl Search<'_> {
    /// Goes on until the mutex has to be released. Called under the router's mutex.
    pub(super) fn go_on(&mut self, index: &Index) -> Next {
        let mut room = self.effort.hold;
        loop {
            match self.phase {
                Phase::Begin => {
                    self.begin(index);
                    if self.has_patterns && self.lacks_cards() {
                        return Next::Judge;
                    }
                }
                Phase::Collect { costly, topic } => {
                    if !self.collect_next(index, costly, topic, &mut room) {
                        return Next::Judge;
                    }
                }
                Phase::Private { class } if class < self.group.private.len() => {
                    self.compare(index, class, &mut room);
                    self.phase = Phase::Private { class: class + 1 };
                }
                Phase::Private { .. } => self.phase = Phase::Plan { topic: 0 },
                Phase::Plan { topic } if topic < self.group.topics.len() => {
                    self.plan(index, topic, &mut room);
                    self.phase = Phase::Plan { topic: topic + 1 };
                }
                Phase::Plan { .. } => {
                    self.plan_any();
                    self.phase = Phase::Walk { walk: 0, after: 0 };
                }
                Phase::Walk { walk, after } if walk < self.walks.len() => {
                    self.phase = match self.walk(index, walk, after, &mut room) {
                        Some(after) => Phase::Walk { walk, after },
                        None => Phase::Walk {
                            walk: walk + 1,
                            after: 0,
                        },
                    };
                }
                Phase::Walk { .. } => self.phase = Phase::Done,
                Phase::Done => return Next::Done,
            }
            if room == 0 && !matches!(self.phase, Phase::Done) {
                return Next::Pause;
            }
        }
    }

    fn begin(&mut self, index: &Index) {
        self.last = index.newest();
        let mut conditions = self.conditions();
        self.has_patterns = conditions.any(|condition| index.side(condition).has_patterns());
        self.phase = if self.has_patterns {
            Phase::Collect {
                costly: false,
                topic: 0,
            }
        } else {
            Phase::Private { class: 0 }
        };
    }

    /// Collects for the next topic. Returns `false` if what was collected has to be judged first.
    fn collect_next(
        &mut self,
        index: &Index,
        costly: bool,
        topic: usize,
        room: &mut usize,
    ) -> bool {
        let is_over = topic == self.group.topics.len();
        if self.allowance.is_spent() || (is_over && costly) {
            self.phase = Phase::Private { class: 0 };
        } else if is_over {
            self.phase = Phase::Collect {
                costly: true,
                topic: 0,
            };
        } else if self.collect(index, costly, topic, room) {
            self.phase = Phase::Collect {
                costly,
                topic: topic + 1,
            };
        } else {
            return false;
        }
        let moves_on = !matches!(self.phase, Phase::Collect { costly: now, .. } if now == costly);
        self.collected.is_empty() || !(moves_on || *room == 0)
    }

    /// Adds the walk over the interests with `*`, which receive every public update.
    fn plan_any(&mut self) {
        if let Some(due) = self.group.public.take() {
            self.walks.push(Walk {
                set: SetName::Any,
                after: 0,
                due,
            });
        }
    }
}
