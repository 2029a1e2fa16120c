//! A server that refuses, does not answer, or breaks the connection.

use std::sync::Arc;
use std::time::Duration;

use talaria_conformance::servers::{Proxy, Way};
use talaria_conformance::within;
use talaria_transport::Position;
use talaria_transport::shared::Backend as _;
use talaria_transport::shared::backend::{BackendError, Settled};
use tokio::task::JoinSet;

use crate::site::{Kind, Site};
use crate::support::{LAST, Node, always, at, contents, on, position, tests_on, until, update};

tests_on!(Direct:
    a_lost_answer_is_settled,
    a_batch_that_did_not_arrive_never_will,
    a_cut_connection_is_made_again,
    a_stopped_server_is_away_and_comes_back,
    a_dropped_call_leaves_no_answer_behind,
);
tests_on!(Pooled:
    a_lost_answer_is_settled,
    a_batch_that_did_not_arrive_never_will,
    a_cut_connection_is_made_again,
    a_stopped_server_is_away_and_comes_back,
    a_dropped_call_leaves_no_answer_behind,
);
tests_on!(Newest:
    a_lost_answer_is_settled,
);

async fn a_lost_answer_is_settled(kind: Kind) {
    let server = Site::start(kind);
    let proxy = Proxy::start(server.address()).await;
    let mut node = Node::enter(at(proxy.address()), 1).await;
    node.publish(&["a"]).await;
    proxy.turn(Way::AnswersLost);
    let lost = node.try_append(vec![always(update("b"))]).await;
    assert!(matches!(lost, Err(BackendError::Away(_))), "{lost:?}");
    proxy.turn(Way::Open);
    let settled = node.backend.settle(node.member, 2).await;
    let Ok(Settled::Stored(outcomes)) = settled else {
        panic!("{settled:?}");
    };
    assert_eq!(node.tail(2).await[1].position, position(outcomes[0]));
    assert_eq!(node.publish(&["c"]).await[0], position(outcomes[0]).next());
}

async fn a_batch_that_did_not_arrive_never_will(kind: Kind) {
    let server = Site::start(kind);
    let proxy = Proxy::start(server.address()).await;
    let mut node = Node::enter(at(proxy.address()), 1).await;
    node.publish(&["a"]).await;
    proxy.turn(Way::RequestsLost);
    let batch = node.batch(vec![always(update("b"))]);
    let lost = node.backend.append(&batch).await;
    assert!(matches!(lost, Err(BackendError::Away(_))), "{lost:?}");
    proxy.turn(Way::Open);
    let settled = node.backend.settle(node.member, 2).await;
    assert_eq!(settled, Ok(Settled::Never));
    let late = node.backend.append(&batch).await;
    assert_eq!(late, Err(BackendError::OutOfOrder));
    node.publish(&["c"]).await;
    assert_eq!(node.kept().await, ["a", "c"]);
}

async fn a_cut_connection_is_made_again(kind: Kind) {
    let server = Site::start(kind);
    let proxy = Proxy::start(server.address()).await;
    let mut node = Node::enter(at(proxy.address()), 1).await;
    let first = node.publish(&["a"]).await[0];
    node.tail(1).await;
    proxy.turn(Way::Cut);
    let cut = node.backend.tail(first).await;
    assert!(matches!(cut, Err(BackendError::Away(_))), "{cut:?}");
    let cut = node.backend.page(Position::ORIGIN, LAST, 10, 1 << 20).await;
    assert!(matches!(cut, Err(BackendError::Away(_))), "{cut:?}");
    proxy.turn(Way::Open);
    let again = until(
        "it is read again",
        || node.backend.tail(first),
        Result::is_ok,
    );
    again.await.expect("it is");
    node.publish(&["b"]).await;
    assert_eq!(contents(&node.tail(1).await), ["b"]);
    proxy.turn(Way::Delayed(Duration::from_millis(20)));
    node.publish(&["c"]).await;
    assert_eq!(contents(&node.tail(1).await), ["c"]);
}

