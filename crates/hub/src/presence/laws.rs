//! Each subscription is in the log as nothing, as a beginning, or as a beginning and then an end, each
//! once, whatever the outcomes of the appends (specification, "Active Subscriptions").

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use talaria_protocol::{MatcherType, Subscription};
use talaria_transport::{AppendError, Appended, Frame, Position};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::agenda::{Agenda, Due, Entered, IN_FLIGHT, IN_FLIGHT_BYTES};
use super::visit::{Visit, Visitor};
use crate::engine::active::{Document, Serial, Table, changes};
use crate::engine::drain::Drain;
use crate::engine::laws::config;

#[derive(Debug, Clone)]
enum Operation {
    /// A subscriber with this many matchers comes.
    Subscribe(usize),
    /// The subscriber with this number leaves, modulo the number of subscribers.
    Unsubscribe(usize),
    /// This many appends are begun.
    Append(usize),
    /// The append with this number has its outcome, modulo the number in flight.
    Finish(usize, Outcome),
    /// This many seconds pass.
    Pass(u64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Stored,
    Refused,
    UnknownStored,
    UnknownLost,
}

fn operation() -> impl Strategy<Value = Operation> {
    let outcome = prop_oneof![
        3 => Just(Outcome::Stored),
        1 => Just(Outcome::Refused),
        1 => Just(Outcome::UnknownStored),
        1 => Just(Outcome::UnknownLost),
    ];
    prop_oneof![
        2 => (1..4_usize).prop_map(Operation::Subscribe),
        2 => any::<usize>().prop_map(Operation::Unsubscribe),
        3 => (1..4_usize).prop_map(Operation::Append),
        5 => (any::<usize>(), outcome).prop_map(|(which, outcome)| Operation::Finish(which, outcome)),
        1 => (1..10_u64).prop_map(Operation::Pass),
    ]
}

/// An append in flight: a subscription, and whether the event is its beginning.
type Flight = (Serial, Arc<Document>, bool);

struct World {
    agenda: Agenda,
    table: Table,
    drain: Arc<Drain>,
    now: Instant,
    /// The subscribers that are there.
    open: Vec<Entered>,
    in_flight: Vec<Flight>,
    /// By topic.
    log: BTreeMap<String, Vec<bool>>,
    head: u64,
}

impl World {
    fn new(bytes_per_second: u64) -> Self {
        Self {
            agenda: Agenda::new(bytes_per_second, false),
            table: Table::default(),
            drain: Arc::default(),
            now: Instant::now(),
            open: Vec::new(),
            in_flight: Vec::new(),
            log: BTreeMap::new(),
            head: 0,
        }
    }

    fn subscribe(&mut self, matchers: usize) {
        self.subscribe_with(matchers, None);
    }

    fn subscribe_with(&mut self, matchers: usize, payload: Option<&Arc<serde_json::Value>>) {
        let mut visit = Visit::new(
            Visitor::Address(None),
            usize::MAX,
            uuid::Uuid::new_v4(),
            false,
        );
        for number in 0..matchers {
            let asked = Subscription {
                matcher_type: MatcherType::Exact,
                text: number.to_string(),
            };
            visit.add(asked, payload).expect("no bound");
        }
        let (waiting, _) = mpsc::channel(1);
        let entered = self.agenda.subscribe(&visit, &waiting, self.now);
        self.open.push(entered);
    }

    fn unsubscribe(&mut self, which: usize) {
        if let Some(which) = which.checked_rem(self.open.len()) {
            let entered = self.open.swap_remove(which);
            for forgotten in self.agenda.unsubscribe(&entered, &self.drain.enter()) {
                self.table.withdraw(&forgotten.topic);
            }
        }
    }

