//! A log with its table and its agenda, and what happens to them.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use talaria_protocol::{MatcherType, Subscription};
use talaria_transport::{AppendError, Appended, Frame, Position};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::engine::active::{Document, Serial, Table, changes, documents};
use crate::engine::drain::Drain;
use crate::presence::agenda::{Agenda, Due, Entered};
use crate::presence::visit::{Visit, Visitor};

/// What becomes of an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Stored,
    Refused,
    UnknownStored,
    UnknownLost,
    /// It is unknown, and stored before the next append is.
    UnknownStoredLater,
}

/// An append in flight: a subscription, and whether the event is its beginning.
type Flight = (Serial, Arc<Document>, bool);

pub(super) struct World {
    pub(super) agenda: Agenda,
    pub(super) table: Table,
    pub(super) drain: Arc<Drain>,
    pub(super) now: Instant,
    /// The subscribers that are there.
    pub(super) open: Vec<Entered>,
    pub(super) in_flight: Vec<Flight>,
    /// By topic.
    pub(super) log: BTreeMap<String, Vec<bool>>,
    /// What will be stored before the next append is.
    later: Vec<(Arc<Document>, bool)>,
    /// Every subscription that was ever in the log.
    documents: BTreeMap<String, Arc<Document>>,
    is_shared: bool,
    head: u64,
}

impl World {
    pub(super) fn new(bytes_per_second: u64) -> Self {
        Self::with_agenda(Agenda::new(bytes_per_second, false))
    }

    /// A world in which other processes append to the log, too.
    pub(super) fn shared() -> Self {
        let mut world = Self::with_agenda(Agenda::new(0, true));
        world.table.follow(Arc::default());
        world.is_shared = true;
        world
    }

    fn with_agenda(agenda: Agenda) -> Self {
        Self {
            agenda,
            table: Table::default(),
            drain: Arc::default(),
            now: Instant::now(),
            open: Vec::new(),
            in_flight: Vec::new(),
            log: BTreeMap::new(),
            later: Vec::new(),
            documents: BTreeMap::new(),
            is_shared: false,
            head: 0,
        }
    }

    pub(super) fn subscribe(&mut self, matchers: usize) {
        self.subscribe_with(matchers, None);
    }

    pub(super) fn subscribe_with(
        &mut self,
        matchers: usize,
        payload: Option<&Arc<serde_json::Value>>,
    ) {
        let visit = visit(matchers, payload);
        let (waiting, _) = mpsc::channel(1);
        let entered = self.agenda.subscribe(&visit, &waiting, self.now);
        self.open.push(entered);
    }

    pub(super) fn unsubscribe(&mut self, which: usize) {
        if let Some(which) = which.checked_rem(self.open.len()) {
            let entered = self.open.swap_remove(which);
            for forgotten in self.agenda.unsubscribe(&entered, &self.drain.enter()) {
                self.table.withdraw(&forgotten.topic);
            }
        }
    }

    /// Begins an append, if one is due.
    pub(super) fn append(&mut self) -> bool {
        match self.agenda.next(self.now) {
            None => false,
            Some(Due::Forget(document)) => {
                self.table.withdraw(&document.topic);
                true
            }
            Some(Due::Append {
                serial,
                document,
                active,
            }) => {
                if active {
                    self.table.announce(serial, Arc::clone(&document));
                }
                self.in_flight.push((serial, document, active));
                true
            }
        }
    }

    pub(super) fn finish(&mut self, which: usize, outcome: Outcome) {
        let Some(which) = which.checked_rem(self.in_flight.len()) else {
            return;
        };
        let (serial, document, active) = self.in_flight.swap_remove(which);
        match outcome {
            Outcome::Stored | Outcome::UnknownStored => {
                self.settle_later();
                self.write(&document, active);
            }
            Outcome::UnknownStoredLater => self.later.push((document, active)),
            Outcome::Refused | Outcome::UnknownLost => {}
        }
        let outcome = match outcome {
            Outcome::Stored => Ok(Appended {
                position: Position(self.head),
                event_id: self.head.to_string(),
            }),
            Outcome::Refused => Err(AppendError::Refused("full")),
            _ => Err(AppendError::Unknown),
        };
        if let Some(forgotten) = self.agenda.finish(serial, &outcome) {
            self.table.withdraw(&forgotten.topic);
        }
    }

