//! Servers and connections that fail.

use std::sync::Arc;

use talaria_transport::shared::backend::{BackendError, Condition, Settled};
use talaria_transport::shared::simulated::{Direction, Simulated, SimulatedOptions};
use talaria_transport::shared::{Backend, Shared, SharedOptions};
use talaria_transport::{AppendError, Frame, Route, Transport};
use tokio::time::Instant;

use super::{ONE, SECOND, TWO, append, attached, batch, options, second, single, update};

fn is_away<T>(result: &Result<T, BackendError>) -> bool {
    matches!(result, Err(BackendError::Away(_)))
}

/// A node that is cut off in one direction gets no answer within seconds; what it sent arrives if that direction
/// works.
#[tokio::test(start_paused = true)]
async fn a_direction_is_cut() {
    for (direction, arrives) in [(Direction::There, 0), (Direction::Back, 1)] {
        let (world, node) = attached(options(|_| ())).await;
        let other = second(&world).await;
        world.cut("one", direction);
        let began = Instant::now();
        assert!(is_away(&node.append(&single(ONE, 1)).await));
        assert!((SECOND..5 * SECOND).contains(&began.elapsed()));
        assert!(is_away(&node.beat(ONE).await));
        assert!(is_away(&node.find("id").await));
        assert_eq!(world.held().unwrap().given.len(), arrives);
        append(&other, &single(TWO, 1)).await;
        world.mend("one");
        assert!(node.settle(ONE, 1).await.is_ok());
    }
}

/// A server that is stopped answers nothing, and executes what has arrived when it goes on.
#[tokio::test(start_paused = true)]
async fn a_stopped_server_goes_on() {
    let (world, node) = attached(options(|_| ())).await;
    let head = world.held().unwrap().bounds.head;
    world.stop();
    assert!(is_away(&node.append(&single(ONE, 1)).await));
    assert!(is_away(&node.tail(head).await));
    assert_eq!(world.held().unwrap().given.len(), 0);
    world.go_on();
    assert_eq!(world.held().unwrap().given.len(), 1);
    assert!(matches!(node.settle(ONE, 1).await, Ok(Settled::Stored(_))));
}

/// Connections to a server that is killed break.
#[tokio::test(start_paused = true)]
async fn a_killed_server_breaks_connections() {
    let (world, node) = attached(options(|_| ())).await;
    let head = world.held().unwrap().bounds.head;
    let kill = async { world.kill() };
    let (tail, ()) = tokio::join!(node.tail(head), kill);
    assert!(is_away(&tail));
    assert!(is_away(&node.append(&single(ONE, 1)).await));
    world.restart();
    append(&node, &single(ONE, 1)).await;
}

/// A server that refuses has done nothing, and still answers reads.
#[tokio::test(start_paused = true)]
async fn a_refusing_server_does_nothing() {
    let (world, node) = attached(options(|_| ())).await;
    world.refuse(Some("its memory is full"));
    let refused = node.append(&single(ONE, 1)).await;
    assert_eq!(refused, Err(BackendError::Refusing("its memory is full")));
    assert_eq!(node.find("id").await, Ok(None));
    world.refuse(None);
    append(&node, &single(ONE, 1)).await;
}

/// A batch that fails half-way is settled as such, and its number is used up.
#[tokio::test(start_paused = true)]
async fn a_batch_fails_half_way() {
    let (world, node) = attached(options(|options| options.copies = 1)).await;
    world.fail_half_way(1);
    let entries = [("a", Condition::Always), ("b", Condition::Always)];
    assert!(is_away(&node.append(&batch(ONE, 1, &entries)).await));
    assert_eq!(world.held().unwrap().given.len(), 1);
    assert_eq!(node.settle(ONE, 1).await, Ok(Settled::Partly));
    let again = node.append(&batch(ONE, 1, &entries)).await;
    assert_eq!(again, Err(BackendError::OutOfOrder));
    append(&node, &single(ONE, 2)).await;
    assert_eq!(world.held().unwrap().given.len(), 2);
}

/// Of a batch that fails half-way, what is stored is acknowledged, and what is not is unknown: never refused, and never
/// stored twice. The node goes on.
#[tokio::test(start_paused = true)]
async fn a_node_answers_for_half_a_batch() {
    struct Nowhere;
    impl Route for Nowhere {
        fn route(&self, _: &[Arc<Frame>], acknowledge: &mut dyn FnMut()) {
            acknowledge();
        }
    }
    let world = Simulated::new(SimulatedOptions::default());
    let node = Shared::open(Arc::new(world.node("one")), SharedOptions::default()).await;
    let node = node.unwrap();
    node.start(Arc::new(Nowhere));
    for round in 1..=40 {
        world.fail_half_way(1);
        // They wait together, so they are one batch.
        let (first, second) = (node.append(update("a")), node.append(update("b")));
        assert!(first.await.is_ok(), "round {round}");
        let second = second.await;
        assert!(
            matches!(second, Err(AppendError::Unknown)),
            "round {round}: {second:?}"
        );
        assert!(node.append(update("c")).await.is_ok(), "round {round}");
        assert_eq!(world.held().unwrap().given.len(), 2 * round);
    }
}

/// The log that a node attached to is gone after a flush, also if there is another one.
#[tokio::test(start_paused = true)]
async fn a_flushed_log_is_gone() {
    let (world, node) = attached(options(|_| ())).await;
    let head = world.held().unwrap().bounds.head;
    world.flush();
    for _ in 0..2 {
        assert_eq!(node.tail(head).await, Err(BackendError::NoLog));
        assert_eq!(node.beat(ONE).await, Err(BackendError::NoLog));
        let append = node.append(&single(ONE, 1)).await;
        assert_eq!(append, Err(BackendError::NoLog));
        second(&world).await;
    }
}

/// Nodes that stay with a former primary lose what they write there, and it is never durable.
#[tokio::test(start_paused = true)]
async fn a_former_primary_confirms_nothing() {
    let (world, node) = attached(options(|options| {
        (options.copies, options.confirmations) = (2, 1);
    }))
    .await;
    let other = second(&world).await;
    let kept = append(&node, &single(ONE, 1)).await;
    assert!(node.settle(ONE, 1).await.is_ok());
    world.fail_over(None, &["one"]);
    let lost = append(&node, &single(ONE, 2)).await;
    assert_eq!(node.tail(kept).await, Err(BackendError::NotDurable));
    assert_eq!(node.settle(ONE, 2).await, Err(BackendError::NotDurable));
    let new = append(&other, &single(TWO, 1)).await;
    world.end_former();
    assert_eq!(node.settle(ONE, 2).await, Ok(Settled::Never));
    assert_eq!(world.held().unwrap().given, [kept, new]);
    assert_eq!(world.lost().into_iter().collect::<Vec<_>>(), [lost]);
}
