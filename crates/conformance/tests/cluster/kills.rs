//! Nodes are killed while their clients publish and read.

use std::time::Duration;

use talaria_conformance::count;
use talaria_conformance::servers::{Postgresql, Program};
use tokio::task::block_in_place;
use tokio::time::Instant;

use crate::groups::{Failure, Group};
use crate::nodes::{Balancer, Node};
use crate::publishers::{Publishers, end};
use crate::readers::{Reader, connected, ended};
use crate::servers::{Kind, Server, Transport, on_servers};
use crate::verdict::judge;

/// Numbers that differ from run to run, to choose nodes and moments.
pub struct Random(u64);

impl Random {
    /// Begins with another number in each run, and for each use in it.
    pub fn of(place: u64) -> Self {
        Self(u64::from(std::process::id()) ^ place)
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) % limit
    }
}

/// Kills one of the nodes.
pub fn kill(nodes: &mut Vec<Node>, balancer: &Balancer, random: &mut Random) {
    let victim = usize::try_from(random.below(nodes.len() as u64)).expect("a small number");
    let node = nodes.swap_remove(victim);
    balancer.remove(&node);
    node.kill();
}

/// Starts another one.
pub fn start(nodes: &mut Vec<Node>, balancer: &Balancer, transport: &Transport) {
    let node = block_in_place(|| Node::start(transport));
    balancer.add(&node);
    nodes.push(node);
}

on_servers!(killed_nodes_leave_no_gap_and_no_duplicate: valkey, postgres18);

/// A random node is killed every few seconds, and another one started. Its clients go on elsewhere with their last ids,
/// without gap or duplicate. What was delivered without an acknowledgement had no answer at all.
async fn killed_nodes_leave_no_gap_and_no_duplicate(kind: Kind) {
    let server = Server::start(kind);
    let transport = server.transport();
    let mut nodes: Vec<Node> = (0..3).map(|_| Node::start(&transport)).collect();
    let balancer = Balancer::of(&nodes);
    let readers = Reader::several(&balancer, count(300, 60), "earliest");
    connected(&readers).await;
    let pause = Duration::from_millis(count(40, 20));
    let publishers = Publishers::start(&balancer, 6, pause, u32::MAX);
    let mut random = Random::of(0x9E37_79B9);
    let until = Instant::now() + Duration::from_secs(count(600, 40));
    let mut kills = 0;
    while Instant::now() < until {
        // The moment is random on purpose; nothing is expected of it.
        tokio::time::sleep(Duration::from_millis(500 + random.below(3_000))).await;
        kill(&mut nodes, &balancer, &mut random);
        start(&mut nodes, &balancer, &transport);
        kills += 1;
        publishers.until_acknowledged(Duration::from_secs(30)).await;
    }
    let records = publishers.stop().await;
    end(&balancer).await;
    ended(&readers, Duration::from_secs(120)).await;
    let counts = judge(&records, &readers);
    let connections: usize = readers.iter().map(|reader| reader.seen().connections).sum();
    println!(
        "cluster: {kind:?}: {kills} kills, {} subscribers, {connections} connections: {counts:?}",
        readers.len()
    );
    assert_eq!(counts.refused, 0, "the server was there all the time");
    assert!(
        connections > readers.len(),
        "no subscriber had to come back"
    );
}

/// The primary of the servers fails, and a node is killed before another one has taken over, or a moment later.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_may_die_while_their_primary_fails() {
    both_fail(Group::sentinels(Program::Redis8)).await;
}

/// The same on PostgreSQL, whose operator promotes the standby.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_may_die_while_their_database_fails() {
    both_fail(Group::pair(Postgresql::V15)).await;
}

async fn both_fail(mut group: Group) {
    let transport = group.durable();
    let mut nodes: Vec<Node> = block_in_place(|| (0..3).map(|_| Node::start(&transport)).collect());
    let balancer = Balancer::of(&nodes);
    let readers = Reader::several(&balancer, 30, "earliest");
    connected(&readers).await;
    let publishers = Publishers::start(&balancer, 8, Duration::from_millis(10), u32::MAX);
    let mut random = Random::of(0xC2B2_AE35);
    let limit = Duration::from_secs(60);
    let rounds = count(20, 3);
    for _ in 0..rounds {
        publishers.until_more(50, limit).await;
        let primary = group.primary(None).expect("there is a primary");
        let failure = [Failure::Killed, Failure::Stopped][usize::from(random.below(2) == 1)];
        group.fail(primary, failure);
        // The moment is random on purpose; nothing is expected of it.
        tokio::time::sleep(Duration::from_millis(random.below(4_000))).await;
        kill(&mut nodes, &balancer, &mut random);
        // Sentinels act while the node starts; the operator of a pair is this test.
        if let Group::Sentinels(_) = group {
            start(&mut nodes, &balancer, &transport);
        }
        group.until_other(primary).await;
        if let Group::Pair(_) = group {
            start(&mut nodes, &balancer, &transport);
        }
        publishers.until_acknowledged(limit).await;
        group.mend(primary, failure);
        group.until_replica(primary).await;
    }
    let records = publishers.stop().await;
    end(&balancer).await;
    ended(&readers, limit).await;
    let counts = judge(&records, &readers);
    println!("cluster: {rounds} nodes killed while the primary failed: {counts:?}");
}
