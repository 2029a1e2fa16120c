//! What is published at any node reaches the subscribers of all.

use std::time::Duration;

use talaria_conformance::count;

use crate::nodes::{Balancer, Node};
use crate::publishers::{Publishers, end};
use crate::readers::{Reader, connected, ended};
use crate::servers::{Kind, Server, on_servers};
use crate::verdict::judge;

on_servers!(three_nodes_deliver_in_one_order: redis7, postgres15, postgres18, pgbouncer);

/// Each subscriber receives all that it may, once, in one order.
async fn three_nodes_deliver_in_one_order(kind: Kind) {
    let server = Server::start(kind);
    let nodes: Vec<Node> = (0..3).map(|_| Node::start(&server.transport())).collect();
    let balancer = Balancer::of(&nodes);
    let readers = Reader::several(&balancer, 300, "earliest");
    connected(&readers).await;
    let updates = count(10_000, 1_000);
    let publishers = Publishers::start(&balancer, 6, Duration::ZERO, updates);
    let records = publishers.finish(Duration::from_secs(120)).await;
    end(&balancer).await;
    ended(&readers, Duration::from_secs(120)).await;
    let counts = judge(&records, &readers);
    println!(
        "cluster: {kind:?}: three nodes, {} subscribers: {counts:?}",
        readers.len()
    );
    assert_eq!(counts.acknowledged, updates as usize);
    for reader in &readers {
        assert_eq!(reader.seen().connections, 1, "a stream ended");
    }
}
