//! A log with its table and its agenda, and what happens to them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;
use talaria_protocol::{MatcherType, Subscription};
use talaria_transport::{AppendError, Appended, Frame, Position};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::engine::active::{Document, Serial, Snapshot, Stored, Table, changes};
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
    /// What others have stored and this process has not seen yet. The log above is as this process sees it.
    unseen: Vec<(Arc<Document>, bool)>,
    /// The topics of the subscriptions that a shared log keeps beside it.
    beside: BTreeSet<String>,
    /// Every subscription that was ever in the log.
    documents: BTreeMap<String, Arc<Document>>,
    /// Those of other processes.
    others: Vec<Arc<Document>>,
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
            unseen: Vec::new(),
            beside: BTreeSet::new(),
            documents: BTreeMap::new(),
            others: Vec::new(),
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

    /// Stores an event, and routes it after what others have stored before. If the log is shared, it stores an end
    /// only while the subscription is open there.
    fn write(&mut self, document: &Arc<Document>, active: bool) {
        if self.admits(document, active) {
            self.see();
            self.route(document, active);
        }
    }

    fn admits(&mut self, document: &Document, active: bool) -> bool {
        if active {
            return self.beside.insert(document.topic.clone()) || !self.is_shared;
        }
        self.beside.remove(&document.topic) || !self.is_shared
    }

    /// This process sees what others have stored.
    pub(super) fn see(&mut self) {
        for (document, active) in std::mem::take(&mut self.unseen) {
            self.route(&document, active);
        }
    }

    fn route(&mut self, document: &Arc<Document>, active: bool) {
        self.head += 1;
        let topic = document.topic.clone();
        self.log.entry(topic.clone()).or_default().push(active);
        self.documents.insert(topic, Arc::clone(document));
        let id = self.head.to_string();
        let frame = Frame::new(Position(self.head), id, document.update(active));
        let group = [Arc::new(frame)];
        self.table.advance(&changes(&group), &group[0]);
    }

    /// The subscriptions that the log keeps beside it.
    fn kept(&self) -> Vec<Arc<Document>> {
        let kept = self.beside.iter();
        kept.map(|topic| Arc::clone(&self.documents[topic]))
            .collect()
    }

    /// A subscription of another process begins.
    pub(super) fn begin_elsewhere(&mut self) {
        let document = Arc::clone(&visit(1, None).documents[0]);
        self.write(&document, true);
        self.others.push(document);
    }

    /// All subscriptions of other processes end.
    pub(super) fn end_all_of_others(&mut self) {
        for document in std::mem::take(&mut self.others) {
            self.write(&document, false);
        }
        self.see();
    }

    /// Another process ends the open subscription with this number, modulo their number. This process sees it later.
    /// It takes this process for dead, and from then on the log stores nothing more that this one has sent before.
    pub(super) fn end_elsewhere(&mut self, which: usize) {
        self.settle_later();
        let kept = self.kept();
        if let Some(which) = which.checked_rem(kept.len())
            && self.admits(&kept[which], false)
        {
            self.unseen.push((Arc::clone(&kept[which]), false));
        }
    }

    /// The log loses the open subscription with this number, modulo their number, and this process learns what is
    /// left.
    pub(super) fn lose(&mut self, which: usize) {
        self.see();
        let kept = self.kept();
        if let Some(which) = which.checked_rem(kept.len()) {
            let topic = &kept[which].topic;
            self.beside.remove(topic);
            let said = self.log.get_mut(topic).expect("it was routed");
            while said.pop_if(|active| *active).is_some() {}
        }
        let left: Vec<_> = self.kept().iter().map(|one| one.update(true)).collect();
        self.table.restore(Stored::new(&left));
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
        let active = self.log.iter();
        let active = active.filter(|(_, said)| said.last() == Some(&true));
        let active: Vec<_> = active.map(|(topic, _)| topic.as_str()).collect();
        let Snapshot {
            newest, members, ..
        } = self.table.snapshot();
        let listed = members.from("").filter(|(_, is_active)| *is_active);
        let listed: Vec<_> = listed.map(|(one, _)| one).collect();
        let listed: Vec<_> = listed.iter().map(|one| one.topic.as_str()).collect();
        prop_assert_eq!(listed, active);
        prop_assert_eq!(newest.map_or(0, |newest| newest.position.0), self.head);
        Ok(())
    }

    /// What is left when every append is stored from now on, and time passes.
    pub(super) fn settle(&mut self) {
        /// More than what any case needs.
        const STEPS: usize = 1_000_000;
        self.settle_later();
        self.see();
        self.notice();
        for _ in 0..STEPS {
            if self.append() || !self.in_flight.is_empty() {
                self.finish(0, Outcome::Stored);
            } else if let Some(wait) = self.agenda.due_in(self.now) {
                self.now += wait;
            } else {
                return;
            }
        }
        panic!("events are due for ever");
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
