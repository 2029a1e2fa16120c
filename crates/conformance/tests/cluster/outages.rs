//! The server of the log fails, or what lies between, and works again.

use std::collections::HashSet;
use std::time::Duration;

use talaria_conformance::servers::{Proxy, Reply, Way, ask};
use talaria_conformance::token::exact;
use talaria_conformance::{count, within_time};
use tokio::task::block_in_place;
use tokio::time::Instant;

use crate::nodes::{Balancer, Node};
use crate::publishers::{Outcome, Publishers, Record, end};
use crate::readers::{Reader, Seen, connected, ended};
use crate::servers::{Kind, Server, Transport, on_servers};
use crate::verdict::{agree, judge};

const LIMIT: Duration = Duration::from_secs(60);
/// How much more memory a node may have afterwards.
const GROWTH: usize = 64 << 20;

/// Two nodes with a proxy between them and their server, under load.
pub struct Scene {
    pub server: Server,
    proxy: Proxy,
    nodes: Vec<Node>,
    balancer: Balancer,
    pub readers: Vec<Reader>,
    publishers: Publishers,
    before: Vec<usize>,
}

impl Scene {
    /// Starts the nodes, their subscribers and their publishers.
    pub async fn start(server: Server) -> Self {
        let proxy = Proxy::start(server.address()).await;
        let transport = server.through(&proxy);
        let start = || Node::start(&transport);
        let nodes: Vec<Node> = block_in_place(|| (0..2).map(|_| start()).collect());
        let balancer = Balancer::of(&nodes);
        let readers = Reader::several(&balancer, 200, "earliest");
        connected(&readers).await;
        let pause = Duration::from_millis(count(20, 100));
        let publishers = Publishers::start(&balancer, 4, pause, u32::MAX);
        publishers.until_more(50, LIMIT).await;
        let before = nodes.iter().map(Node::resident).collect();
        Self {
            server,
            proxy,
            nodes,
            balancer,
            readers,
            publishers,
            before,
        }
    }

    /// Waits until the nodes have noticed that the server fails, checks what publishers are told, and lets it last.
    pub async fn noticed(&self, what: &str, lasts: Duration) {
        let failed = Instant::now();
        for node in &self.nodes {
            node.until_ready(false, LIMIT).await;
        }
        let noticed = failed.elapsed();
        let asked = Instant::now();
        for node in &self.nodes {
            let fields = [("topic", "https://example.com/other"), ("data", "refused")];
            let answer = node.publisher().publish(&fields).await;
            assert_eq!(answer.status, 503, "{what}: {}", answer.text);
            assert_ne!(answer.header("retry-after"), "", "{what}");
        }
        println!(
            "cluster: {what}: noticed after {:.2} s, then two publishes are refused within {:.3} s",
            noticed.as_secs_f64(),
            asked.elapsed().as_secs_f64()
        );
        // How long it lasts is what is tested.
        tokio::time::sleep(lasts).await;
    }

    /// Waits until the nodes store updates again.
    pub async fn recovered(&self, what: &str) {
        let mended = Instant::now();
        for node in &self.nodes {
            node.until_ready(true, LIMIT).await;
        }
        self.publishers.until_more(20, LIMIT).await;
        println!(
            "cluster: {what}: 20 updates are acknowledged {:.2} s after it works again",
            mended.elapsed().as_secs_f64()
        );
    }

    /// Ends the publishing, waits until all have received everything, and checks that no stream ended and no memory
    /// was kept.
    pub async fn finish(&mut self) -> Vec<Record> {
        let none = Publishers::start(&Balancer::default(), 0, Duration::ZERO, 0);
        let records = std::mem::replace(&mut self.publishers, none).stop().await;
        end(&self.balancer).await;
        ended(&self.readers, LIMIT).await;
        for reader in &self.readers {
            assert_eq!(reader.seen().connections, 1, "a stream ended");
        }
        for (node, before) in self.nodes.iter().zip(&self.before) {
            let after = node.resident();
            println!(
                "cluster: memory of a node: {} KiB, then {} KiB",
                before >> 10,
                after >> 10
            );
            assert!(after <= before + GROWTH, "{after} bytes, not {before}");
        }
        records
    }
}

on_servers!(streams_outlive_a_server_that_is_away: redis7, postgres15);

