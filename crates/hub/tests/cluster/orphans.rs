//! The subscriptions of a node that died are ended by the others, each once.

use std::collections::BTreeMap;

use super::log::Cluster;
use super::node::{Fate, Node};
use super::{enter, hub, list, said_of, subscribe, until, until_listed, until_said};

/// A node with `count` subscriptions, which dies.
async fn die(cluster: &Cluster, count: usize) {
    let (node, hub) = enter(cluster);
    let mut open = Vec::new();
    for number in 0..count {
        open.push(subscribe(&hub, &format!("t{number:04}")).await);
    }
    until(cluster, "all beginnings", async || {
        said_of(cluster).len() >= count
    })
    .await;
    node.kill();
    drop((hub, open));
}

fn all_ended(count: usize) -> BTreeMap<String, Vec<bool>> {
    let names = (0..count).map(|number| format!("t{number:04}"));
    names.map(|name| (name, vec![true, false])).collect()
}

/// All nodes that are left try, and each subscription ends once.
#[tokio::test(flavor = "multi_thread")]
async fn the_subscriptions_of_a_dead_node_end_once() {
    let cluster = Cluster::new();
    let (_, b) = enter(&cluster);
    let (_, c) = enter(&cluster);
    let stays = subscribe(&b, "stays").await;
    die(&cluster, 700).await;
    let mut expected = all_ended(700);
    expected.insert("stays".to_owned(), vec![true]);
    until_said(&cluster, &expected).await;
    until_listed(&cluster, &[&b, &c], &["stays"]).await;
    drop(stays);
    until_listed(&cluster, &[&b, &c], &[]).await;
}

/// A node that starts when the others are dead ends what they left.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_starts_ends_what_the_dead_have_left() {
    let cluster = Cluster::new();
    die(&cluster, 20).await;
    let (_, next) = enter(&cluster);
    let stays = subscribe(&next, "stays").await;
    let mut expected = all_ended(20);
    expected.insert("stays".to_owned(), vec![true]);
    until_said(&cluster, &expected).await;
    assert_eq!(list(&next).await, ["stays"]);
    drop(stays);
}

/// Ends are appended until the log holds them, and none twice, whatever the outcomes of the first attempts.
#[tokio::test(flavor = "multi_thread")]
async fn each_ends_once_whatever_the_first_outcomes() {
    tokio::join!(
        end_after([Fate::Refuse, Fate::Refuse]),
        end_after([Fate::UnknownLost]),
        end_after([Fate::UnknownStored]),
        end_after([Fate::Store, Fate::UnknownStored, Fate::Refuse]),
    );
}

async fn end_after<const N: usize>(fates: [Fate; N]) {
    let cluster = Cluster::new();
    die(&cluster, 600).await;
    let node = Node::enter(&cluster);
    let mut fates = fates.into_iter();
    node.plan(move |_| fates.next().unwrap_or(Fate::Store));
    let next = hub(&node);
    until_said(&cluster, &all_ended(600)).await;
    until_listed(&cluster, &[&next], &[]).await;
}

/// A survivor that dies half-way leaves the rest to the next one.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_survivor_leaves_is_ended_by_the_next() {
    let cluster = Cluster::new();
    die(&cluster, 600).await;
    let survivor = Node::enter(&cluster);
    let mut parts = 0;
    survivor.plan(move |_| {
        parts += 1;
        if parts == 1 { Fate::Store } else { Fate::Stall }
    });
    let dying = hub(&survivor);
    let ended = || {
        said_of(&cluster)
            .values()
            .filter(|said| said.len() == 2)
            .count()
    };
    until(&cluster, "some ends", async || ended() > 0).await;
    assert!(ended() < 600, "a part has bounds");
    survivor.kill();
    drop(dying);
    let (_, next) = enter(&cluster);
    until_said(&cluster, &all_ended(600)).await;
    until_listed(&cluster, &[&next], &[]).await;
}
