//! Each subscription is in the log as nothing, as a beginning, or as a beginning and then an end, each
//! once, whatever the outcomes of the appends (specification, "Active Subscriptions").

mod elsewhere;
mod world;

use std::sync::Arc;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use self::world::{Outcome, World};
use super::agenda::{IN_FLIGHT, IN_FLIGHT_BYTES};
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

/// Each subscription is in the log as nothing, as a beginning, or as a beginning and its end.
fn check(world: &World) -> Result<(), TestCaseError> {
    for said in world.log.values() {
        let is_due: bool = *said == [true] || *said == [true, false];
        prop_assert!(is_due, "{:?}", said);
    }
    world.check_list()
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
                check(&world)?;
            }
            world.settle();
            check(&world)?;
            for document in world.open.iter().flat_map(|entered| &*entered.documents) {
                prop_assert_eq!(world.log.get(&document.topic), Some(&vec![true]));
            }
            while !world.open.is_empty() {
                world.unsubscribe(0);
            }
            world.settle();
            prop_assert!(world.log.values().all(|said| *said == [true, false]));
            prop_assert!(world.table.snapshot().members.from("").next().is_none());
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