/// The server is stopped, is killed and started again, and cannot be reached in four ways.
async fn streams_outlive_a_server_that_is_away(kind: Kind) {
    let mut scene = Scene::start(Server::start(kind)).await;
    let short = Duration::from_secs(count(10, 2));

    scene.server.suspend();
    scene
        .noticed("stopped", Duration::from_secs(count(30, 5)))
        .await;
    scene.server.resume();
    scene.recovered("stopped").await;

    scene.server.kill();
    scene.noticed("killed", short).await;
    block_in_place(|| scene.server.restart());
    scene.recovered("killed").await;

    for way in [Way::Cut, Way::RequestsLost, Way::AnswersLost] {
        let what = format!("{way:?}");
        scene.proxy.turn(way);
        scene.noticed(&what, short).await;
        scene.proxy.turn(Way::Open);
        scene.recovered(&what).await;
    }

    let records = scene.finish().await;
    let counts = judge(&records, &scene.readers);
    println!("cluster: server away: {counts:?}");
    assert!(counts.refused > 0, "nothing was refused");
}

on_servers!(streams_outlive_a_server_that_refuses: redis8);

/// The server answers that it has no memory, that it has too few replicas, that it is a replica, and that the password
/// is another one.
async fn streams_outlive_a_server_that_refuses(kind: Kind) {
    let mut scene = Scene::start(Server::start(kind)).await;
    let short = Duration::from_secs(count(10, 1));

    for (setting, refuses, permits) in [
        ("maxmemory", "1mb", "0"),
        ("min-replicas-to-write", "1", "0"),
    ] {
        block_in_place(|| scene.server.redis().set(setting, refuses));
        scene.noticed(setting, short).await;
        block_in_place(|| scene.server.redis().set(setting, permits));
        scene.recovered(setting).await;
    }

    block_in_place(|| scene.server.redis().ask(&["REPLICAOF", "127.0.0.1", "1"]));
    scene.noticed("read-only", short).await;
    block_in_place(|| scene.server.redis().ask(&["REPLICAOF", "NO", "ONE"]));
    scene.recovered("read-only").await;

    let changed = block_in_place(|| {
        let commands: [&[&str]; 2] = [
            &["CONFIG", "SET", "requirepass", "another"],
            &["CLIENT", "KILL", "TYPE", "normal"],
        ];
        ask(scene.server.address(), &commands[..1]).expect("it answers");
        let authenticated = [&["AUTH", "another"][..], commands[1]];
        ask(scene.server.address(), &authenticated).expect("it answers")
    });
    assert!(matches!(changed, Reply::Text(_)), "{changed:?}");
    scene.noticed("password", short).await;
    let restored = block_in_place(|| {
        let commands: [&[&str]; 2] = [&["AUTH", "another"], &["CONFIG", "SET", "requirepass", ""]];
        ask(scene.server.address(), &commands).expect("it answers")
    });
    assert_eq!(restored, Reply::Text("OK".to_owned()));
    scene.recovered("password").await;

    let records = scene.finish().await;
    let counts = judge(&records, &scene.readers);
    println!("cluster: server that refuses: {counts:?}");
    assert!(counts.refused > 0, "nothing was refused");
}

on_servers!(streams_outlive_a_full_disk: redis7, valkey, postgres15);

/// The disk of the server is full, so that it refuses all writes. What Redis has executed stays in its memory, and goes
/// to the disk when there is space again.
async fn streams_outlive_a_full_disk(kind: Kind) {
    let mut scene = Scene::start(Server::on_small_disk(kind)).await;
    let what = format!("disk full, {kind:?}");
    block_in_place(|| scene.server.fill_disk());
    let lasts = Duration::from_secs(count(10, 2));
    scene.noticed(&what, lasts).await;
    if let Kind::Redis(_) = kind {
        for node in &scene.nodes {
            let said = node.health().await.text;
            assert!(said.contains("MISCONF"), "{said}");
        }
    }
    block_in_place(|| scene.server.empty_disk());
    scene.recovered(&what).await;

    let records = scene.finish().await;
    let counts = judge(&records, &scene.readers);
    println!("cluster: {what}: {counts:?}");
    assert!(counts.refused > 0, "nothing was refused");
}

on_servers!(streams_outlive_a_deleted_log: valkey, postgres15);