    /// Stores what was to be stored later.
    pub(super) fn settle_later(&mut self) {
        for (document, active) in std::mem::take(&mut self.later) {
            self.write(&document, active);
        }
    }

    /// Stores and routes an event. If the log is shared, it stores an end only while the subscription is open there.
    fn write(&mut self, document: &Arc<Document>, active: bool) {
        if self.is_shared && !active && !self.is_stored(&document.topic) {
            return;
        }
        self.head += 1;
        let topic = document.topic.clone();
        self.log.entry(topic.clone()).or_default().push(active);
        self.documents.insert(topic, Arc::clone(document));
        let id = self.head.to_string();
        let frame = Frame::new(Position(self.head), id, document.update(active));
        let group = [Arc::new(frame)];
        self.table.advance(&changes(&group), &group[0]);
    }

    fn is_stored(&self, topic: &str) -> bool {
        self.log
            .get(topic)
            .and_then(|said| said.last())
            .is_some_and(|last| *last)
    }

    /// The subscriptions that are open in the log.
    fn stored(&self) -> Vec<Arc<Document>> {
        let stored = self
            .documents
            .iter()
            .filter(|(topic, _)| self.is_stored(topic));
        stored.map(|(_, document)| Arc::clone(document)).collect()
    }

    /// A subscription of another process begins.
    pub(super) fn begin_elsewhere(&mut self) {
        let visit = visit(1, None);
        self.write(&visit.documents[0], true);
    }

    /// Another process ends the open subscription with this number, modulo their number.
    pub(super) fn end_elsewhere(&mut self, which: usize) {
        let stored = self.stored();
        if let Some(which) = which.checked_rem(stored.len()) {
            self.write(&stored[which], false);
        }
    }

    /// The log loses the newest event of the open subscription with this number, modulo their number, and this
    /// process learns what is left.
    pub(super) fn lose(&mut self, which: usize) {
        let stored = self.stored();
        if let Some(which) = which.checked_rem(stored.len())
            && let Some(said) = self.log.get_mut(&stored[which].topic)
        {
            while said.pop_if(|active| *active).is_some() {}
        }
        let left: Vec<_> = self.stored().iter().map(|one| one.update(true)).collect();
        self.table.restore(documents(&left));
    }

    /// The reconciler learns what others have ended.
    pub(super) fn notice(&mut self) {
        let elsewhere = self.table.elsewhere();
        let ended = elsewhere.map(|elsewhere| elsewhere.take());
        for (serial, document) in ended.unwrap_or_default() {
            self.agenda.ended_elsewhere(serial, document);
        }
    }

    /// The list is what the log says.
    pub(super) fn check_list(&self) -> Result<(), TestCaseError> {
        let active = self.log.keys().filter(|topic| self.is_stored(topic));
        let active: Vec<_> = active.map(String::as_str).collect();
        let (newest, members) = self.table.snapshot();
        let listed = members.from("").filter(|(_, is_active)| *is_active);
        let listed: Vec<_> = listed.map(|(one, _)| one).collect();
        let listed: Vec<_> = listed.iter().map(|one| one.topic.as_str()).collect();
        prop_assert_eq!(listed, active);
        prop_assert_eq!(newest.map_or(0, |newest| newest.position.0), self.head);
        Ok(())
    }

    /// What is left when every append is stored from now on, and time passes.
    pub(super) fn settle(&mut self) {
        self.settle_later();
        loop {
            self.notice();
            while self.append() || !self.in_flight.is_empty() {
                self.finish(0, Outcome::Stored);
            }
            match self.agenda.due_in(self.now) {
                Some(wait) => self.now += wait,
                None => return,
            }
        }
    }
}

fn visit(matchers: usize, payload: Option<&Arc<serde_json::Value>>) -> Visit {
    let visitor = Visitor::Address(None);
    let mut visit = Visit::new(visitor, usize::MAX, uuid::Uuid::new_v4(), false);
    for number in 0..matchers {
        let asked = Subscription {
            matcher_type: MatcherType::Exact,
            text: number.to_string(),
        };
        visit.add(asked, payload).expect("no bound");
    }
    visit
}
