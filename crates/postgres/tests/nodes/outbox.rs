//! Publishing by SQL, in transactions that commit and in others.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use talaria_conformance::servers::{Postgres as Server, Postgresql};
use talaria_conformance::within_time;
use tokio::task::JoinSet;

use crate::is_full;
use crate::node::Node;
use crate::session::Session;

/// Connections that publish.
const CONNECTIONS: usize = 16;
const PATIENCE: Duration = Duration::from_secs(120);
/// The id of the update whose transaction stays open.
const OPEN: &str = "open";

/// Whether a transaction of a connection is rolled back.
fn is_undone(connection: usize, number: usize) -> bool {
    (connection + number).is_multiple_of(3)
}

async fn publish(server: &Server, each: usize) {
    let address = server.address();
    let mut tasks = JoinSet::new();
    for connection in 0..CONNECTIONS {
        tasks.spawn(async move {
            let session = Session::open(address).await;
            for number in 0..each {
                let end = match is_undone(connection, number) {
                    true => "ROLLBACK",
                    false => "COMMIT",
                };
                let transaction = format!(
                    "BEGIN; SELECT talaria.publish('{{/t}}', id => 'u:{connection}-{number}'); {end}"
                );
                session.run(&transaction).await;
            }
        });
    }
    within_time(PATIENCE, "all is published", tasks.join_all()).await;
}

/// Each update arrives if and only if its transaction commits, once, in the order of its connection; none waits for a
/// transaction that is open.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_committed_arrives_once() {
    let server = Server::start(Postgresql::V15);
    let nodes = [Node::open(&server).await, Node::open(&server).await];
    let open = Session::open(server.address()).await;
    open.run(&format!(
        "BEGIN; SELECT talaria.publish('{{/t}}', id => '{OPEN}')"
    ))
    .await;
    let each = if is_full() { 10_000 } else { 1_000 } / CONNECTIONS;
    publish(&server, each).await;
    let committed: BTreeSet<(usize, usize)> = (0..CONNECTIONS)
        .flat_map(|connection| (0..each).map(move |number| (connection, number)))
        .filter(|(connection, number)| !is_undone(*connection, *number))
        .collect();
    let mut shown = Vec::new();
    for node in &nodes {
        shown.push(node.has(committed.len()).await);
    }
    assert_eq!(shown[0], shown[1]);
    let mut last: HashMap<usize, usize> = HashMap::new();
    let mut arrived = BTreeSet::new();
    for seen in &shown[0] {
        let place = seen.id.strip_prefix("u:").expect("the id is ours");
        let (connection, number) = place.split_once('-').expect("the id is ours");
        let (connection, number) = (connection.parse().unwrap(), number.parse().unwrap());
        let before = last.insert(connection, number);
        assert!(before.is_none_or(|before| before < number), "{place}");
        assert!(arrived.insert((connection, number)), "{place} came twice");
    }
    assert!(arrived == committed, "{} arrived", arrived.len());

    open.run("COMMIT").await;
    for node in &nodes {
        let seen = node.has(committed.len() + 1).await;
        assert_eq!(seen.last().map(|seen| &*seen.id), Some(OPEN));
        assert_eq!(seen.len(), committed.len() + 1);
    }
}
