//! A node dies, and its many clients come back at the others at once.

use std::time::Duration;

use talaria_conformance::count;
use tokio::task::block_in_place;

use crate::nodes::{Balancer, Node};
use crate::publishers::{END, Publishers, end};
use crate::readers::{Reader, connected, ended};
use crate::servers::{Kind, Server, on_servers};
use crate::verdict::{Counts, judge};

const LIMIT: Duration = Duration::from_secs(600);
/// How many parts of the log the nodes may read from the server for all that come back.
const PAGES: u64 = 50;

/// Subscribers that are up to date when the storm begins.
async fn settled(nodes: &[Node], balancer: &Balancer) -> Vec<Reader> {
    let fields = [("topic", "https://example.com/other"), ("data", "first")];
    let first = nodes[0].publisher().published(&fields).await;
    let readers = Reader::several(balancer, count(3_000, 300), &first);
    connected(&readers).await;
    readers
}

/// Checks that all went on in order, and that few parts of the log were read for it.
async fn calm(
    what: &str,
    nodes: &[Node],
    readers: &[Reader],
    balancer: &Balancer,
    publishers: Publishers,
) {
    let records = publishers.finish(LIMIT).await;
    end(balancer).await;
    ended(readers, LIMIT).await;
    let counts: Counts = judge(&records, readers);
    let back = readers
        .iter()
        .filter(|reader| reader.seen().connections > 1);
    let mut pages = Vec::new();
    for node in nodes {
        pages.push(node.metric("talaria_cluster_pages_read_total").await);
    }
    println!(
        "cluster: {what}: {} of {} subscribers came back, pages read {pages:?}: {counts:?}",
        back.count(),
        readers.len()
    );
    assert!(pages.iter().sum::<u64>() <= PAGES, "{pages:?} pages");
    let numbers = readers[0].seen().numbers;
    assert_eq!(numbers.last(), Some(&END));
}

on_servers!(the_other_nodes_take_the_clients_of_a_killed_one: redis7, postgres15);

/// One of three nodes is killed while updates pass; its subscribers resume at the other two.
async fn the_other_nodes_take_the_clients_of_a_killed_one(kind: Kind) {
    let server = Server::start(kind);
    let start = || Node::start(&server.transport());
    let mut nodes: Vec<Node> = block_in_place(|| (0..3).map(|_| start()).collect());
    let balancer = Balancer::of(&nodes);
    let readers = settled(&nodes, &balancer).await;
    let updates = count(10_000, 1_000);
    let publishers = Publishers::start(&balancer, 6, Duration::ZERO, updates);
    publishers.until_more(updates as usize / 4, LIMIT).await;
    let victim = nodes.remove(1);
    balancer.remove(&victim);
    victim.kill();
    calm("storm", &nodes, &readers, &balancer, publishers).await;
    let came_back = |reader: &Reader| reader.seen().connections > 1;
    for (turn, reader) in readers.iter().enumerate() {
        assert_eq!(came_back(reader), turn % 3 == 1, "subscriber {turn}");
    }
}

on_servers!(nodes_that_have_just_started_take_all_clients: valkey, postgres18);

/// The same at nodes that were started a moment ago, which have everything from the server: all others are killed.
async fn nodes_that_have_just_started_take_all_clients(kind: Kind) {
    let server = Server::start(kind);
    let start = || Node::start(&server.transport());
    let before: Vec<Node> = block_in_place(|| (0..2).map(|_| start()).collect());
    let balancer = Balancer::of(&before);
    let readers = settled(&before, &balancer).await;
    let updates = count(10_000, 1_000);
    let publishers = Publishers::start(&balancer, 6, Duration::ZERO, updates);
    publishers.until_more(updates as usize / 4, LIMIT).await;
    let nodes: Vec<Node> = block_in_place(|| (0..2).map(|_| start()).collect());
    for node in &nodes {
        balancer.add(node);
    }
    for node in before {
        balancer.remove(&node);
        node.kill();
    }
    calm(
        "storm at new nodes",
        &nodes,
        &readers,
        &balancer,
        publishers,
    )
    .await;
}

on_servers!(clients_that_are_far_behind_share_what_is_read: redis8, postgres15);

/// Subscribers that are behind what the nodes have in memory share what is read from the server. Those that come when
/// the first ones are through may find nothing of it any more, so how much they share depends on how fast they come.
async fn clients_that_are_far_behind_share_what_is_read(kind: Kind) {
    let server = Server::start(kind);
    let transport = server.transport().and("ring_bytes 16MiB");
    let start = || Node::start(&transport);
    let nodes: Vec<Node> = block_in_place(|| (0..2).map(|_| start()).collect());
    let balancer = Balancer::of(&nodes);
    let publishers = Publishers::start(&balancer, 6, Duration::ZERO, count(10_000, 1_000));
    let records = publishers.finish(LIMIT).await;
    // These leave no room in memory for what was before them. What is read anew has half as much room.
    let filler = "a".repeat(512 << 10);
    let fields = [("topic", "https://example.com/other"), ("data", &*filler)];
    for _ in 0..34 {
        nodes[0].publisher().published(&fields).await;
    }
    end(&balancer).await;
    let readers = Reader::several(&balancer, count(3_000, 300), "earliest");
    ended(&readers, LIMIT).await;
    let counts = judge(&records, &readers);
    let mut pages = Vec::new();
    for node in &nodes {
        pages.push(node.metric("talaria_cluster_pages_read_total").await);
    }
    println!(
        "cluster: {} subscribers far behind: pages read {pages:?}: {counts:?}",
        readers.len()
    );
    assert!(
        pages.iter().all(|pages| *pages > 0),
        "all of it was in memory"
    );
    // Two updates that leave no room are a page.
    let alone = readers.len() as u64 * 17;
    assert!(pages.iter().sum::<u64>() <= alone / 10, "{pages:?} pages");
}
