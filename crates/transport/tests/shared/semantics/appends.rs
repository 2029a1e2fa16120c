//! Batches: whole, in order, once, and on their conditions.

use std::time::Duration;

use talaria_transport::shared::Backend;
use talaria_transport::shared::backend::{BackendError, Batch, Condition, Outcome, Settled};
use talaria_transport::shared::simulated::{Faults, Held};
use tokio::time::{advance, sleep};

use super::{ONE, SECOND, TWO, append, attached, batch, options, second, single};

/// A second append of a batch stores nothing, and says where the batch is.
#[tokio::test(start_paused = true)]
async fn a_batch_is_stored_once() {
    let (world, node) = attached(options(|_| ())).await;
    let first = append(&node, &single(ONE, 1)).await;
    assert_eq!(append(&node, &single(ONE, 1)).await, first);
    assert_eq!(append(&node, &single(ONE, 2)).await, first.next());
    assert_eq!(world.held().unwrap().given, [first, first.next()]);
}

/// A batch that is not the last one or the next one is refused.
#[tokio::test(start_paused = true)]
async fn batches_have_an_order() {
    let (_world, node) = attached(options(|_| ())).await;
    append(&node, &single(ONE, 1)).await;
    append(&node, &single(ONE, 2)).await;
    for number in [0, 1, 4] {
        let refused = node.append(&single(ONE, number)).await;
        assert_eq!(refused, Err(BackendError::OutOfOrder), "{number}");
    }
}

/// Batches of a node that is not a member are refused.
#[tokio::test(start_paused = true)]
async fn only_members_append() {
    let (world, node) = attached(options(|_| ())).await;
    let refused = node.append(&single(TWO, 1)).await;
    assert_eq!(refused, Err(BackendError::NoMember));
    assert_eq!(world.held().unwrap().given, []);
}

/// A batch whose number was used up never comes; one that is stored is found.
#[tokio::test(start_paused = true)]
async fn a_settled_batch_is_stored_or_never_will_be() {
    let (world, node) = attached(options(|_| ())).await;
    let stored = append(&node, &single(ONE, 1)).await;
    let settled = node.settle(ONE, 1).await;
    assert_eq!(settled, Ok(Settled::Stored(vec![Outcome::Stored(stored)])));
    assert_eq!(node.settle(ONE, 2).await, Ok(Settled::Never));
    assert_eq!(node.settle(ONE, 2).await, Ok(Settled::Never));
    let late = node.append(&single(ONE, 2)).await;
    assert_eq!(late, Err(BackendError::OutOfOrder));
    assert_eq!(append(&node, &single(ONE, 3)).await, stored.next());
    assert_eq!(world.held().unwrap().given.len(), 2);
}

/// What a buried member had on its way is settled, too; and what a log does not know.
#[tokio::test(start_paused = true)]
async fn batches_of_others_than_members_are_settled() {
    let (world, node) = attached(options(|_| ())).await;
    let stored = append(&node, &single(ONE, 1)).await;
    let other = second(&world).await;
    assert_eq!(other.bury(ONE, 0).await, Ok(true));
    let settled = node.settle(ONE, 1).await;
    assert_eq!(settled, Ok(Settled::Stored(vec![Outcome::Stored(stored)])));
    assert_eq!(node.settle(ONE, 2).await, Ok(Settled::Never));
    let unknown = talaria_transport::shared::backend::Member(3);
    assert_eq!(node.settle(unknown, 1).await, Ok(Settled::Never));
    let late = node.attach(unknown, stored).await;
    assert_eq!(late, Err(BackendError::NoMember), "its batch might follow");
}

/// A batch that arrives after its connection died is executed.
#[tokio::test(start_paused = true)]
async fn a_late_batch_is_executed() {
    let (world, node) = attached(options(|_| ())).await;
    let mut faults = Faults::default();
    faults.late_requests = 1_000;
    world.set_faults(faults);
    let away = node.append(&single(ONE, 1)).await;
    assert!(matches!(away, Err(BackendError::Away(_))), "{away:?}");
    world.set_faults(Faults::default());
    sleep(8 * SECOND).await;
    assert_eq!(world.held().unwrap().given.len(), 1);
}

