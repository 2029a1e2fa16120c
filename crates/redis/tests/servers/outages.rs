//! A server that refuses, does not answer, or breaks the connection.

use std::sync::Arc;
use std::time::Duration;

use talaria_conformance::servers::{Program, Proxy, Redis as Server, Reply, Way, ask};
use talaria_conformance::within;
use talaria_transport::Position;
use talaria_transport::shared::Backend as _;
use talaria_transport::shared::backend::{BackendError, Settled};
use tokio::task::JoinSet;

use crate::support::{LAST, Node, always, at, contents, on, on_each, position, until, update};

on_each!(
    a_lost_answer_is_settled,
    a_batch_that_did_not_arrive_never_will,
    a_server_whose_memory_is_full_refuses,
    a_replica_refuses,
    a_demoted_primary_is_left,
    a_server_with_too_few_replicas_refuses,
    a_cut_connection_is_made_again,
    a_stopped_server_is_away_and_comes_back,
    a_dropped_call_leaves_no_answer_behind,
    scripts_are_loaded_again,
    a_changed_password_is_refused,
    many_calls_share_a_new_connection,
);

fn is_refusing<T: std::fmt::Debug>(answer: &Result<T, BackendError>, word: &str) {
    let refuses = matches!(answer, Err(BackendError::Refusing(said)) if said.contains(word));
    assert!(refuses, "{answer:?} instead of {word}");
}

async fn a_lost_answer_is_settled(program: Program) {
    let server = Server::start(program);
    let proxy = Proxy::start(server.address()).await;
    let mut node = Node::enter(at(proxy.address()), 1).await;
    node.publish(&["a"]).await;
    proxy.turn(Way::AnswersLost);
    let lost = node.try_append(vec![always(update("b"))]).await;
    assert!(matches!(lost, Err(BackendError::Away(_))), "{lost:?}");
    proxy.turn(Way::Open);
    let settled = node
        .backend
        .settle(node.member, 2)
        .await
        .expect("it is settled");
    let Settled::Stored(outcomes) = settled else {
        panic!("{settled:?}");
    };
    assert_eq!(node.tail(2).await[1].position, position(outcomes[0]));
    assert_eq!(node.publish(&["c"]).await[0], position(outcomes[0]).next());
}

async fn a_batch_that_did_not_arrive_never_will(program: Program) {
    let server = Server::start(program);
    let proxy = Proxy::start(server.address()).await;
    let mut node = Node::enter(at(proxy.address()), 1).await;
    node.publish(&["a"]).await;
    proxy.turn(Way::RequestsLost);
    let batch = node.batch(vec![always(update("b"))]);
    let lost = node.backend.append(&batch).await;
    assert!(matches!(lost, Err(BackendError::Away(_))), "{lost:?}");
    proxy.turn(Way::Open);
    assert_eq!(
        node.backend.settle(node.member, 2).await,
        Ok(Settled::Never)
    );
    assert_eq!(
        node.backend.append(&batch).await,
        Err(BackendError::OutOfOrder)
    );
    node.publish(&["c"]).await;
    assert_eq!(node.kept().await, ["a", "c"]);
}

async fn a_server_whose_memory_is_full_refuses(program: Program) {
    let server = Server::start(program);
    let mut node = Node::enter(on(&server), 1).await;
    node.publish(&["a"]).await;
    server.set("maxmemory", "1");
    let batch = node.batch(vec![always(update("b"))]);
    is_refusing(&node.backend.append(&batch).await, "OOM");
    // Members stay members, and what is stored is read.
    let beat = node.backend.beat(node.member).await.expect("a beat");
    assert!(beat.refusing.is_some_and(|reason| reason.contains("OOM")));
    assert_eq!(contents(&node.tail(1).await), ["a"]);
    server.set("maxmemory", "0");
    let beat = node.backend.beat(node.member).await.expect("a beat");
    assert_eq!(beat.refusing, None);
    assert!(node.backend.append(&batch).await.is_ok());
    assert_eq!(node.kept().await, ["a", "b"]);
}

async fn a_replica_refuses(program: Program) {
    let server = Server::start(program);
    let other = Server::start(program);
    let mut node = Node::enter(on(&server), 1).await;
    node.publish(&["a"]).await;
    node.tail(1).await;
    let port = other.port().to_string();
    server.ask(&["REPLICAOF", "127.0.0.1", &port]);
    // On the connection that was to a primary.
    is_refusing(&node.backend.tail(Position::ORIGIN).await, "replica");
    let batch = node.refused_batch(vec![always(update("b"))]);
    is_refusing(&node.backend.append(&batch).await, "read-only replica");
    is_refusing(&node.backend.append(&batch).await, "read-only replica");
    is_refusing(&node.backend.beat(node.member).await, "read-only replica");
    is_refusing(
        &node.backend.tail(Position::ORIGIN).await,
        "read-only replica",
    );
}

