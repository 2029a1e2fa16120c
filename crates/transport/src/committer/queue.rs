//! The updates that wait for their group, within bounds.

use std::collections::VecDeque;

use talaria_protocol::Update;
use tokio::sync::oneshot;

use super::answers::Answer;
use super::waiting::{Waiting, size};
use crate::AppendError;

/// Updates that may wait for their group; publishers of more are refused.
const MAX_WAITING: usize = 65_536;
/// The bytes of the updates that may wait.
const MAX_WAITING_BYTES: usize = 64 << 20;

/// Updates that joined at once and are more than this wait by themselves, so that others overtake them.
const MANY: usize = 64;

/// The updates that wait, each with a note of the log's, and what commits them.
pub(crate) struct Queue<N = ()> {
    waiting: VecDeque<Waiting<N>>,
    /// The updates of large batches.
    batches: VecDeque<Waiting<N>>,
    /// Whether the next group is a batch, because the last was not and one waits.
    is_turn_of_batches: bool,
    bytes: usize,
    pub(super) committing: Committing,
    /// Why no update is taken any more.
    pub(crate) closed: Option<&'static str>,
}

impl<N> Default for Queue<N> {
    fn default() -> Self {
        Self {
            waiting: VecDeque::new(),
            batches: VecDeque::new(),
            is_turn_of_batches: false,
            bytes: 0,
            committing: Committing::default(),
            closed: None,
        }
    }
}

/// What commits at the moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Committing {
    #[default]
    Idle,
    Publisher,
    Thread,
}

impl Queue {
    /// Adds an update.
    pub(super) fn join(
        &mut self,
        update: Update,
    ) -> Result<oneshot::Receiver<Answer>, AppendError> {
        self.join_noted((update, ()))
    }

    /// Adds all updates, which will be one group, or none.
    pub(super) fn join_all(
        &mut self,
        updates: Vec<Update>,
    ) -> Result<Vec<oneshot::Receiver<Answer>>, AppendError> {
        self.join_all_noted(updates.into_iter().map(|update| (update, ())).collect())
    }
}

impl<N> Queue<N> {
    /// The updates that wait, and their bytes.
    pub(crate) fn waiting(&self) -> (usize, usize) {
        (self.waiting.len() + self.batches.len(), self.bytes)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.batches.is_empty()
    }

    /// Drops what waits, so that its publishers learn that the outcome is unknown.
    pub(crate) fn clear(&mut self) {
        self.waiting.clear();
        self.batches.clear();
    }

    /// Adds an update.
    pub(crate) fn join_noted(
        &mut self,
        (update, note): (Update, N),
    ) -> Result<oneshot::Receiver<Answer>, AppendError> {
        self.check_room(1, size(&update))?;
        Ok(self.push(update, note, [false, false]))
    }

    /// Adds all updates, which will be one group, or none.
    pub(crate) fn join_all_noted(
        &mut self,
        mut updates: Vec<(Update, N)>,
    ) -> Result<Vec<oneshot::Receiver<Answer>>, AppendError> {
        let bytes = updates.iter().map(|(update, _)| size(update)).sum();
        self.check_room(updates.len(), bytes)?;
        // A group consists either of subscription events, whose ids the log makes, or of updates.
        let is_event = |(update, _): &(Update, N)| update.by_hub && update.id.is_none();
        let are_events = updates.iter().all(is_event);
        updates
            .iter_mut()
            .for_each(|(update, _)| update.by_hub = are_events);
        let last = updates.len().saturating_sub(1);
        let is_batch = updates.len() > MANY;
        let updates = updates.into_iter().enumerate();
        let joined = updates
            .map(|(index, (update, note))| self.push(update, note, [index < last, is_batch]));
        Ok(joined.collect())
    }

    /// Refuses `count` updates of `bytes` bytes if the queue is closed or full.
    fn check_room(&self, count: usize, bytes: usize) -> Result<(), AppendError> {
        if let Some(reason) = self.closed {
            return Err(AppendError::Refused(reason));
        }
        // An empty queue takes updates of any size; else a large one would be refused for ever.
        let (waiting, waiting_bytes) = self.waiting();
        let is_full = waiting > 0
            && (waiting + count > MAX_WAITING || waiting_bytes + bytes > MAX_WAITING_BYTES);
        if is_full {
            return Err(AppendError::Refused("too many updates wait to be stored"));
        }
        Ok(())
    }

    fn push(
        &mut self,
        mut update: Update,
        note: N,
        [goes_with_next, is_of_batch]: [bool; 2],
    ) -> oneshot::Receiver<Answer> {
        let (acknowledge, acknowledged) = oneshot::channel();
        // The log makes the id of an event, so that subscribers can resume from an event that is not
        // stored.
        update.by_hub &= update.id.is_none();
        self.bytes += size(&update);
        let line = match is_of_batch {
            true => &mut self.batches,
            false => &mut self.waiting,
        };
        line.push_back(Waiting {
            update,
            note,
            acknowledge,
            goes_with_next,
        });
        acknowledged
    }

    /// Takes the updates from the front for which `is_over` holds.
    pub(crate) fn take_while(&mut self, is_over: impl Fn(&N) -> bool) -> Vec<Waiting<N>> {
        let mut taken = Vec::new();
        for line in [&mut self.waiting, &mut self.batches] {
            while let Some(waiting) = line.pop_front_if(|waiting| is_over(&waiting.note)) {
                self.bytes -= size(&waiting.update);
                taken.push(waiting);
            }
        }
        taken
    }

    /// Takes the updates that fit into a group of at most `most` bytes; `None` if nothing waits or fits.
    /// `before` is what the group has already: its bytes, and whether it consists of events. Updates
    /// that joined at once stay together. Events and updates are never in one group, because they are
    /// stored apart. A large batch is a group by itself, and what else waits has every second group, so that it
    /// waits for one batch however many there are.
    pub(crate) fn take_group(
        &mut self,
        most: usize,
        before: Option<(usize, bool)>,
    ) -> Option<Vec<Waiting<N>>> {
        let is_first = before.is_none();
        if is_first && (self.is_turn_of_batches || self.waiting.is_empty()) {
            self.is_turn_of_batches = false;
            let batch = self.take_batch();
            if !batch.is_empty() {
                return Some(batch);
            }
        }
        let (mut bytes, mut kind) =
            before.map_or((0, None), |(bytes, by_hub)| (bytes, Some(by_hub)));
        let mut group: Vec<Waiting<N>> = Vec::new();
        while let Some(next) = self.waiting.front() {
            if *kind.get_or_insert(next.update.by_hub) != next.update.by_hub {
                break;
            }
            let next_bytes = size(&next.update);
            let must_follow = group.last().is_some_and(|last| last.goes_with_next);
            if bytes > 0 && bytes + next_bytes > most && !must_follow {
                break;
            }
            bytes += next_bytes;
            self.bytes -= next_bytes;
            group.extend(self.waiting.pop_front());
        }
        self.is_turn_of_batches |= is_first && !self.batches.is_empty();
        Some(group).filter(|group| !group.is_empty())
    }

    /// Takes the batch that waits for longest.
    fn take_batch(&mut self) -> Vec<Waiting<N>> {
        let mut batch: Vec<Waiting<N>> = Vec::new();
        while batch.last().is_none_or(|last| last.goes_with_next)
            && let Some(next) = self.batches.pop_front()
        {
            self.bytes -= size(&next.update);
            batch.push(next);
        }
        batch
    }
}
