//! What is published at any node reaches the subscribers of all.

use std::time::Duration;

use talaria_conformance::count;
use talaria_conformance::servers::{Program, Redis};

use crate::nodes::{Balancer, Node, on};
use crate::publishers::{Publishers, end};
use crate::readers::{Reader, connected, ended};
use crate::verdict::judge;

/// Each subscriber receives all that it may, once, in one order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_nodes_deliver_in_one_order() {
    let server = Redis::start(Program::Redis7);
    let nodes: Vec<Node> = (0..3).map(|_| Node::start(&on(&server))).collect();
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
        "cluster: three nodes, {} subscribers: {counts:?}",
        readers.len()
    );
    assert_eq!(counts.acknowledged, updates as usize);
    for reader in &readers {
        assert_eq!(reader.seen().connections, 1, "a stream ended");
    }
}