/// The log is deleted: streams stay open and receive everything that is published afterwards.
async fn streams_outlive_a_deleted_log(kind: Kind) {
    let mut scene = Scene::start(Server::start(kind)).await;
    block_in_place(|| scene.server.delete_log());
    scene.publishers.until_acknowledged(LIMIT).await;
    let enters = |line: &str| line.contains("has entered it again").then_some(());
    for node in &scene.nodes {
        let found = block_in_place(|| node.log().find(0, LIMIT, enters));
        found.expect("the node enters the new log");
        node.until_ready(true, LIMIT).await;
    }
    // An acknowledgement of each node says that it is in the new log.
    for node in &scene.nodes {
        let fields = [("topic", "https://example.com/other"), ("data", "stored")];
        node.publisher().published(&fields).await;
    }
    let certain = Instant::now();
    scene.publishers.until_more(50, LIMIT).await;
    let records = scene.finish().await;
    for node in &scene.nodes {
        let lines = node.log().since(0);
        let count = lines.iter().filter(|line| enters(line).is_some()).count();
        assert_eq!(count, 1, "a node enters a new log once");
    }

    let first = records.iter().find(|record| record.sent > certain);
    let first = first.expect("some were sent afterwards").number;
    let reference = scene.readers[0].seen();
    for reader in &scene.readers {
        let numbers = reader.seen().numbers;
        let different: HashSet<&u32> = numbers.iter().collect();
        assert_eq!(
            different.len(),
            numbers.len(),
            "an update was received twice"
        );
    }
    let kept: HashSet<&u32> = reference.numbers.iter().collect();
    for record in records.iter().filter(|record| record.sent > certain) {
        let is_kept = kept.contains(&record.number);
        match record.outcome {
            Outcome::Acknowledged(_) => assert!(is_kept, "{record:?}"),
            Outcome::Refused => assert!(!is_kept, "{record:?}"),
            Outcome::Unanswered => {}
        }
    }
    agree(&after(&reference, first), &scene.readers, first);
    println!(
        "cluster: deleted log: {} updates before and after it",
        kept.len()
    );
}

on_servers!(a_stream_that_the_log_has_passed_ends: redis7, postgres15);

/// While a node is cut off, the log deletes what it has not read. A stream there ends, and its client sees the gap when
/// it comes back: it never receives what follows as if nothing were missing.
async fn a_stream_that_the_log_has_passed_ends(kind: Kind) {
    const KEPT: usize = 20;
    let server = Server::start(kind);
    let proxy = Proxy::start(server.address()).await;
    let start = |transport: Transport| Node::with(&transport.and(&server.keep(KEPT)), "anonymous");
    let [near, far] = block_in_place(|| [server.transport(), server.through(&proxy)].map(start));
    let publish = async |data: &str| {
        let fields = [("topic", "https://example.com/passed"), ("data", data)];
        near.publisher().published(&fields).await
    };
    let matchers = [exact("https://example.com/passed")];
    let mut stream = far.client().subscribe(&matchers).await;
    publish("first").await;
    let first = stream.event().await;
    assert_eq!(first.data, "first");

    proxy.turn(Way::Cut);
    far.until_ready(false, LIMIT).await;
    for number in 0..2 * KEPT {
        publish(&number.to_string()).await;
    }
    let deleted = async {
        while block_in_place(|| server.kept()) != KEPT {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    within_time(LIMIT, "the log deletes what is too much", deleted).await;
    proxy.turn(Way::Open);

    let next = within_time(LIMIT, "the end of the stream", stream.try_event()).await;
    let event = next.ok().flatten();
    assert!(event.is_none(), "{event:?} follows the first update");
    far.until_ready(true, LIMIT).await;
    let back = far.client().last_event_id(&first.id);
    let mut stream = back.subscribe(&matchers).await;
    assert_ne!(
        stream.header("last-event-id"),
        first.id,
        "the gap is not told"
    );
    let last = (2 * KEPT - 1).to_string();
    let kept = stream.until(&last).await;
    let expected: Vec<String> = (KEPT..2 * KEPT - 1)
        .map(|number| number.to_string())
        .collect();
    assert_eq!(kept, expected);
}

/// What was received of the updates from a number on.
fn after(seen: &Seen, first: u32) -> Seen {
    let numbers = seen.numbers.iter().copied();
    Seen {
        numbers: numbers.filter(|number| *number >= first).collect(),
        ..Seen::default()
    }
}
