//! Who is online, as every node says it, whichever node dies.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use talaria_conformance::hub::SUBSCRIBER_KEY;
use talaria_conformance::servers::{Proxy, Way};
use talaria_conformance::stream::EventStream;
use talaria_conformance::token::{Token, exact, pattern};
use talaria_conformance::{count, within, within_time};
use tokio::task::block_in_place;

use crate::nodes::{AUDIENCE, LEASE, Node};
use crate::servers::{Kind, Server, Transport, on_servers};

const API: &str = "/.well-known/mercure/subscriptions";
/// What grants every event and every listing.
const EVERYTHING: &str = "/.well-known/mercure/subscriptions{/*}?";
const DIRECTIVES: &str = "subscriptions";
const MARKER: &str = "https://example.com/marker";
const LIMIT: Duration = Duration::from_secs(60);
/// How many subscriptions the node has that fails.
const MANY: usize = 100;

fn start(transport: &Transport) -> Node {
    block_in_place(|| Node::with(transport, DIRECTIVES))
}

fn token() -> String {
    Token::new(AUDIENCE)
        .grant("subscribe", &[exact("*"), pattern(EVERYTHING)])
        .sign(SUBSCRIBER_KEY)
}

/// Opens streams at a node, each with a subscription to a topic of this name and a number.
async fn open(node: &Node, name: &str, count: usize) -> Vec<EventStream> {
    let mut streams = Vec::new();
    for number in 0..count {
        let client = node.client().bearer(&token());
        let topic = format!("https://example.com/{name}/{number}");
        streams.push(client.subscribe(&[exact(topic)]).await);
    }
    streams
}

/// The documents that a node lists, by their ids, without those of watchers.
async fn listed(node: &Node) -> BTreeMap<String, Value> {
    let answer = node.client().bearer(&token()).get(API).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let list: Value = serde_json::from_str(&answer.text).expect("JSON");
    let list = list["subscriptions"].as_array().expect("an array").clone();
    let named = list.into_iter().map(|one| (id_of(&one), one));
    named.filter(|(_, one)| is_counted(one)).collect()
}

fn id_of(document: &Value) -> String {
    document["id"].as_str().expect("a string").to_owned()
}

fn is_counted(document: &Value) -> bool {
    document["match"] != EVERYTHING && document["match"] != MARKER
}

/// Waits until each node lists this many, and checks that all list the same.
async fn all_list(nodes: &[&Node], count: usize) -> BTreeMap<String, Value> {
    let mut lists = Vec::new();
    for node in nodes {
        let mut list = listed(node).await;
        let waiting = async {
            while list.len() != count {
                tokio::time::sleep(Duration::from_millis(50)).await;
                list = listed(node).await;
            }
        };
        let what = format!("{} to list {count} subscriptions", node.address());
        within_time(LIMIT, &what, waiting).await;
        lists.push(list);
    }
    for list in &lists {
        assert_eq!(list, &lists[0], "the lists differ");
    }
    lists.swap_remove(0)
}

/// What the log says of each subscription: whether it is active, in order.
async fn said(node: &Node) -> BTreeMap<String, Vec<bool>> {
    let watcher = node.client().bearer(&token()).last_event_id("earliest");
    let matchers = [pattern(EVERYTHING), exact(MARKER)];
    let mut stream = watcher.subscribe(&matchers).await;
    let marker = node.publisher().published(&[("topic", MARKER)]).await;
    let mut said: BTreeMap<String, Vec<bool>> = BTreeMap::new();
    loop {
        let event = stream.event().await;
        if event.id == marker {
            return said;
        }
        if event.event_type == "mercure" {
            let document: Value = serde_json::from_str(&event.data).expect("JSON");
            if is_counted(&document) {
                let active = document["active"] == true;
                said.entry(id_of(&document)).or_default().push(active);
            }
        }
    }
}

on_servers!(subscriptions_of_killed_nodes_end_once: redis7, postgres15, pgbouncer);

