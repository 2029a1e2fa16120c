//! The batches that were sent and that the tail has not passed, with the publishers that wait for them.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use talaria_protocol::Update;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use super::backend::{Condition, Entry, Member, Outcome};
use super::measures::Measures;
use super::passed::Passed;
use crate::committer::answers::Answer;
use crate::committer::waiting::Waiting;
use crate::{AppendError, Appended, Position};

/// The gaps between runs that are remembered. An answer of the server that is older than these was given up.
const GAPS: usize = 64;
/// Batches that may be sent ahead of the tail. A batch is at most about a mebibyte.
const AHEAD: usize = 32;

/// What a node notes with an update that waits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Note {
    pub(super) condition: Condition,
    /// When the publisher has waited long enough.
    pub(super) deadline: Instant,
}

/// An update of a batch, and its publisher.
pub(super) struct Owed {
    pub(super) update: Update,
    pub(super) note: Note,
    pub(super) acknowledge: oneshot::Sender<Answer>,
}

impl Owed {
    pub(super) fn entry(&self) -> Entry {
        Entry {
            update: self.update.clone(),
            condition: self.note.condition,
        }
    }

    pub(super) fn refuse(self, reason: &'static str) {
        // The publisher may have hung up, which changes nothing.
        _ = self.acknowledge.send(Err(AppendError::Refused(reason)));
    }
}

impl From<Waiting<Note>> for Owed {
    fn from(waiting: Waiting<Note>) -> Self {
        Self {
            update: waiting.update,
            note: waiting.note,
            acknowledge: waiting.acknowledge,
        }
    }
}

struct Sent {
    member: Member,
    number: u64,
    at: Instant,
    /// Emptied one by one; `None` once answered.
    owed: Vec<Option<Owed>>,
    /// How many of its updates the tail has not shown.
    unseen: usize,
    outcomes: Option<Vec<Outcome>>,
}

/// An answer that waits for the tail to pass an update of another publish.
struct Later {
    position: Position,
    event_id: String,
    acknowledge: oneshot::Sender<Answer>,
    deadline: Instant,
}

/// The batches that were sent.
#[derive(Default)]
pub(super) struct Ledger {
    state: Mutex<State>,
    /// Notified when there is room for another batch.
    pub(super) room: Notify,
}

#[derive(Default)]
struct State {
    sent: VecDeque<Sent>,
    later: Vec<Later>,
    /// What the tail has passed.
    passed: Position,
    /// Between these positions the log has no update; a server that was replaced may have told of one there.
    gaps: VecDeque<(Position, Position)>,
}

impl Ledger {
    /// Whether another batch may be sent.
    pub(super) fn has_room(&self) -> bool {
        self.lock().sent.len() < AHEAD
    }

    /// Whether any publisher waits for an answer.
    pub(super) fn is_empty(&self) -> bool {
        let state = self.lock();
        state.sent.is_empty() && state.later.is_empty()
    }

    /// Notes a batch before it is sent, since the tail may see it before the answer comes.
    pub(super) fn enter(&self, member: Member, number: u64, owed: Vec<Owed>) {
        self.lock().sent.push_back(Sent {
            member,
            number,
            at: Instant::now(),
            unseen: owed.len(),
            owed: owed.into_iter().map(Some).collect(),
            outcomes: None,
        });
    }

    /// Takes back a batch that is not stored and never will be: what its publishers still wait for.
    pub(super) fn take_back(&self, member: Member, number: u64) -> Vec<Owed> {
        let mut state = self.lock();
        let place = state.place(member, number);
        let sent = place.and_then(|place| state.sent.remove(place));
        drop(state);
        self.room.notify_one();
        let owed = sent.map(|sent| sent.owed).unwrap_or_default();
        owed.into_iter().flatten().collect()
    }

    /// Whether the tail has passed all of a batch.
    pub(super) fn is_seen(&self, member: Member, number: u64) -> bool {
        self.lock().place(member, number).is_none()
    }

    /// Notes what became of a batch.
    pub(super) fn resolve(&self, member: Member, number: u64, outcomes: Vec<Outcome>) {
        let mut state = self.lock();
        if let Some(place) = state.place(member, number) {
            state.sent[place].outcomes = Some(outcomes);
            state.judge(place);
            state.sweep_done();
        }
        drop(state);
        self.room.notify_one();
    }

