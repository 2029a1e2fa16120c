//! On a log of several processes others may end any subscription at any moment, because they take this process for
//! dead. What is open is announced again; what has left stays ended.

use proptest::collection::vec;
use proptest::prelude::*;

use super::world::{Outcome, World};
use crate::engine::laws::config;

#[derive(Debug, Clone)]
enum Operation {
    Subscribe(usize),
    Unsubscribe(usize),
    Append(usize),
    Finish(usize, Outcome),
    BeginElsewhere,
    EndElsewhere(usize),
    See,
    Notice,
    Lose(usize),
}

fn operation() -> impl Strategy<Value = Operation> {
    let outcome = prop_oneof![
        4 => Just(Outcome::Stored),
        1 => Just(Outcome::Refused),
        1 => Just(Outcome::UnknownStored),
        1 => Just(Outcome::UnknownLost),
        1 => Just(Outcome::UnknownStoredLater),
    ];
    let which = any::<usize>();
    prop_oneof![
        3 => (1..4_usize).prop_map(Operation::Subscribe),
        3 => which.prop_map(Operation::Unsubscribe),
        4 => (1..4_usize).prop_map(Operation::Append),
        6 => (which, outcome).prop_map(|(which, outcome)| Operation::Finish(which, outcome)),
        1 => Just(Operation::BeginElsewhere),
        3 => which.prop_map(Operation::EndElsewhere),
        2 => Just(Operation::See),
        3 => Just(Operation::Notice),
        1 => which.prop_map(Operation::Lose),
    ]
}

fn apply(operation: &Operation, world: &mut World) {
    match *operation {
        Operation::Subscribe(matchers) => world.subscribe(matchers),
        Operation::Unsubscribe(which) => world.unsubscribe(which),
        Operation::Append(count) => {
            for _ in 0..count {
                world.append();
            }
        }
        Operation::Finish(which, outcome) => world.finish(which, outcome),
        Operation::BeginElsewhere => world.begin_elsewhere(),
        Operation::EndElsewhere(which) => world.end_elsewhere(which),
        Operation::See => world.see(),
        Operation::Notice => world.notice(),
        Operation::Lose(which) => world.lose(which),
    }
}

/// Beginnings and ends take turns, and the list is what the log says.
fn check(world: &World) -> Result<(), TestCaseError> {
    for said in world.log.values() {
        let mut turns = said.iter().enumerate();
        let is_due = turns.all(|(at, active)| *active == (at % 2 == 0));
        prop_assert!(is_due, "{:?}", said);
    }
    world.check_list()
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn what_others_end_is_announced_again_and_what_has_left_stays_ended(
        operations in vec(operation(), 1..150),
    ) {
        let mut world = World::shared();
        for operation in &operations {
            apply(operation, &mut world);
            check(&world)?;
        }
        world.settle();
        check(&world)?;
        for document in world.open.iter().flat_map(|entered| &*entered.documents) {
            let last = world.log.get(&document.topic).and_then(|said| said.last());
            prop_assert_eq!(last, Some(&true));
        }
        while !world.open.is_empty() {
            world.unsubscribe(0);
        }
        world.settle();
        world.end_all_of_others();
        prop_assert!(world.table.snapshot().members.from("").next().is_none());
        check(&world)?;
        prop_assert!(world.log.values().all(|said| said.last() != Some(&true)));
        prop_assert_eq!(world.agenda.len(), (0, 0));
        prop_assert!(world.drain.is_idle());
    }
}
