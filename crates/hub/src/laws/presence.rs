//! Specification, "Active Subscriptions": each subscription is in the log as nothing, as a beginning,
//! or as a beginning and then an end, each once, whatever becomes of the appends.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use talaria_protocol::{MatcherType, Subscription};
use talaria_transport::{AppendError, Appended, Frame, Position};
use tokio::sync::mpsc;

use super::config;
use crate::drain::Drain;
use crate::presence::agenda::{Agenda, Due, IN_FLIGHT, Serial};
use crate::presence::{Document, Table, changes};

#[derive(Debug, Clone)]
enum Operation {
    /// A subscriber with so many matchers comes.
    Subscribe(usize),
    /// One leaves, modulo how many are there.
    Unsubscribe(usize),
    /// So many appends are begun.
    Append(usize),
    /// An append has its outcome, modulo how many are in flight.
    Finish(usize, Outcome),
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
    ]
}

/// What is in flight: a subscription and whether the event is its beginning.
type Flight = (Serial, Arc<Document>, bool);
/// An open subscription.
type Open = (Serial, Arc<Document>);

#[derive(Default)]
struct World {
    agenda: Agenda,
    table: Table,
    drain: Arc<Drain>,
    open: Vec<Open>,
    in_flight: Vec<Flight>,
    /// By topic.
    log: BTreeMap<String, Vec<bool>>,
    head: u64,
    serial: usize,
}

impl World {
    fn subscribe(&mut self, matchers: usize) {
        let subscriber: Arc<str> = format!("urn:test:{}", self.serial).into();
        self.serial += 1;
        let documents: Vec<_> = (0..matchers)
            .map(|number| {
                let asked = Subscription {
                    matcher_type: MatcherType::Exact,
                    text: number.to_string(),
                };
                Arc::new(Document::new(asked, Arc::clone(&subscriber), None, false))
            })
            .collect();
        let (waiting, _) = mpsc::channel(1);
        let first = self.agenda.subscribe(&documents, &waiting);
        self.open.extend((first..).zip(documents));
    }

    fn unsubscribe(&mut self, which: usize) {
        if let Some(which) = which.checked_rem(self.open.len()) {
            let (serial, document) = self.open.swap_remove(which);
            if !self.agenda.unsubscribe(serial, &document, &self.drain) {
                self.table.withdraw(&document.topic);
            }
        }
    }

    /// Begins an append, if one is due.
    fn append(&mut self) -> bool {
        match self.agenda.next() {
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
                    self.table.announce(Arc::clone(&document));
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
        let (newest, listed) = self.table.snapshot();
        let listed: Vec<_> = listed.iter().map(|one| one.topic.as_str()).collect();
        prop_assert_eq!(listed, active);
        prop_assert_eq!(newest.map_or(0, |id| id.parse().unwrap_or(0)), self.head);
        Ok(())
    }

    /// What is left when every append is stored from now on.
    fn settle(&mut self) {
        while self.append() || !self.in_flight.is_empty() {
            self.finish(0, Outcome::Stored);
        }
    }
}

#[test]
fn each_event_is_in_the_log_once_and_in_order() {
    let outcome = TestRunner::new(config()).run(&vec(operation(), 1..120), |operations| {
        let mut world = World::default();
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
            }
            world.check()?;
        }
        world.settle();
        world.check()?;
        for (_, document) in &world.open {
            prop_assert_eq!(world.log.get(&document.topic), Some(&vec![true]));
        }
        while !world.open.is_empty() {
            world.unsubscribe(0);
        }
        world.settle();
        prop_assert!(world.log.values().all(|said| *said == [true, false]));
        prop_assert!(world.table.snapshot().1.is_empty());
        // Nothing is left: no entry, and no share of the drain that a stopping hub would wait for.
        prop_assert_eq!(world.agenda.len(), (0, 0));
        prop_assert_eq!(Arc::strong_count(&world.drain), 1);
        Ok(())
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
}

/// However many come and go while the log is stalled, the agenda holds no more than those that are
/// there and those whose appends are in flight.
#[test]
fn the_agenda_is_bounded_while_the_log_is_stalled() {
    let mut world = World::default();
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
    let mut world = World::default();
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