/// A late batch whose number was used up meanwhile is refused.
#[tokio::test(start_paused = true)]
async fn a_late_batch_that_was_settled_stores_nothing() {
    let (world, node) = attached(options(|_| ())).await;
    let mut faults = Faults::default();
    faults.late_requests = 1_000;
    let mut never = 0;
    for number in 1..20 {
        world.set_faults(faults);
        assert!(node.append(&single(ONE, number)).await.is_err());
        world.set_faults(Faults::default());
        sleep(4 * SECOND).await;
        let settled = node.settle(ONE, number).await.expect("it is settled");
        never += u64::from(settled == Settled::Never);
    }
    sleep(8 * SECOND).await;
    assert!((1..19).contains(&never), "both happen");
    assert_eq!(world.held().unwrap().given.len() as u64, 19 - never);
}

/// The answer to an append that was executed may be lost.
#[tokio::test(start_paused = true)]
async fn answers_are_lost() {
    let (world, node) = attached(options(|_| ())).await;
    let mut faults = Faults::default();
    faults.lost_answers = 1_000;
    world.set_faults(faults);
    let away = node.append(&single(ONE, 1)).await;
    assert!(matches!(away, Err(BackendError::Away(_))), "{away:?}");
    assert_eq!(world.held().unwrap().given.len(), 1);
}

fn topics(held: &Held) -> Vec<&str> {
    let stored = held.subscriptions.iter();
    stored.map(|(_, update)| &*update.topics[0]).collect()
}

/// An end is stored if its subscription is kept under the member that ends it, or under a dead one; each only once.
#[tokio::test(start_paused = true)]
async fn a_subscription_ends_once() {
    let (world, node) = attached(options(|_| ())).await;
    let other = second(&world).await;
    let begin = batch(
        ONE,
        1,
        &[("a", Condition::Begins), ("b", Condition::Begins)],
    );
    node.append(&begin).await.unwrap();
    assert_eq!(topics(&world.held().unwrap()), ["a", "b"]);
    let end = batch(TWO, 1, &[("a", Condition::Ends), ("a", Condition::Ends)]);
    let outcomes = other.append(&end).await.unwrap();
    assert_eq!(outcomes, [Outcome::Ended, Outcome::Ended]);
    let own = batch(ONE, 2, &[("a", Condition::Ends), ("a", Condition::Ends)]);
    let outcomes = node.append(&own).await.unwrap();
    assert!(matches!(outcomes[..], [Outcome::Stored(_), Outcome::Ended]));
    assert_eq!(other.bury(ONE, 0).await, Ok(true));
    let dead = batch(TWO, 2, &[("b", Condition::Ends), ("b", Condition::Ends)]);
    let outcomes = other.append(&dead).await.unwrap();
    assert!(matches!(outcomes[..], [Outcome::Stored(_), Outcome::Ended]));
    let held = world.held().unwrap();
    assert_eq!((topics(&held).len(), held.given.len()), (0, 4));
}

/// A subscription that begins again belongs to the member that began it last.
#[tokio::test(start_paused = true)]
async fn a_subscription_has_one_member() {
    let (world, node) = attached(options(|_| ())).await;
    let other = second(&world).await;
    let begin = |member| batch(member, 1, &[("a", Condition::Begins)]);
    node.append(&begin(ONE)).await.unwrap();
    other.append(&begin(TWO)).await.unwrap();
    let held = world.held().unwrap();
    assert_eq!(held.subscriptions.len(), 1);
    assert_eq!(held.subscriptions[0].0, TWO);
}

/// An update with a key is stored once within the window, across nodes and within a batch.
#[tokio::test(start_paused = true)]
async fn a_key_is_stored_once_within_its_window() {
    let (world, node) = attached(options(|_| ())).await;
    let other = second(&world).await;
    let once = Condition::Once([7; 32], Duration::from_secs(60));
    let repeat = |member, number| -> Batch { batch(member, number, &[("t", once), ("t", once)]) };
    let outcomes = node.append(&repeat(ONE, 1)).await.unwrap();
    let [Outcome::Stored(first), Outcome::Repeated(same)] = outcomes[..] else {
        panic!("{outcomes:?}");
    };
    assert_eq!(first, same);
    let outcomes = other.append(&repeat(TWO, 1)).await.unwrap();
    assert_eq!(outcomes, [Outcome::Repeated(first); 2]);
    advance(61 * SECOND).await;
    let outcomes = other.append(&repeat(TWO, 2)).await.unwrap();
    assert_eq!(outcomes[0], Outcome::Stored(first.next()));
}