/// The connections to it go on, as with servers that do not end them.
async fn a_demoted_primary_is_left(program: Program) {
    let server = Server::start(program);
    let proxy = Proxy::start(server.address()).await;
    let mut node = Node::enter(at(proxy.address()), 1).await;
    node.publish(&["a"]).await;
    node.tail(1).await;
    let promoted = server.replica(&[]);
    promoted.ask(&["REPLICAOF", "NO", "ONE"]);
    let port = promoted.port().to_string();
    server.ask(&["REPLICAOF", "127.0.0.1", &port]);
    proxy.lead_to(promoted.address());
    let batch = node.batch(vec![always(update("b"))]);
    is_refusing(&node.backend.append(&batch).await, "read-only replica");
    assert!(node.backend.append(&batch).await.is_ok());
    assert_eq!(contents(&node.tail(1).await), ["b"]);
}

async fn a_server_with_too_few_replicas_refuses(program: Program) {
    let server = Server::start(program);
    let mut node = Node::enter(on(&server), 1).await;
    server.set("min-replicas-to-write", "1");
    let batch = node.batch(vec![always(update("a"))]);
    is_refusing(&node.backend.append(&batch).await, "NOREPLICAS");
    server.set("min-replicas-to-write", "0");
    assert!(node.backend.append(&batch).await.is_ok());
}

async fn a_cut_connection_is_made_again(program: Program) {
    let server = Server::start(program);
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
    until(
        "it is read again",
        || node.backend.tail(first),
        Result::is_ok,
    )
    .await
    .expect("it is");
    node.publish(&["b"]).await;
    assert_eq!(contents(&node.tail(1).await), ["b"]);
    proxy.turn(Way::Delayed(Duration::from_millis(20)));
    node.publish(&["c"]).await;
    assert_eq!(contents(&node.tail(1).await), ["c"]);
}

async fn a_stopped_server_is_away_and_comes_back(program: Program) {
    let mut server = Server::start(program);
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
    let settled = node
        .backend
        .settle(node.member, 2)
        .await
        .expect("it is settled");
    assert_eq!(
        node.kept().await.len(),
        if settled == Settled::Never { 1 } else { 2 }
    );
    server.kill();
    let away = node.backend.beat(node.member).await;
    assert!(matches!(away, Err(BackendError::Away(_))), "{away:?}");
    server.restart();
    until(
        "it answers again",
        || node.backend.beat(node.member),
        Result::is_ok,
    )
    .await
    .expect("it is");
}

async fn a_dropped_call_leaves_no_answer_behind(program: Program) {
    let server = Server::start(program);
    let mut node = Node::enter(on(&server), 1).await;
    let first = node.publish(&["a"]).await[0];
    let second = {
        let mut waiting = Box::pin(node.backend.tail(first));
        let polled = tokio::time::timeout(Duration::from_millis(100), &mut waiting).await;
        assert!(polled.is_err());
        drop(waiting);
        let mut appending = Box::pin(node.backend.find("nothing"));
        _ = std::future::poll_fn(|context| {
            std::task::Poll::Ready(appending.as_mut().poll(context))
        })
        .await;
        drop(appending);
        node.publish(&["b"]).await[0]
    };
    node.read = first;
    assert_eq!(node.tail(1).await[0].position, second);
    assert_eq!(node.kept().await, ["a", "b"]);
}

async fn scripts_are_loaded_again(program: Program) {
    let server = Server::start(program);
    let mut node = Node::enter(on(&server), 1).await;
    node.publish(&["a"]).await;
    assert_eq!(
        server.ask(&["SCRIPT", "FLUSH"]),
        Reply::Text("OK".to_owned())
    );
    node.publish(&["b"]).await;
    assert_eq!(node.kept().await, ["a", "b"]);
}

async fn a_changed_password_is_refused(program: Program) {
    let mut server = Server::start(program);
    let mut node = Node::enter(on(&server), 1).await;
    node.publish(&["a"]).await;
    server.set("requirepass", "new");
    assert_eq!(
        server.ask(&["PING"]),
        Reply::Error("NOAUTH Authentication required.".to_owned())
    );
    let killed = ask(
        server.address(),
        &[&["AUTH", "new"], &["CLIENT", "KILL", "TYPE", "normal"]],
    );
    assert!(matches!(killed, Ok(Reply::Text(_))), "{killed:?}");
    let answer = until(
        "the password is asked for",
        || node.backend.beat(node.member),
        |answer| matches!(answer, Err(BackendError::Refusing(_))),
    )
    .await;
    is_refusing(&answer, "password");
    server.restart();
    until(
        "it answers again",
        || node.backend.beat(node.member),
        Result::is_ok,
    )
    .await
    .expect("it is");
}

async fn many_calls_share_a_new_connection(program: Program) {
    let server = Server::start(program);
    let node = Node::enter(on(&server), 1).await;
    let backend = Arc::new(node.backend);
    assert_eq!(backend.find("nothing").await, Ok(None));
    server.ask(&["CLIENT", "KILL", "TYPE", "normal"]);
    let connections = || {
        let info = server.info("stats");
        let mut lines = info.lines();
        let count = lines.find_map(|line| line.strip_prefix("total_connections_received:"));
        count.and_then(|count| count.trim().parse::<u64>().ok())
    };
    let before = connections().expect("the server counts them");
    let mut finds = JoinSet::new();
    for _ in 0..500 {
        let backend = Arc::clone(&backend);
        finds.spawn(async move { backend.find("nothing").await });
    }
    within("the calls end", finds.join_all()).await;
    let after = connections().expect("the server counts them");
    assert!(after - before < 20, "{before} and then {after}");
}