/// A node with 100 subscriptions is killed, and so is the one that begins to end them: each ends once, and all nodes
/// list what is left, one that joins then too.
async fn subscriptions_of_killed_nodes_end_once(kind: Kind) {
    for round in 0..count(10, 2) {
        let server = Server::start(kind);
        let victim = start(&server.transport());
        let mut others: Vec<Node> = (0..3).map(|_| start(&server.transport())).collect();
        let _dead = open(&victim, "dead", MANY).await;
        let mut streams = Vec::new();
        for (number, node) in others.iter().enumerate() {
            streams.push(open(node, &number.to_string(), 5).await);
        }
        all_list(&[&victim, &others[0]], MANY + 15).await;
        victim.kill();
        let finding = async {
            loop {
                let buries = |node: &Node| node.has_logged("has not shown itself");
                if let Some(place) = others.iter().position(buries) {
                    return place;
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let survivor = within_time(LIMIT, "a node to bury the killed one", finding).await;
        // Before it begins, or later each time.
        tokio::time::sleep(Duration::from_millis(4 * round)).await;
        others.remove(survivor).kill();
        drop(streams.remove(survivor));
        let late = start(&server.transport());
        let ended = all_list(&[&others[0], &others[1], &late], 10).await;
        let said = said(&late).await;
        assert_eq!(said.len(), MANY + 15);
        for (id, said) in said {
            let expected: &[bool] = if ended.contains_key(&id) {
                &[true]
            } else {
                &[true, false]
            };
            assert_eq!(said, expected, "{id}");
        }
        println!(
            "cluster: {} subscriptions of two killed nodes ended once each",
            MANY + 5
        );
    }
}

on_servers!(a_node_that_was_cut_off_announces_again: valkey, postgres15);

/// The subscriptions of a node that is cut off end once, and are announced again when it is back.
async fn a_node_that_was_cut_off_announces_again(kind: Kind) {
    let server = Server::start(kind);
    let proxy = Proxy::start(server.address()).await;
    let apart = start(&server.through(&proxy));
    let node = start(&server.transport());
    let mut streams = open(&apart, "apart", MANY).await;
    let _stay = open(&node, "stay", 5).await;
    all_list(&[&apart, &node], MANY + 5).await;
    proxy.turn(Way::Cut);
    let cut = tokio::time::Instant::now();
    all_list(&[&node], 5).await;
    tokio::time::sleep_until(cut + 3 * LEASE).await;
    proxy.turn(Way::Open);
    apart.until_ready(true, LIMIT).await;
    all_list(&[&node, &apart], MANY + 5).await;
    let late = start(&server.transport());
    all_list(&[&late], MANY + 5).await;
    for (id, said) in said(&node).await {
        let expected: &[bool] = if id.contains("apart") {
            &[true, false, true]
        } else {
            &[true]
        };
        assert_eq!(said, expected, "{id}");
    }
    let fields = [("topic", "https://example.com/apart/0"), ("data", "heard")];
    node.publisher().published(&fields).await;
    assert_eq!(within("an update", streams[0].event()).await.data, "heard");
}

on_servers!(a_stopped_server_ends_no_subscription: redis8, postgres18);

/// While the server is stopped no node can tell which others live, so no subscription ends.
async fn a_stopped_server_ends_no_subscription(kind: Kind) {
    let server = Server::start(kind);
    let nodes = [start(&server.transport()), start(&server.transport())];
    let _streams = [
        open(&nodes[0], "first", MANY).await,
        open(&nodes[1], "second", MANY).await,
    ];
    all_list(&[&nodes[0], &nodes[1]], 2 * MANY).await;
    server.suspend();
    tokio::time::sleep(3 * LEASE).await;
    server.resume();
    for node in &nodes {
        node.until_ready(true, LIMIT).await;
    }
    // Who was judged dead is buried within a lease of contact.
    tokio::time::sleep(2 * LEASE).await;
    all_list(&[&nodes[0], &nodes[1]], 2 * MANY).await;
    let said = said(&nodes[0]).await;
    assert_eq!(said.len(), 2 * MANY);
    for (id, said) in said {
        assert_eq!(said, [true], "{id}");
    }
    for node in &nodes {
        assert_eq!(node.metric("talaria_cluster_nodes_buried_total").await, 0);
    }
}
