//! "Active Subscriptions" while the disk stores nothing, and after that.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;
use talaria_conformance::hub::{Home, Hub};
use talaria_conformance::token::{exact, pattern};
use talaria_conformance::{PATIENCE, count, within};
use tokio::task::JoinSet;

use crate::presence::{API, EVERYTHING, listed, watcher};
use crate::running::disk_is_full;

/// The disk is that of a history.
const DIRECTIVES: &str =
    "anonymous\nsubscriptions\ndrain_timeout 1s\n# transport: the default, which is a history";

/// The matchers of the listed subscriptions, the watcher's own left out.
async fn names(hub: &Hub) -> BTreeSet<String> {
    let list = listed(&watcher(hub), API).await;
    let list = list["subscriptions"].as_array().expect("an array").clone();
    let names = list.iter().map(|one| one["match"].as_str());
    let names = names.map(|name| name.expect("a string").to_owned());
    names.filter(|name| name != EVERYTHING).collect()
}

async fn until_listed(hub: &Hub, expected: &[&str]) {
    let expected: BTreeSet<String> = expected.iter().map(|name| (*name).to_owned()).collect();
    within(&format!("the list to be {expected:?}"), async {
        while names(hub).await != expected {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}

/// What the history says of each matcher, up to an update that is published now.
async fn said(hub: &Hub) -> BTreeMap<String, Vec<bool>> {
    let mut stream = watcher(hub)
        .last_event_id("earliest")
        .subscribe(&[pattern(EVERYTHING), exact("/marker")])
        .await;
    let marker = hub.publisher().published(&[("topic", "/marker")]).await;
    let mut said: BTreeMap<String, Vec<bool>> = BTreeMap::new();
    loop {
        let event = stream.event().await;
        if event.id == marker {
            return said;
        }
        if event.event_type == "mercure" {
            let document: Value = serde_json::from_str(&event.data).expect("JSON");
            let name = document["match"].as_str().expect("a string").to_owned();
            if name != EVERYTHING && name != "/marker" {
                let active = document["active"] == true;
                said.entry(name).or_default().push(active);
            }
        }
    }
}

/// A full disk withholds no head. Once there is room, what is due is in the history and in the list: the end
/// of the subscriber that left, the beginning of the one that came, and nothing of the one that came and
/// left.
#[tokio::test]
async fn a_full_disk_withholds_no_head_and_loses_no_event() {
    let home = Home::new();
    let hub = home.hub(DIRECTIVES).expect("it starts");
    let stays = hub.client().subscribe(&[exact("stays")]).await;
    let leaves = hub.client().subscribe(&[exact("leaves")]).await;
    until_listed(&hub, &["stays", "leaves"]).await;
    disk_is_full(hub.pid(), true);
    let refused = hub.publisher().publish(&[("topic", "a")]).await;
    assert_eq!(refused.status, 503, "{}", refused.text);
    drop(leaves);
    let comes = hub.client().subscribe(&[exact("comes")]).await;
    drop(hub.client().subscribe(&[exact("passes")]).await);
    until_listed(&hub, &["stays", "leaves"]).await;
    disk_is_full(hub.pid(), false);
    until_listed(&hub, &["stays", "comes"]).await;
    drop((stays, comes));
    until_listed(&hub, &[]).await;
    let said = said(&hub).await;
    let names: Vec<&str> = said.keys().map(String::as_str).collect();
    assert_eq!(names, ["comes", "leaves", "stays"]);
    assert!(said.values().all(|said| *said == [true, false]), "{said:?}");
}

/// A hub that stops while ends cannot be stored is gone soon after its `drain_timeout`; the next one
/// stores them, each once.
#[tokio::test]
async fn a_full_disk_does_not_delay_the_exit() {
    let home = Home::new();
    let mut hub = home.hub(DIRECTIVES).expect("it starts");
    let _open = hub.client().subscribe(&[exact("open")]).await;
    let leaves = hub.client().subscribe(&[exact("leaves")]).await;
    until_listed(&hub, &["open", "leaves"]).await;
    disk_is_full(hub.pid(), true);
    drop(leaves);
    let _unannounced = hub.client().subscribe(&[exact("unannounced")]).await;
    hub.terminate();
    assert_eq!(hub.exit(PATIENCE).await.code(), Some(0));
    for _ in 0..2 {
        let hub = home.hub(DIRECTIVES).expect("it starts again");
        let mut last = BTreeMap::new();
        within("each to have ended", async {
            while last.len() != 2 || last.values().any(|said: &Vec<bool>| said.len() < 2) {
                last = said(&hub).await;
            }
        })
        .await;
        assert_eq!(last["open"], [true, false]);
        assert_eq!(last["leaves"], [true, false]);
        hub.stop().await;
    }
}

/// Many subscribers that come while the disk is full are all announced once it has room: 5,000 with
/// `./test --full`.
#[tokio::test(flavor = "multi_thread")]
async fn all_that_came_while_the_disk_was_full_are_announced() {
    let subscribers = count(5_000, 400);
    let home = Home::new();
    let hub = home.hub(DIRECTIVES).expect("it starts");
    disk_is_full(hub.pid(), true);
    let mut coming = JoinSet::new();
    for number in 0..subscribers {
        let client = hub.client();
        coming.spawn(async move { client.subscribe(&[exact(format!("t{number}"))]).await });
    }
    let open = coming.join_all().await;
    assert!(names(&hub).await.is_empty());
    disk_is_full(hub.pid(), false);
    within("all to be listed", async {
        while names(&hub).await.len() != subscribers {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    drop(open);
    until_listed(&hub, &[]).await;
    let said = said(&hub).await;
    assert_eq!(said.len(), subscribers);
    assert!(said.values().all(|said| *said == [true, false]));
}