    /// Begins an append, if one is due.
    fn append(&mut self) -> bool {
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

    fn finish(&mut self, which: usize, outcome: Outcome) {
        let Some(which) = which.checked_rem(self.in_flight.len()) else {
            return;
        };
        let (serial, document, active) = self.in_flight.swap_remove(which);
        if matches!(outcome, Outcome::Stored | Outcome::UnknownStored) {
            self.head += 1;
            let of_one = self.log.entry(document.topic.clone()).or_default();
            of_one.push(active);
            let id = self.head.to_string();
            let frame = Frame::new(Position(self.head), id, document.update(active));
            let group = [Arc::new(frame)];
            self.table.advance(&changes(&group), &group[0]);
        }
        let outcome = match outcome {
            Outcome::Stored => Ok(Appended {
                position: Position(self.head),
                event_id: self.head.to_string(),
            }),
            Outcome::Refused => Err(AppendError::Refused("full")),
            Outcome::UnknownStored | Outcome::UnknownLost => Err(AppendError::Unknown),
        };
        if let Some(forgotten) = self.agenda.finish(serial, &outcome) {
            self.table.withdraw(&forgotten.topic);
        }
    }

    fn check(&self) -> Result<(), TestCaseError> {
        for said in self.log.values() {
            let is_due: bool = *said == [true] || *said == [true, false];
            prop_assert!(is_due, "{:?}", said);
        }
        // The list is what the log says.
        let active = self.log.iter().filter(|(_, said)| **said == [true]);
        let active: Vec<_> = active.map(|(topic, _)| topic.as_str()).collect();
        let (newest, members) = self.table.snapshot();
        let listed = members.from("").filter(|(_, is_active)| *is_active);
        let listed: Vec<_> = listed.map(|(one, _)| one).collect();
        let listed: Vec<_> = listed.iter().map(|one| one.topic.as_str()).collect();
        prop_assert_eq!(listed, active);
        prop_assert_eq!(newest.map_or(0, |newest| newest.position.0), self.head);
        Ok(())
    }

    /// What is left when every append is stored from now on, and time passes.
    fn settle(&mut self) {
        loop {
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

#[test]
fn each_event_is_in_the_log_once_and_in_order() {
    // Without a bound, and with one by which three subscriptions are a burst.
    let rates = prop_oneof![Just(0), Just(200_u64)];
    let outcome = TestRunner::new(config()).run(
        &(rates, vec(operation(), 1..120)),
        |(bytes_per_second, operations)| {
            let mut world = World::new(bytes_per_second);
            for operation in operations {
                match operation {
                    Operation::Subscribe(matchers) => world.subscribe(matchers),
                    Operation::Unsubscribe(which) => world.unsubscribe(which),
                    Operation::Append(count) => {
                        for _ in 0..count {
                            world.append();
                        }
                    }
                    Operation::Finish(which, outcome) => world.finish(which, outcome),
                    Operation::Pass(seconds) => world.now += Duration::from_secs(seconds),
                }
                world.check()?;
            }
            world.settle();
            world.check()?;
            for document in world.open.iter().flat_map(|entered| &*entered.documents) {
                prop_assert_eq!(world.log.get(&document.topic), Some(&vec![true]));
            }
            while !world.open.is_empty() {
                world.unsubscribe(0);
            }
            world.settle();
            prop_assert!(world.log.values().all(|said| *said == [true, false]));
            prop_assert!(world.table.snapshot().1.from("").next().is_none());
            // Nothing is left: no entry, and no share of the drain that a stopping hub would wait for.
            prop_assert_eq!(world.agenda.len(), (0, 0));
            prop_assert!(world.drain.is_idle());
            Ok(())
        },
    );
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
}

/// While the log is stalled, the agenda holds only the subscriptions that are open and those whose appends
/// are in flight, however many come and go.
#[test]
fn the_agenda_is_bounded_while_the_log_is_stalled() {
    let mut world = World::new(0);
    for _ in 0..20_000 {
        world.subscribe(1);
        world.append();
        world.unsubscribe(0);
    }
    assert_eq!(world.agenda.len(), (IN_FLIGHT, IN_FLIGHT));
    world.subscribe(10);
    assert_eq!(world.agenda.len(), (IN_FLIGHT + 10, IN_FLIGHT));
}

/// A log that stores beginnings and no ends does not make the agenda grow without bound.
#[test]
fn ends_that_are_refused_hold_beginnings_back() {
    let mut world = World::new(0);
    for _ in 0..2 * IN_FLIGHT {
        world.subscribe(1);
        while world.append() {}
        while let Some((_, _, active)) = world.in_flight.last() {
            let outcome = if *active {
                Outcome::Stored
            } else {
                Outcome::Refused
            };
            let last = world.in_flight.len() - 1;
            world.finish(last, outcome);
            if outcome == Outcome::Refused {
                break;
            }
        }
        world.unsubscribe(0);
    }
    let (held, _) = world.agenda.len();
    assert!(held <= IN_FLIGHT + 1, "{held}");
}

/// A client leaves no more in the log than its rate permits, and nothing in memory, however many
/// subscriptions come and go.
#[test]
fn a_client_that_comes_and_goes_writes_no_more_than_its_rate() {
    const SECONDS: u64 = 100;
    let rate = 10_000;
    let mut world = World::new(rate);
    for second in 0..SECONDS {
        for _ in 0..100 {
            world.subscribe(3);
            while world.append() || !world.in_flight.is_empty() {
                world.finish(0, Outcome::Stored);
            }
            world.unsubscribe(0);
        }
        world.now += Duration::from_secs(1);
        assert_eq!(world.agenda.due_in(world.now), None, "{second}");
    }
    world.settle();
    assert_eq!(world.agenda.len(), (0, 0));
    // A burst is worth sixteen seconds, and the visit that ends it may exceed it.
    let mut one = World::new(0);
    one.subscribe(3);
    let entered = one.open.pop().expect("it has come");
    let bytes: usize = entered
        .documents
        .iter()
        .map(|one| 2 * one.event_bytes())
        .sum();
    let most = (SECONDS + 16) * rate + bytes as u64;
    let visits = world.log.len() as u64 / 3;
    assert!(
        visits * bytes as u64 <= most,
        "{visits} visits of {bytes} bytes"
    );
    assert!(
        visits * bytes as u64 >= most / 2,
        "{visits} visits of {bytes} bytes"
    );
}

/// The bytes of the appends in flight are bounded, however large the payloads are.
#[test]
fn what_is_in_flight_is_bounded_in_bytes() {
    let payload = Arc::new(serde_json::Value::from("x".repeat(100_000)));
    let mut world = World::new(0);
    for _ in 0..100 {
        world.subscribe_with(1, Some(&payload));
    }
    while world.append() {}
    let in_flight = world.in_flight.len();
    assert!(in_flight >= IN_FLIGHT_BYTES / 110_000, "{in_flight}");
    assert!(in_flight <= IN_FLIGHT_BYTES / 100_000 + 1, "{in_flight}");
    world.finish(0, Outcome::Stored);
    assert!(world.append(), "there is room again");
    world.settle();
    assert_eq!(world.log.len(), 100);
}
