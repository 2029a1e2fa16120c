//! Routing finds what a walk over all interests would, and what it does not find out it leaves to
//! the readers.

use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use talaria_transport::{Position, Ring, Route};

use super::alphabet::{Asked, Published, base};
use super::{config, tiny_budgets};
use crate::lane::Look;
use crate::router::{Budgets, Membership, Router};

#[derive(Debug, Clone)]
enum Operation {
    Join(Asked),
    /// The place, modulo how many there are.
    Leave(usize),
    Publish(Vec<Published>),
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        3 => Asked::any().prop_map(Operation::Join),
        2 => any::<usize>().prop_map(Operation::Leave),
        3 => vec(Published::small(), 1..4).prop_map(Operation::Publish),
    ]
}

/// What became of some groups at the interests.
#[derive(Debug, Default, Clone, Copy)]
struct Told {
    exactly: usize,
    skipped: usize,
}

fn check(budgets: Budgets, operations: &[Operation]) -> Result<Told, TestCaseError> {
    let ring = Arc::new(Ring::new(1 << 20, Position::ORIGIN));
    let router = Arc::new(Router::with_budgets(
        ring,
        base(),
        budgets,
        Position::ORIGIN,
    ));
    let mut told = Told::default();
    let mut known: Vec<(Asked, [Membership; 2])> = Vec::new();
    for operation in operations {
        match operation {
            Operation::Join(asked) => {
                let one = router.join(asked.reworded().selection(), 0);
                let other = router.join(asked.selection(), 0);
                prop_assert!(
                    Arc::ptr_eq(one.interest(), other.interest()),
                    "equal selections share"
                );
                known.push((asked.clone(), [one, other]));
            }
            Operation::Leave(place) => {
                if let Some(place) = place.checked_rem(known.len()) {
                    known.swap_remove(place);
                }
            }
            Operation::Publish(group) => {
                let before = router.visible();
                let frames: Vec<_> = (before.0 + 1..)
                    .zip(group)
                    .map(|(position, published)| published.frame(position))
                    .collect();
                router.route(&frames, &mut || {});
                for (asked, [membership, _]) in &known {
                    let interest = membership.interest();
                    let due: Vec<_> = frames
                        .iter()
                        .zip(group)
                        .filter(|(_, published)| asked.receives(published))
                        .map(|(frame, _)| frame.position)
                        .collect();
                    let admitted = frames.iter().filter(|frame| interest.admits(frame));
                    let admitted: Vec<_> = admitted.map(|frame| frame.position).collect();
                    prop_assert_eq!(&admitted, &due, "{:?}", asked);
                    let mut found = Vec::new();
                    match membership.look(before, router.visible(), &mut found) {
                        Look::Complete => {
                            told.exactly += 1;
                            prop_assert_eq!(&found, &due, "{:?}", asked);
                        }
                        Look::Behind => told.skipped += 1,
                    }
                }
            }
        }
    }
    Ok(told)
}

fn law(name: &str, budgets: impl Fn() -> Budgets, judge: impl Fn(Told) -> TestCaseResult) {
    let mut runner = proptest::test_runner::TestRunner::new(config());
    let outcome = runner.run(&vec(operation(), 1..60), |operations| {
        judge(check(budgets(), &operations)?)
    });
    if let Err(failure) = outcome {
        panic!("{name}: {failure}");
    }
}

/// Each interest is told of each update that it may receive, in order and once, and of no other; by
/// the judgement of the interest itself and by the specification's ("Subscribers").
#[test]
fn interests_are_told_what_a_walk_admits() {
    law(
        "told",
        || Budgets::new(64),
        |told| {
            prop_assert_eq!(told.skipped, 0);
            Ok(())
        },
    );
}

/// However little is judged while routing: a lane that seems complete is.
#[test]
fn what_is_not_judged_is_left_to_the_readers() {
    law("left", || tiny_budgets(3), |_| Ok(()));
}