async fn a_stopped_server_is_away_and_comes_back(kind: Kind) {
    let mut server = Site::start(kind);
    let mut node = Node::enter(on(&server), 1).await;
    node.publish(&["a"]).await;
    server.suspend();
    let batch = node.batch(vec![always(update("b"))]);
    let away = within("the append gives up", node.backend.append(&batch)).await;
    assert!(matches!(away, Err(BackendError::Away(_))), "{away:?}");
    let away = within("the tail gives up", node.backend.tail(node.read)).await;
    assert!(matches!(away, Err(BackendError::Away(_))), "{away:?}");
    server.resume();
    // What was sent to the stopped server is executed when it goes on.
    let member = node.member;
    let settled = until(
        "it is settled",
        || node.backend.settle(member, 2),
        Result::is_ok,
    );
    let is_stored = settled.await != Ok(Settled::Never);
    assert_eq!(node.kept().await.len(), if is_stored { 2 } else { 1 });
    server.kill();
    let away = node.backend.beat(node.member).await;
    assert!(
        matches!(away, Err(BackendError::Away(_) | BackendError::Refusing(_))),
        "{away:?}"
    );
    server.restart();
    let again = until("it answers", || node.backend.beat(member), Result::is_ok);
    again.await.expect("it does");
}

async fn a_dropped_call_leaves_no_answer_behind(kind: Kind) {
    let server = Site::start(kind);
    let mut node = Node::enter(on(&server), 1).await;
    let first = node.publish(&["a"]).await[0];
    let second = {
        let mut waiting = Box::pin(node.backend.tail(first));
        let polled = tokio::time::timeout(Duration::from_millis(100), &mut waiting).await;
        assert!(polled.is_err());
        drop(waiting);
        let mut finding = Box::pin(node.backend.find("nothing"));
        _ = std::future::poll_fn(|context| std::task::Poll::Ready(finding.as_mut().poll(context)))
            .await;
        drop(finding);
        node.publish(&["b"]).await[0]
    };
    node.read = first;
    assert_eq!(node.tail(1).await[0].position, second);
    assert_eq!(node.kept().await, ["a", "b"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_calls_share_a_new_connection() {
    let server = Site::start(Kind::Direct);
    let node = Node::enter(on(&server), 1).await;
    let backend = Arc::new(node.backend);
    assert_eq!(backend.find("nothing").await, Ok(None));
    let others = "FROM pg_stat_activity WHERE application_name = 'talaria'";
    server.run_sql(&format!("SELECT pg_terminate_backend(pid) {others}"));
    let mut finds = JoinSet::new();
    for _ in 0..500 {
        let backend = Arc::clone(&backend);
        finds.spawn(async move { backend.find("nothing").await });
    }
    within("the calls end", finds.join_all()).await;
    let count: u64 = server
        .ask(&format!("SELECT count(*) {others}"))
        .parse()
        .unwrap();
    assert!(count < 20, "{count}");
}

/// Waiting does not mend it, but an operator may: a node that is inside goes on trying.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_without_its_tables_is_gone() {
    let server = Site::start(Kind::Direct);
    let mut node = Node::enter(on(&server), 1).await;
    node.publish(&["a"]).await;
    server.run_sql("DROP TABLE talaria.log");
    let gone = node.try_append(vec![always(update("b"))]).await;
    assert_eq!(gone, Err(BackendError::NoLog));
    let again = node.backend.attach(node.member, node.read).await;
    assert!(
        matches!(again, Err(BackendError::Fatal { .. })),
        "{again:?}"
    );
    server.run_sql("DROP SCHEMA talaria CASCADE");
    let again = node.backend.attach(node.member, node.read).await;
    assert!(again.is_ok_and(|attached| attached.is_new));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_that_holds_the_log_delays_only_publishes() {
    let server = Site::start(Kind::Direct);
    let mut node = Node::enter(on(&server), 1).await;
    let first = node.publish(&["a"]).await[0];
    let held = server.session().await;
    held.run("BEGIN; SELECT FROM talaria.state FOR UPDATE")
        .await;
    let refused = node
        .backend
        .append(&node.refused_batch(vec![always(update("b"))]))
        .await;
    assert!(
        matches!(refused, Err(BackendError::Refusing(said)) if said.contains("55P03")),
        "{refused:?}"
    );
    assert!(node.backend.beat(node.member).await.is_ok());
    assert_eq!(node.kept().await, ["a"]);
    drop(held);
    assert_eq!(node.publish(&["b"]).await[0], first.next());
}
