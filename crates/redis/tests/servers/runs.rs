//! When a new run of positions begins.

use talaria_conformance::servers::{Program, Redis as Server, Reply};
use talaria_transport::Position;
use talaria_transport::shared::Backend as _;
use talaria_transport::shared::backend::BackendError;

use crate::support::{LAST, Node, always, contents, number, on, on_each, run, until, update};

on_each!(
    a_restart_begins_a_run,
    a_promoted_replica_begins_a_run,
    a_run_whose_numbers_are_used_up_is_followed,
    a_failover_and_back_begins_a_run,
);

async fn a_restart_begins_a_run(program: Program) {
    let mut server = Server::with(program, &["--appendfsync", "always"]);
    let mut node = Node::enter(on(&server), 1).await;
    let before = node.publish(&["a", "b"]).await[1];
    server.restart();
    until(
        "the server answers again",
        || node.backend.beat(node.member),
        Result::is_ok,
    )
    .await
    .expect("it does");
    let after = node.publish(&["c", "d"]).await;
    assert!(run(after[0]) > run(before));
    assert_eq!((number(after[0]), after[1]), (1, after[0].next()));
    let page = node
        .backend
        .page(Position::ORIGIN, LAST, 10, 1 << 20)
        .await
        .expect("a page");
    let starts: Vec<_> = page
        .records
        .iter()
        .map(|record| record.run_before)
        .collect();
    assert_eq!(starts, [Some(Position::ORIGIN), None, Some(before), None]);
    assert_eq!(contents(&node.tail(4).await), ["a", "b", "c", "d"]);
}

async fn a_promoted_replica_begins_a_run(program: Program) {
    let server = Server::start(program);
    let mut node = Node::enter(on(&server), 1).await;
    let before = node.publish(&["a"]).await[0];
    let replica = server.replica(&[]);
    assert_eq!(
        replica.ask(&["REPLICAOF", "NO", "ONE"]),
        Reply::Text("OK".to_owned())
    );
    let mut there = Node::enter(on(&replica), 2).await;
    let after = there.publish(&["b"]).await[0];
    assert!(run(after) > run(before));
    there.read = before;
    assert_eq!(there.tail(1).await[0].run_before, Some(before));

    // The same member is known there, with the number of its last batch.
    there.member = node.member;
    there.number = node.number;
    let again = there.publish(&["c"]).await[0];
    assert_eq!(again, after.next());
}

async fn a_run_whose_numbers_are_used_up_is_followed(program: Program) {
    let server = Server::start(program);
    let mut node = Node::enter(on(&server), 1).await;
    let first = node.publish(&["a"]).await[0];
    server.ask(&["HSET", "{hub}:meta", "number", "4294967294"]);
    let positions = node.publish(&["b", "c", "d"]).await;
    assert_eq!(positions[0], Position(first.0 | 0xFFFF_FFFF));
    assert_eq!(
        (run(positions[1]), number(positions[1])),
        (run(first) + 1, 1)
    );
    assert_eq!(positions[2], positions[1].next());
    assert_eq!(node.tail(4).await[2].run_before, Some(positions[0]));
}

/// Without an append in between, only the id of the replication tells.
async fn a_failover_and_back_begins_a_run(program: Program) {
    let server = Server::start(program);
    let mut node = Node::enter(on(&server), 1).await;
    let before = node.publish(&["a"]).await[0];
    let other = server.replica(&[]);
    other.ask(&["REPLICAOF", "NO", "ONE"]);
    let port = other.port().to_string();
    server.ask(&["REPLICAOF", "127.0.0.1", &port]);
    assert_eq!(
        node.backend
            .tail(before)
            .await
            .map_err(|error| error.to_string()),
        Err("the server is a read-only replica (READONLY)".to_owned())
    );
    let refused = node
        .backend
        .append(&node.refused_batch(vec![always(update("b"))]))
        .await;
    assert!(
        matches!(refused, Err(BackendError::Refusing(said)) if said.contains("read-only")),
        "{refused:?}"
    );
    server.ask(&["REPLICAOF", "NO", "ONE"]);
    let after = node.publish(&["b"]).await[0];
    assert!(run(after) > run(before), "{after} follows {before}");
}
