//! Routing finds the same interests as a walk over all of them, or leaves the judgement to their readers.

use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use talaria_transport::{Position, Ring};

use super::alphabet::{Asked, Published, base};
use super::{config, tiny_effort};
use crate::engine::lane::Look;
use crate::engine::router::{Effort, Membership, Router};

#[derive(Debug, Clone)]
enum Operation {
    Change(Change),
    /// A group, and what changes while it is routed.
    Publish(Vec<Published>, Vec<Change>),
}

#[derive(Debug, Clone)]
enum Change {
    Join(Asked),
    /// The place of the reader, modulo the number of readers.
    Leave(usize),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        3 => Asked::any().prop_map(Change::Join),
        2 => any::<usize>().prop_map(Change::Leave),
    ]
}

fn operation() -> impl Strategy<Value = Operation> {
    let publish = (vec(Published::small(), 1..4), vec(change(), 0..3));
    prop_oneof![
        5 => change().prop_map(Operation::Change),
        3 => publish.prop_map(|(group, changes)| Operation::Publish(group, changes)),
    ]
}

/// Interests, each with two of its readers.
#[derive(Default)]
struct Readers(Vec<(Asked, [Membership; 2])>);

impl Readers {
    fn change(&mut self, router: &Arc<Router>, change: &Change) {
        match change {
            Change::Join(asked) => {
                let one = router.join(asked.reworded().selection(), 0);
                let other = router.join(asked.selection(), 0);
                assert!(
                    Arc::ptr_eq(one.interest(), other.interest()),
                    "equal selections share"
                );
                self.0.push((asked.clone(), [one, other]));
            }
            Change::Leave(place) => {
                if let Some(place) = place.checked_rem(self.0.len()) {
                    self.0.swap_remove(place);
                }
            }
        }
    }
}

/// What the interests were told of some groups.
#[derive(Debug, Default, Clone, Copy)]
struct Told {
    skipped: usize,
    joined_meanwhile: usize,
}

fn check(effort: Effort, operations: &[Operation]) -> Result<Told, TestCaseError> {
    let ring = Arc::new(Ring::new(1 << 20, Position::ORIGIN));
    let router = Arc::new(Router::new(ring, base(), effort, Position::ORIGIN));
    let mut told = Told::default();
    let mut readers = Readers::default();
    for operation in operations {
        match operation {
            Operation::Change(change) => readers.change(&router, change),
            Operation::Publish(group, changes) => {
                let before = router.visible();
                let frames: Vec<_> = (before.0 + 1..)
                    .zip(group)
                    .map(|(position, published)| published.frame(position))
                    .collect();
                let mut changes = changes.iter();
                router.route_in_parts(&frames, &mut || {}, &mut || {
                    if let Some(change) = changes.next() {
                        readers.change(&router, change);
                        told.joined_meanwhile += usize::from(matches!(change, Change::Join(_)));
                    }
                });
                for (asked, [membership, _]) in &readers.0 {
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

fn law(name: &str, effort: impl Fn() -> Effort, judge: impl Fn(Told) -> TestCaseResult) {
    let mut runner = proptest::test_runner::TestRunner::new(config());
    let outcome = runner.run(&vec(operation(), 1..40), |operations| {
        judge(check(effort(), &operations)?)
    });
    if let Err(failure) = outcome {
        panic!("{name}: {failure}");
    }
}

/// Each interest is told of each update that it may receive, in order and once, and of no other, both by
/// its own judgement and by that of the specification ("Subscribers"). Only an interest that joins while
/// a group is routed judges that group itself.
#[test]
fn interests_are_told_what_a_walk_admits() {
    law(
        "told",
        || Effort::new(64),
        |told| {
            prop_assert!(told.skipped <= told.joined_meanwhile, "{:?}", told);
            Ok(())
        },
    );
}

/// A lane that seems complete is complete, however little routing judges.
#[test]
fn what_is_not_judged_is_left_to_the_readers() {
    law("left", || tiny_effort(3), |_| Ok(()));
}