    /// Answers for records that the tail has made visible, in order.
    pub(super) fn pass(&self, group: &[Passed], measures: &Measures) {
        let mut state = self.lock();
        for Passed { origin, frame, .. } in group {
            let Some(place) = state.place(origin.member, origin.batch) else {
                continue;
            };
            let sent = &mut state.sent[place];
            sent.unseen = sent.unseen.saturating_sub(1);
            let owed = sent.owed.get_mut(origin.index as usize);
            if let Some(owed) = owed.and_then(Option::take) {
                measures.passed(sent.at.elapsed());
                // The publisher may have hung up, which changes nothing.
                _ = owed.acknowledge.send(Ok(Appended {
                    position: frame.position,
                    event_id: frame.event_id.to_string(),
                }));
            }
        }
        if let Some(last) = group.last() {
            state.passed = last.frame.position;
        }
        for place in 0..state.sent.len() {
            state.judge(place);
        }
        state.sweep_done();
        state.answer_later();
        drop(state);
        self.room.notify_one();
    }

    /// Notes that the log has no update between two positions: what was there is lost, if anything was.
    pub(super) fn lose(&self, after: Position, before: Position) {
        self.skip(after, before);
        let mut state = self.lock();
        state.gaps.push_back((after, before));
        if state.gaps.len() > GAPS {
            state.gaps.pop_front();
        }
    }

    /// Drops the answers that wait for an update between two positions: the tail does not show whether it is there.
    pub(super) fn skip(&self, after: Position, before: Position) {
        let is_outside = |later: &Later| later.position <= after || later.position >= before;
        self.lock().later.retain(is_outside);
    }

    /// Drops the answers whose time is over: it is unknown whether their updates are stored. Returns how many.
    pub(super) fn expire(&self, now: Instant) -> usize {
        let mut state = self.lock();
        let mut count = 0;
        for sent in &mut state.sent {
            for owed in &mut sent.owed {
                if owed.take_if(|owed| owed.note.deadline <= now).is_some() {
                    count += 1;
                }
            }
        }
        let before = state.later.len();
        state.later.retain(|later| later.deadline > now);
        count += before - state.later.len();
        state.sweep_done();
        drop(state);
        self.room.notify_one();
        count
    }

    /// Drops all answers.
    pub(super) fn clear(&self) {
        let mut state = self.lock();
        state.sent.clear();
        state.later.clear();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn place(&self, member: Member, number: u64) -> Option<usize> {
        let is_it = |sent: &Sent| sent.member == member && sent.number == number;
        self.sent.iter().position(is_it)
    }

    /// Answers those whose outcome the tail will not show.
    fn judge(&mut self, place: usize) {
        let passed = self.passed;
        let sent = &mut self.sent[place];
        let Some(outcomes) = &sent.outcomes else {
            return;
        };
        let gaps = &self.gaps;
        let is_lost = |position: &Position| {
            let mut gaps = gaps.iter();
            gaps.any(|(after, before)| after < position && position < before)
        };
        for (owed, outcome) in sent.owed.iter_mut().zip(outcomes) {
            match outcome {
                // The log has lost it, since the tail has passed this place without it: drop the answer.
                Outcome::Stored(position) if *position <= passed => drop(owed.take()),
                Outcome::Stored(_) => {}
                Outcome::Ended => {
                    if let Some(owed) = owed.take() {
                        let appended = Appended {
                            position: passed,
                            event_id: String::new(),
                        };
                        _ = owed.acknowledge.send(Ok(appended));
                    }
                }
                Outcome::Repeated(position) if is_lost(position) => drop(owed.take()),
                Outcome::Repeated(position) => self.later.extend(owed.take().map(|owed| Later {
                    position: *position,
                    event_id: owed.update.id.unwrap_or_default(),
                    acknowledge: owed.acknowledge,
                    deadline: owed.note.deadline,
                })),
            }
        }
        self.answer_later();
    }

    /// Answers those whose update the tail has passed.
    fn answer_later(&mut self) {
        let passed = self.passed;
        let is_passed = |later: &mut Later| later.position <= passed;
        for later in self.later.extract_if(.., is_passed) {
            _ = later.acknowledge.send(Ok(Appended {
                position: later.position,
                event_id: later.event_id,
            }));
        }
    }

    /// Forgets batches of which the outcome is known and for which no publisher waits.
    fn sweep_done(&mut self) {
        self.sent.retain(|sent| {
            let is_known = sent.outcomes.is_some() || sent.unseen == 0;
            !is_known || sent.owed.iter().any(Option::is_some)
        });
    }
}
