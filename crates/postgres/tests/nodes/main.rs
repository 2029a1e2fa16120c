//! Several nodes on one server: one order, each update once, whatever happens to the server.
#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

#[path = "../common/session.rs"]
mod session;

mod node;
mod order;
mod outbox;

use std::time::Duration;

use talaria_conformance::servers::{Postgres as Server, Postgresql};
use talaria_conformance::{within, within_time};
use talaria_transport::{AppendError, Health, Transport};

use node::{Node, Seen, update};

/// Whether the tests are to run for as long, and with as much, as a release is tested.
fn is_full() -> bool {
    std::env::var_os("TALARIA_FULL").is_some_and(|value| value == "1")
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_show_one_order() {
    let server = Server::start(Postgresql::V15);
    let nodes = [Node::open(&server).await, Node::open(&server).await];
    let mut appends = Vec::new();
    for number in 0..1_000 {
        let log = &nodes[number % 2].log;
        appends.push(tokio::spawn(log.append(update(&number))));
    }
    let mut acknowledged = Vec::new();
    for append in appends {
        let appended = append.await.unwrap().expect("stored");
        acknowledged.push(Seen {
            id: appended.event_id,
            position: appended.position.0,
        });
    }
    acknowledged.sort_by_key(|seen| seen.position);
    for node in &nodes {
        assert_eq!(node.has(1_000).await, acknowledged);
    }
    let late = Node::open(&server).await;
    let newest = late.log.newest_id();
    assert_eq!(newest.as_ref(), acknowledged.last().map(|seen| &seen.id));
}

/// While the server is gone, publishes are refused; then both nodes go on, in a new run.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_may_restart() {
    let mut server = Server::start(Postgresql::V15);
    let nodes = [Node::open(&server).await, Node::open(&server).await];
    let first = within("an answer", nodes[0].log.append(update(&1))).await;
    let first = first.expect("stored");
    server.kill();
    let refused = within("an answer", nodes[0].log.append(update(&2))).await;
    assert!(
        matches!(refused, Err(AppendError::Refused(_) | AppendError::Unknown)),
        "{refused:?}"
    );
    assert_ne!(nodes[0].log.health(), Health::Ready);
    server.restart();
    let stored = within_time(Duration::from_secs(30), "an answer", async {
        loop {
            match nodes[1].log.append(update(&3)).await {
                Ok(appended) => return appended,
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    })
    .await;
    assert!(
        stored.position.0 >> 32 > first.position.0 >> 32,
        "a new run"
    );
    let shown = nodes[0].has(2).await;
    assert_eq!(shown, nodes[1].has(2).await);
}

/// One update by HTTP's way and one by SQL's, alternately, from several nodes: each is shown once, in one order.
#[tokio::test(flavor = "multi_thread")]
async fn updates_by_sql_are_shown_by_all_nodes() {
    let server = Server::start(Postgresql::V15);
    let nodes = [Node::open(&server).await, Node::open(&server).await];
    let mut appends = Vec::new();
    for number in 0..200 {
        appends.push(tokio::spawn(nodes[number % 2].log.append(update(&number))));
        if number % 20 == 0 {
            server.run_sql("SELECT talaria.publish('{https://example.com/t}', n::text) FROM generate_series(1, 20) n");
        }
    }
    for append in appends {
        append.await.unwrap().expect("stored");
    }
    let shown = nodes[0].has(400).await;
    assert_eq!(shown.len(), 400);
    assert_eq!(shown, nodes[1].has(400).await);
}
