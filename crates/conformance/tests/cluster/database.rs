//! What a server of PostgreSQL refuses, and what its standby does not confirm.

use std::time::Duration;

use talaria_conformance::count;
use talaria_conformance::servers::{Postgres, Postgresql};
use tokio::task::block_in_place;
use tokio::time::Instant;

use crate::nodes::{Balancer, Node};
use crate::outages::Scene;
use crate::pair::Pair;
use crate::publishers::{Outcome, Publishers, end};
use crate::readers::{Reader, connected, ended};
use crate::servers::{Kind, ROLE, Server, on_servers};
use crate::verdict::judge;

const LIMIT: Duration = Duration::from_secs(60);

/// Runs a statement about the role of the hubs, and ends their sessions, so that it counts.
fn change(server: &Postgres, statement: &str) {
    server.run_sql(&format!(
        "ALTER ROLE {role} {statement}; SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{role}'",
        role = ROLE.0
    ));
}

on_servers!(streams_outlive_a_database_that_refuses: postgres18);

/// The server takes no writes, has no connection for the role, and knows another password.
async fn streams_outlive_a_database_that_refuses(kind: Kind) {
    let mut scene = Scene::start(Server::start(kind)).await;
    let short = Duration::from_secs(count(10, 1));
    let password = format!("PASSWORD '{}'", ROLE.1);
    for (what, refuses, permits) in [
        (
            "read-only",
            "SET default_transaction_read_only = on",
            "RESET default_transaction_read_only",
        ),
        ("connections", "CONNECTION LIMIT 0", "CONNECTION LIMIT -1"),
        ("password", "PASSWORD 'another'", &password),
    ] {
        block_in_place(|| change(scene.server.postgres(), refuses));
        scene.noticed(what, short).await;
        block_in_place(|| change(scene.server.postgres(), permits));
        scene.recovered(what).await;
    }
    let records = scene.finish().await;
    let counts = judge(&records, &scene.readers);
    println!("cluster: {kind:?} that refuses: {counts:?}");
    assert!(counts.refused > 0, "nothing was refused");
}

/// While the synchronous standby is stopped nothing is acknowledged, and no subscriber sees what it does not have;
/// publishes are refused at their deadline.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_standby_does_not_have_is_not_acknowledged() {
    let pair = block_in_place(|| Pair::start(Postgresql::V15));
    let transport = pair.transport();
    let start = || Node::with(&transport, "write_timeout 0s");
    let nodes: Vec<Node> = block_in_place(|| (0..2).map(|_| start()).collect());
    let balancer = Balancer::of(&nodes);
    let readers = Reader::several(&balancer, 20, "earliest");
    connected(&readers).await;
    let publishers = Publishers::start(&balancer, 8, Duration::from_millis(5), u32::MAX);
    publishers.until_more(100, LIMIT).await;

    pair.suspend(1);
    let before = publishers.tally();
    publishers
        .until("refusals", LIMIT, |tally| {
            tally.refused > before.refused + 20
        })
        .await;
    let stopped = Instant::now();
    let shown: Vec<usize> = readers
        .iter()
        .map(|reader| reader.seen().numbers.len())
        .collect();
    publishers
        .until("refusals", LIMIT, |tally| {
            tally.refused > before.refused + 40
        })
        .await;
    for (reader, shown) in readers.iter().zip(shown) {
        assert_eq!(reader.seen().numbers.len(), shown, "it is shown");
    }
    let resumed = Instant::now();
    pair.resume(1);
    publishers.until_acknowledged(LIMIT).await;

    let records = publishers.stop().await;
    end(&balancer).await;
    ended(&readers, LIMIT).await;
    let counts = judge(&records, &readers);
    println!("cluster: standby stopped: {counts:?}");
    let acknowledged = records.iter().filter(|record| {
        matches!(record.outcome, Outcome::Acknowledged(_))
            && record.answered > stopped
            && record.answered < resumed
    });
    assert_eq!(acknowledged.count(), 0, "the standby does not have them");
    for reader in &readers {
        assert_eq!(reader.seen().connections, 1, "a stream ended");
    }
}
