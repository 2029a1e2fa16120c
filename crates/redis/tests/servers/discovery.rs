//! How the primary is found, and found again.

use std::time::Duration;

use talaria_conformance::servers::{Cluster, Program, Redis as Server, Reply, Sentinels, ask};
use talaria_conformance::within_time;
use talaria_redis::{Place, Redis, RedisOptions};
use talaria_transport::Position;
use talaria_transport::shared::Backend as _;
use talaria_transport::shared::backend::{BackendError, Member};

use crate::support::{ELECTION, Node, contents, on, on_each, run, until};

on_each!(
    sentinels_name_the_primary_and_its_successor,
    a_cluster_names_the_owner_and_its_successor,
    a_primary_that_was_stopped_is_left,
    a_unix_socket_leads_to_the_server,
    an_ipv6_address_leads_to_the_server,
);

async fn sentinels_name_the_primary_and_its_successor(program: Program) {
    let mut sentinels = Sentinels::start(program);
    let place = Place::Sentinel {
        name: sentinels.name(),
        sentinels: sentinels.addresses(),
    };
    let mut node = Node::enter(RedisOptions::new(place, "hub"), 1).await;
    let survey = node.backend.survey().await.expect("a survey");
    assert_eq!(survey.primary, sentinels.servers[0].address().to_string());
    let before = node.publish(&["a"]).await[0];
    assert_eq!(contents(&node.tail(1).await), ["a"]);
    let replicas: Vec<&Server> = sentinels.servers[1..].iter().collect();
    replicated(&replicas, 2).await;

    sentinels.servers[0].kill();
    let after = node.publish_at_last("b").await;
    assert!(run(after) > run(before));
    let new = until(
        "the sentinels agree",
        async || sentinels.primary(),
        |primary| primary.is_some_and(|primary| primary != 0),
    );
    new.await;
    tail_at_last(&mut node, "b").await;

    // The old one comes back as a replica, and no call takes it for the primary.
    sentinels.servers[0].restart();
    node.publish(&["c"]).await;
    tail_at_last(&mut node, "c").await;
    let survey = node.backend.survey().await.expect("a survey");
    assert_ne!(survey.primary, sentinels.servers[0].address().to_string());
}

async fn a_primary_that_was_stopped_is_left(program: Program) {
    let sentinels = Sentinels::start(program);
    let place = Place::Sentinel {
        name: sentinels.name(),
        sentinels: sentinels.addresses(),
    };
    let mut options = RedisOptions::new(place, "hub");
    options.replicas = 1;
    let mut node = Node::enter(options, 1).await;
    node.publish(&["a"]).await;
    tail_at_last(&mut node, "a").await;
    sentinels.servers[0].suspend();
    node.publish_at_last("b").await;
    tail_at_last(&mut node, "b").await;
    sentinels.servers[0].resume();
    node.publish_at_last("c").await;
    tail_at_last(&mut node, "c").await;
}

async fn a_cluster_names_the_owner_and_its_successor(program: Program) {
    let mut cluster = Cluster::start(program);
    let place = Place::Cluster(cluster.addresses());
    let mut node = Node::enter(RedisOptions::new(place, "hub"), 1).await;
    let owner = cluster.owner("{hub}:log");
    let survey = node.backend.survey().await.expect("a survey");
    assert_eq!(survey.primary, cluster.servers[owner].address().to_string());
    let before = node.publish(&["a"]).await[0];
    assert_eq!(contents(&node.tail(1).await), ["a"]);

    let others: Vec<&Server> = (0..6)
        .filter(|at| *at != owner)
        .map(|at| &cluster.servers[at])
        .collect();
    replicated(&others, 1).await;
    cluster.servers[owner].kill();
    let after = node.publish_at_last("b").await;
    assert!(run(after) > run(before));
    tail_at_last(&mut node, "b").await;
    cluster.servers[owner].restart();
    node.publish_at_last("c").await;
    tail_at_last(&mut node, "c").await;
}

async fn a_unix_socket_leads_to_the_server(program: Program) {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let path = folder.path().join("socket");
    let text = path.to_str().expect("it is UTF-8");
    let _server = Server::with(program, &["--unixsocket", text]);
    let mut node = Node::enter(RedisOptions::new(Place::Unix(path.clone()), "hub"), 1).await;
    let survey = node.backend.survey().await.expect("a survey");
    assert_eq!(survey.primary, format!("unix:{text}"));
    node.publish(&["a"]).await;
    assert_eq!(contents(&node.tail(1).await), ["a"]);
    let nowhere = Place::Unix(folder.path().join("nothing"));
    let away = Redis::new(RedisOptions::new(nowhere, "hub"))
        .expect("it can be used")
        .survey()
        .await;
    assert!(matches!(away, Err(BackendError::Away(_))), "{away:?}");
}

async fn an_ipv6_address_leads_to_the_server(program: Program) {
    let server = Server::start(program);
    for host in ["::1", "[::1]"] {
        let place = Place::Address {
            host: host.to_owned(),
            port: server.port(),
        };
        let backend = Redis::new(RedisOptions::new(place, "hub")).expect("it can be used");
        let survey = backend.survey().await.expect("a survey");
        assert_eq!(survey.primary, format!("[::1]:{}", server.port()));
    }
}

#[tokio::test]
async fn a_server_that_does_not_listen_is_away() {
    let server = Server::start(Program::Redis7);
    let options = on(&server);
    drop(server);
    let backend = Redis::new(options).expect("it can be used");
    let away = backend.survey().await;
    assert!(matches!(away, Err(BackendError::Away(_))), "{away:?}");
    let away = backend.attach(Member(1), Position::ORIGIN).await;
    assert!(matches!(away, Err(BackendError::Away(_))), "{away:?}");
}

/// Waits until `count` of these servers have the one update that their primary has.
async fn replicated(servers: &[&Server], count: usize) {
    let has_it = |server: &&&Server| {
        // A node of a cluster answers for its primary only if it is told so; others do not know the command.
        let asked = ask(server.address(), &[&["READONLY"], &["XLEN", "{hub}:log"]]);
        asked.is_ok_and(|reply| reply == Reply::Text("1".to_owned()))
    };
    until(
        "the replicas have it",
        async || servers.iter().filter(has_it).count(),
        |found| *found >= count,
    )
    .await;
}

/// Reads until this update comes.
async fn tail_at_last(node: &mut Node, data: &str) {
    within_time(ELECTION, "the update is read", async {
        loop {
            match node.backend.tail(node.read).await {
                Ok(records) => {
                    node.read = records.last().map_or(node.read, |record| record.position);
                    if contents(&records).iter().any(|each| each == data) {
                        return;
                    }
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    })
    .await;
}
