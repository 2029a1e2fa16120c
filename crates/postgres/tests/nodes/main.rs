//! Several nodes on one server: one order, each update once, whatever happens to the server.
#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, at a deadline of the real clock"
)]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use talaria_conformance::servers::{Postgres as Server, Postgresql};
use talaria_conformance::{within, within_time};
use talaria_postgres::{Encryption, Host, Mode, Postgres, PostgresOptions};
use talaria_protocol::Update;
use talaria_transport::shared::{Shared, SharedOptions};
use talaria_transport::{AppendError, Frame, Health, Ring, Route, Transport};
use tokio::sync::watch;

/// The role that may do everything, and its database.
const SUPERUSER: &str = "postgres";

/// Puts updates where readers look, and remembers them.
struct Shown {
    ring: Arc<Ring>,
    frames: Mutex<Vec<Arc<Frame>>>,
    count: watch::Sender<usize>,
}

impl Route for Shown {
    fn route(&self, group: &[Arc<Frame>], acknowledge: &mut dyn FnMut()) {
        self.ring.extend(group);
        self.frames.lock().unwrap().extend_from_slice(group);
        acknowledge();
        self.count.send_modify(|count| *count += group.len());
    }
}

struct Node {
    log: Shared<Postgres>,
    shown: Arc<Shown>,
}

impl Node {
    async fn open(server: &Server) -> Self {
        let address = server.address();
        let place = talaria_postgres::Server {
            host: Host::Name(address.ip().to_string()),
            address: None,
            port: address.port(),
            password: None,
        };
        let mut options = PostgresOptions::new(vec![place], SUPERUSER, SUPERUSER);
        options.encryption = Encryption {
            mode: Mode::Disable,
            ..Encryption::default()
        };
        let postgres = Arc::new(Postgres::new(options).expect("options"));
        let mut options = SharedOptions::default();
        options.publish_timeout = Duration::from_secs(3);
        let log = within("the log", Shared::open(postgres, options))
            .await
            .expect("a log");
        let shown = Arc::new(Shown {
            ring: Arc::clone(log.ring()),
            frames: Mutex::default(),
            count: watch::channel(0).0,
        });
        log.start(Arc::clone(&shown) as _);
        Self { log, shown }
    }

    async fn has(&self, count: usize) -> Vec<(String, u64)> {
        let mut shown = self.shown.count.subscribe();
        within("the updates", shown.wait_for(|shown| *shown >= count))
            .await
            .unwrap();
        let frames = self.shown.frames.lock().unwrap();
        let frames = frames.iter();
        frames
            .map(|frame| (frame.event_id.to_string(), frame.position.0))
            .collect()
    }
}

fn update(data: usize) -> Update {
    Update {
        topics: vec!["https://example.com/t".to_owned()],
        data: data.to_string(),
        ..Update::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_show_one_order() {
    let server = Server::start(Postgresql::V15);
    let nodes = [Node::open(&server).await, Node::open(&server).await];
    let mut appends = Vec::new();
    for number in 0..1_000 {
        let log = &nodes[number % 2].log;
        appends.push(tokio::spawn(log.append(update(number))));
    }
    let mut acknowledged = Vec::new();
    for append in appends {
        let appended = append.await.unwrap().expect("stored");
        acknowledged.push((appended.event_id, appended.position.0));
    }
    acknowledged.sort_by_key(|(_, position)| *position);
    for node in &nodes {
        assert_eq!(node.has(1_000).await, acknowledged);
    }
    let late = Node::open(&server).await;
    let newest = late.log.newest_id();
    assert_eq!(newest.as_ref(), acknowledged.last().map(|(id, _)| id));
}

/// While the server is gone, publishes are refused; then both nodes go on, in a new run.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_may_restart() {
    let mut server = Server::start(Postgresql::V15);
    let nodes = [Node::open(&server).await, Node::open(&server).await];
    let first = within("an answer", nodes[0].log.append(update(1))).await;
    let first = first.expect("stored");
    server.kill();
    let refused = within("an answer", nodes[0].log.append(update(2))).await;
    assert!(
        matches!(refused, Err(AppendError::Refused(_) | AppendError::Unknown)),
        "{refused:?}"
    );
    assert_ne!(nodes[0].log.health(), Health::Ready);
    server.restart();
    let stored = within_time(Duration::from_secs(30), "an answer", async {
        loop {
            match nodes[1].log.append(update(3)).await {
                Ok(appended) => return appended,
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    })
    .await;
    assert!(
        stored.position.0 >> 32 > first.position.0 >> 32,
        "a new run"
    );
    let shown = nodes[0].has(2).await;
    assert_eq!(shown, nodes[1].has(2).await);
}

/// One update by HTTP's way and one by SQL's, alternately, from several nodes: each is shown once, in one order.
#[tokio::test(flavor = "multi_thread")]
async fn updates_by_sql_are_shown_by_all_nodes() {
    let server = Server::start(Postgresql::V15);
    let nodes = [Node::open(&server).await, Node::open(&server).await];
    let mut appends = Vec::new();
    for number in 0..200 {
        appends.push(tokio::spawn(nodes[number % 2].log.append(update(number))));
        if number % 20 == 0 {
            server.run_sql("SELECT talaria.publish('{https://example.com/t}', n::text) FROM generate_series(1, 20) n");
        }
    }
    for append in appends {
        append.await.unwrap().expect("stored");
    }
    let shown = nodes[0].has(400).await;
    assert_eq!(shown.len(), 400);
    assert_eq!(shown, nodes[1].has(400).await);
}
