//! Nodes are killed while their clients publish and read.

use std::time::Duration;

use talaria_conformance::count;
use talaria_conformance::servers::{Program, Redis};
use tokio::time::Instant;

use crate::nodes::{Balancer, Node, on};
use crate::publishers::{Publishers, end};
use crate::readers::{Reader, connected, ended};
use crate::verdict::judge;

/// Numbers that differ from run to run, to choose nodes and moments.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) % limit
    }
}

/// A random node is killed every few seconds, and another one started. Its clients go on elsewhere with their last ids,
/// without gap or duplicate. What was delivered without an acknowledgement had no answer at all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_nodes_leave_no_gap_and_no_duplicate() {
    let server = Redis::start(Program::Valkey);
    let mut nodes: Vec<Node> = (0..3).map(|_| Node::start(&on(&server))).collect();
    let balancer = Balancer::of(&nodes);
    let readers = Reader::several(&balancer, count(300, 60), "earliest");
    connected(&readers).await;
    let pause = Duration::from_millis(count(40, 20));
    let publishers = Publishers::start(&balancer, 6, pause, u32::MAX);
    let mut random = Random(u64::from(std::process::id()) ^ 0x9E37_79B9);
    let until = Instant::now() + Duration::from_secs(count(600, 40));
    let mut kills = 0;
    while Instant::now() < until {
        // The moment is random on purpose; nothing is expected of it.
        tokio::time::sleep(Duration::from_millis(500 + random.below(3_000))).await;
        let victim = usize::try_from(random.below(3)).expect("a small number");
        let node = nodes.swap_remove(victim);
        balancer.remove(&node);
        node.kill();
        kills += 1;
        let transport = on(&server);
        let started = tokio::task::spawn_blocking(move || Node::start(&transport));
        let node = started.await.expect("it starts");
        balancer.add(&node);
        nodes.push(node);
        publishers.until_acknowledged(Duration::from_secs(30)).await;
    }
    let records = publishers.stop().await;
    end(&balancer).await;
    ended(&readers, Duration::from_secs(120)).await;
    let counts = judge(&records, &readers);
    let connections: usize = readers.iter().map(|reader| reader.seen().connections).sum();
    println!(
        "cluster: {kills} kills, {} subscribers, {connections} connections: {counts:?}",
        readers.len()
    );
    assert_eq!(counts.refused, 0, "the server was there all the time");
    assert!(
        connections > readers.len(),
        "no subscriber had to come back"
    );
}
