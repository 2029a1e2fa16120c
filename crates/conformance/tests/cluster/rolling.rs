//! Publishes that are repeated at another node, and nodes that are replaced one by one.

use std::time::Duration;

use talaria_conformance::count;
use talaria_conformance::token::{exact, pattern};
use tokio::task::block_in_place;

use crate::nodes::{Balancer, Node};
use crate::publishers::{Publishers, end, token};
use crate::readers::{Reader, connected, ended};
use crate::servers::{Kind, Server, on_servers};
use crate::verdict::judge;

const LIMIT: Duration = Duration::from_secs(60);

on_servers!(a_publish_that_is_repeated_elsewhere_is_stored_once: redis7, postgres15);

/// With `repeat_window`, a publish that is repeated at another node is answered with its id, and stored once.
async fn a_publish_that_is_repeated_elsewhere_is_stored_once(kind: Kind) {
    let server = Server::start(kind);
    let start = || Node::with(&server.transport(), "anonymous\nrepeat_window 10m");
    let nodes: Vec<Node> = block_in_place(|| (0..3).map(|_| start()).collect());
    let mut streams = Vec::new();
    for node in &nodes {
        let matchers = [pattern("https://example.com/t/:n")];
        streams.push(node.client().subscribe(&matchers).await);
    }
    // A publisher repeats with the token that it has.
    let token = token();
    let clients = nodes.iter().map(|node| node.client().bearer(&token));
    let clients: Vec<_> = clients.collect();
    let updates = count(200, 20);
    for number in 0..updates {
        let id = format!("urn:example:{number}");
        let data = number.to_string();
        let fields = [
            ("topic", "https://example.com/t/0"),
            ("id", &*id),
            ("data", &*data),
        ];
        // At once at two nodes, and later at the third.
        let [first, second, third] = [0, 1, 2].map(|place| &clients[(place + number) % 3]);
        let answers = tokio::join!(first.publish(&fields), second.publish(&fields));
        for answer in [answers.0, answers.1, third.publish(&fields).await] {
            assert_eq!((answer.status.as_u16(), &*answer.text), (200, &*id));
        }
    }
    let last = [("topic", "https://example.com/t/0"), ("data", "last")];
    clients[0].published(&last).await;
    for stream in &mut streams {
        let received = stream.until("last").await;
        let expected: Vec<String> = (0..updates).map(|number| number.to_string()).collect();
        assert_eq!(received, expected);
    }
    // What a subscriber reads that begins at the start comes from the log itself.
    let earliest = nodes[2].client().last_event_id("earliest");
    let mut kept = earliest
        .subscribe(&[exact("https://example.com/t/0")])
        .await;
    assert_eq!(kept.until("last").await.len(), updates);
}

on_servers!(a_rolling_update_loses_nothing: redis8, postgres15, pgbouncer);

/// Nodes are stopped and started one by one while clients publish and read: nothing is lost, and nothing is refused
/// that another node would have taken.
async fn a_rolling_update_loses_nothing(kind: Kind) {
    let server = Server::start(kind);
    let start = || Node::with(&server.transport(), "drain_timeout 1s");
    let mut nodes: Vec<Node> = block_in_place(|| (0..3).map(|_| start()).collect());
    let balancer = Balancer::of(&nodes);
    let readers = Reader::several(&balancer, count(300, 60), "earliest");
    connected(&readers).await;
    let publishers = Publishers::start(&balancer, 6, Duration::from_millis(20), u32::MAX);
    publishers.until_more(100, LIMIT).await;
    for _ in 0..3 {
        let new = block_in_place(start);
        balancer.add(&new);
        nodes.push(new);
        let old = nodes.remove(0);
        balancer.remove(&old);
        old.stop().await;
        publishers.until_more(100, LIMIT).await;
    }
    let records = publishers.stop().await;
    end(&balancer).await;
    ended(&readers, LIMIT).await;
    let counts = judge(&records, &readers);
    println!("cluster: rolling update: {counts:?}");
    for node in &nodes {
        let buried = node.metric("talaria_cluster_nodes_buried_total").await;
        assert_eq!(buried, 0, "a node that was stopped had left");
    }
}
