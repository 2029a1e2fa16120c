//! The primary of the servers is lost after its replicas had lost contact with it.

use std::collections::HashSet;
use std::time::Duration;

use talaria_conformance::servers::{Program, Reply};
use talaria_conformance::within_time;
use tokio::task::block_in_place;
use tokio::time::Instant;

use crate::groups::{Failure, Group};
use crate::nodes::{Balancer, Node};
use crate::publishers::{END, Outcome, Publishers, Record, end};
use crate::readers::{Grant, Reader, connected, ended};
use crate::verdict::judge;

const LIMIT: Duration = Duration::from_secs(60);

/// Ends the replication from a primary, which goes on.
async fn cut(group: &Group, primary: usize) {
    block_in_place(|| {
        for (place, server) in group.servers().iter().enumerate() {
            if place != primary {
                server.set("masterauth", "wrong");
            }
        }
        group.servers()[primary].ask(&["CLIENT", "KILL", "TYPE", "replica"]);
    });
    let server = &group.servers()[primary];
    let is_alone = || server.info("replication").contains("connected_slaves:0");
    let alone = async {
        while !block_in_place(is_alone) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    within_time(LIMIT, "the replicas to be cut off", alone).await;
}

/// Lets the servers replicate again.
fn join(group: &Group, lost: usize) {
    block_in_place(|| {
        for (place, server) in group.servers().iter().enumerate() {
            if place != lost {
                assert_eq!(
                    server.ask(&["CONFIG", "SET", "masterauth", ""]),
                    Reply::Text("OK".to_owned())
                );
            }
        }
    });
}

fn acknowledged_between(records: &[Record], after: Instant, before: Instant) -> usize {
    let between = records.iter().filter(|record| {
        record.sent > after
            && record.answered < before
            && matches!(record.outcome, Outcome::Acknowledged(_))
    });
    between.count()
}

/// With `replicas 1` nothing is acknowledged that only the lost primary has.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_no_replica_has_is_not_acknowledged() {
    let mut group = Group::sentinels(Program::Redis7);
    let transport = group.durable();
    let nodes: Vec<Node> = (0..2).map(|_| Node::start(&transport)).collect();
    let balancer = Balancer::of(&nodes);
    let readers = Reader::several(&balancer, 20, "earliest");
    connected(&readers).await;
    let publishers = Publishers::start(&balancer, 8, Duration::from_millis(5), u32::MAX);
    publishers.until_more(100, LIMIT).await;
    let primary = group.primary(None).expect("there is a primary");
    cut(&group, primary).await;
    let is_cut = Instant::now();
    for node in &nodes {
        node.until_ready(false, LIMIT).await;
    }
    let before = publishers.tally().refused;
    publishers
        .until("refusals", LIMIT, |tally| tally.refused > before + 20)
        .await;
    let killed = Instant::now();
    group.fail(primary, Failure::Killed);
    group.until_other(primary).await;
    join(&group, primary);
    publishers.until_acknowledged(LIMIT).await;
    for node in &nodes {
        node.until_ready(true, LIMIT).await;
    }
    let records = publishers.stop().await;
    end(&balancer).await;
    ended(&readers, LIMIT).await;
    let counts = judge(&records, &readers);
    println!("cluster: replication cut, `replicas 1`: {counts:?}");
    assert_eq!(acknowledged_between(&records, is_cut, killed), 0);
    assert!(counts.refused > 0, "nothing was refused");
}

/// With `replicas 0` what only the lost primary had is lost. No id is used again, subscribers go on, and the log says
/// how many updates are gone that subscribers had.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_only_the_primary_had_is_lost_and_counted() {
    let mut group = Group::sentinels(Program::Redis7);
    let nodes: Vec<Node> = (0..2).map(|_| Node::start(&group.transport())).collect();
    let balancer = Balancer::of(&nodes);
    let readers = [
        Reader::start(&balancer, 0, Grant::All, "earliest"),
        Reader::start(&balancer, 1, Grant::All, "earliest"),
    ];
    connected(&readers).await;
    let publishers = Publishers::start(&balancer, 8, Duration::from_millis(5), u32::MAX);
    publishers.until_more(100, LIMIT).await;
    let primary = group.primary(None).expect("there is a primary");
    let uncertain = Instant::now();
    cut(&group, primary).await;
    publishers.until_more(200, LIMIT).await;
    group.fail(primary, Failure::Killed);
    group.until_other(primary).await;
    join(&group, primary);
    publishers.until_acknowledged(LIMIT).await;
    let certain = Instant::now();
    publishers.until_acknowledged(LIMIT).await;
    let records = publishers.stop().await;
    end(&balancer).await;
    ended(&readers, LIMIT).await;

    let later = Reader::start(&balancer, 0, Grant::All, "earliest");
    later.ended(LIMIT).await;
    let kept = later.seen();
    for (node, reader) in nodes.iter().zip(&readers) {
        let seen = reader.seen();
        assert_eq!(seen.connections, 1, "a stream ended");
        let ids: HashSet<&String> = seen.ids.iter().collect();
        assert_eq!(ids.len(), seen.ids.len(), "an id was used twice");
        let kept: HashSet<&String> = kept.ids.iter().collect();
        let gone = ids.difference(&kept).count();
        let logged = node.log().find(0, LIMIT, |line| {
            line.contains("has lost updates").then(|| line.to_owned())
        });
        let logged = logged.expect("the loss is logged");
        println!("cluster: replication cut, `replicas 0`: {gone} updates are gone; {logged}");
        assert!(
            logged.contains(&format!("updates={gone} ")),
            "{gone}: {logged}"
        );
        let counted = node.metric("talaria_cluster_updates_lost_total").await;
        assert_eq!(usize::try_from(counted).expect("a number"), gone);
        assert!(gone > 0, "nothing is lost");
        for record in &records {
            let is_certain = record.answered < uncertain || record.sent > certain;
            if is_certain && let Outcome::Acknowledged(id) = &record.outcome {
                assert!(ids.contains(id), "not received: {record:?}");
                assert!(kept.contains(id), "not kept: {record:?}");
            }
        }
    }
    assert_eq!(kept.numbers.last(), Some(&END));
}
