//! The primary of the servers fails while clients publish and read.

use std::collections::HashSet;
use std::time::Duration;

use talaria_conformance::count;
use talaria_conformance::servers::{Postgresql, Program};
use tokio::time::Instant;

use crate::groups::{Failure, Group};
use crate::nodes::{Balancer, Node};
use crate::publishers::{Outcome, Publishers, Record, end};
use crate::readers::{Reader, connected, ended};
use crate::verdict::judge;

const LIMIT: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sentinels_replace_a_killed_primary() {
    replaced(Group::sentinels(Program::Redis7), Failure::Killed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sentinels_replace_a_stopped_primary() {
    replaced(Group::sentinels(Program::Valkey), Failure::Stopped).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_replaces_a_killed_primary() {
    replaced(Group::cluster(Program::Redis8), Failure::Killed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_replaces_a_stopped_primary() {
    replaced(Group::cluster(Program::Redis7), Failure::Stopped).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_synchronous_standby_replaces_a_killed_primary() {
    replaced(Group::pair(Postgresql::V15), Failure::Killed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_synchronous_standby_replaces_a_stopped_primary() {
    replaced(Group::pair(Postgresql::V18), Failure::Stopped).await;
}

/// When a primary failed, when another one was named, and when nothing was in the way of an acknowledgement any more.
struct Round {
    failed: Instant,
    named: Instant,
    complete: Instant,
}

/// With `replicas 1`, or a synchronous standby, no acknowledged update is lost and none is received twice, and publishers are answered again soon
/// after another primary is named and has a replica.
async fn replaced(mut group: Group, failure: Failure) {
    let transport = group.durable();
    // All rounds may take longer than a stream lives otherwise.
    let start = |_| Node::with(&transport, "write_timeout 0s");
    let nodes: Vec<Node> = (0..2).map(start).collect();
    let balancer = Balancer::of(&nodes);
    let readers = Reader::several(&balancer, count(60, 30), "earliest");
    connected(&readers).await;
    let publishers = Publishers::start(&balancer, 8, Duration::from_millis(10), u32::MAX);
    let mut rounds = Vec::new();
    for _ in 0..count(20, 2) {
        publishers.until_more(100, LIMIT).await;
        let primary = group.primary(None).expect("there is a primary");
        let failed = Instant::now();
        group.fail(primary, failure);
        let other = group.until_other(primary).await;
        let named = Instant::now();
        if let Group::Cluster(_) = group {
            // The primary of a cluster's slot has no second replica that could confirm.
            group.mend(primary, failure);
        }
        group.until_replicated(other).await;
        let complete = Instant::now();
        rounds.push(Round {
            failed,
            named,
            complete,
        });
        publishers.until_acknowledged(LIMIT).await;
        if let Group::Sentinels(_) | Group::Pair(_) = group {
            group.mend(primary, failure);
            group.until_replica(primary).await;
        }
    }
    let records = publishers.stop().await;
    end(&balancer).await;
    ended(&readers, LIMIT).await;
    name_lost(&rounds, &records, &readers);
    let counts = judge(&records, &readers);
    let kind = match group {
        Group::Sentinels(_) => "Sentinel",
        Group::Cluster(_) => "Cluster",
        Group::Pair(_) => "standby",
    };
    println!(
        "cluster: {kind}, primary {failure:?}, {} rounds: {counts:?}",
        rounds.len()
    );
    report(&rounds, &records);
    for reader in &readers {
        assert_eq!(reader.seen().connections, 1, "a stream ended");
    }
}

/// Says how long each round took.
fn report(rounds: &[Round], records: &[Record]) {
    for round in rounds {
        let acknowledged = records.iter().filter(|record| {
            record.sent > round.failed && matches!(record.outcome, Outcome::Acknowledged(_))
        });
        let first = acknowledged.map(|record| record.answered).min();
        let seconds = |moment: Instant| (moment - round.failed).as_secs_f64();
        println!(
            "cluster: another primary was named after {:.2} s, had its replica after {:.2} s, the first \
             acknowledgement came after {:.2} s",
            seconds(round.named),
            seconds(round.complete),
            first.map_or(f64::NAN, seconds),
        );
    }
}

/// Says of each acknowledged update that the first subscriber did not receive when it was sent.
fn name_lost(rounds: &[Round], records: &[Record], readers: &[Reader]) {
    let received = |reader: &Reader, number: u32| reader.seen().numbers.contains(&number);
    let seen: HashSet<u32> = readers[0].seen().numbers.into_iter().collect();
    for record in records {
        if seen.contains(&record.number) || !matches!(record.outcome, Outcome::Acknowledged(_)) {
            continue;
        }
        let others = readers
            .iter()
            .filter(|reader| received(reader, record.number))
            .count();
        let mut before = rounds.iter().filter(|round| round.failed < record.answered);
        let after = rounds.iter().find(|round| round.failed >= record.answered);
        println!(
            "cluster: {} was acknowledged, {} of {} subscribers have it; {:?} after a failure, {:?} before the next",
            record.number,
            others,
            readers.len(),
            before
                .next_back()
                .map(|round| record.answered - round.failed),
            after.map(|round| round.failed - record.answered),
        );
    }
}
