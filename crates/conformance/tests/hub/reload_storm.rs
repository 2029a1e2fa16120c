//! Reloading again and again under load (B-013, B-053): streams go on, nothing is lost or doubled, and nothing is left
//! over.

use std::collections::HashMap;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use talaria_conformance::behind;
use talaria_conformance::client::Client;
use talaria_conformance::full;
use talaria_conformance::hub::PUBLISHER_KEY;
use talaria_conformance::stream::EventStream;
use talaria_conformance::token::{Token, exact};
use tokio::task::JoinSet;

use crate::running::Running;

const STAYING: &str = "the key of the subscribers that stay, of 32 bytes";
const LEAVING: &str = "the key of the subscribers that leave, of 32 bytes";

/// The two configurations: they differ in keys, limits, sites and the log.
fn text(is_first: bool) -> String {
    let leaving = format!("issuer https://leaving {{\nsubscriber {{\njwt \"{LEAVING}\"\n}}\n}}");
    let (issuer, limits, site, global) = match is_first {
        true => (
            leaving.as_str(),
            "heartbeat 20s\nmax_streams 5000",
            "",
            "log {\nlevel info\n}",
        ),
        false => (
            "",
            "heartbeat 30s\nmax_request_body_size 1MiB\ncors_origins https://a.example",
            "http://other.localhost:0 {\nlog\nrespond other\n}\n",
            "log {\nlevel warn\n}",
        ),
    };
    format!(
        "{{\n{global}\n}}\nhttp://127.0.0.1:0 {{\nmercure {{\nissuer https://staying {{\npublisher {{\njwt \"{PUBLISHER_KEY}\"\n}}\nsubscriber {{\njwt \"{STAYING}\"\n}}\n}}\n{issuer}\nanonymous\ntransport memory {{\nmax_bytes 256MiB\n}}\n{limits}\n}}\n}}\n{site}"
    )
}

struct Storm {
    hub: Running,
    stop: Arc<AtomicBool>,
}

impl Storm {
    fn token(&self, issuer: &str, key: &str, action: &str) -> String {
        let audience = format!("http://{}/.well-known/mercure", self.hub.address);
        Token::new(&audience)
            .claim("iss", issuer.into())
            .grant(action, &[exact("*")])
            .sign(key)
    }

    fn descriptors(&self) -> usize {
        let listed = fs::read_dir(format!("/proc/{}/fd", self.hub.child.id()));
        listed.unwrap().count()
    }

    /// Kibibytes of resident memory.
    fn memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.hub.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let number = line.unwrap().split_whitespace().next().unwrap();
        number.parse().unwrap()
    }

    /// A stream whose key only the first configuration has.
    async fn leaver(&self, client: &Client) -> EventStream {
        let token = self.token("https://leaving", LEAVING, "subscribe");
        let client = client.clone().bearer(&token);
        client.subscribe_with(&[("match", "other")]).await
    }

    async fn load(&self, text: String) -> u16 {
        let admin = self.hub.admin().header("content-type", "text/caddyfile");
        let text = behind::file(&text).into_owned();
        admin.send("POST", "/load", text).await.status.as_u16()
    }

    /// Publishes until it is told to stop; returns how many updates were accepted.
    async fn publish(publisher: Client, name: usize, stop: Arc<AtomicBool>) -> usize {
        let mut connection = publisher.keep().await;
        let mut sent = 0;
        while !stop.load(Ordering::Relaxed) {
            let data = format!("{name} {sent}");
            connection.publish(&[("topic", "t"), ("data", &data)]).await;
            sent += 1;
            // A client that waits for each answer would otherwise fill the memory of the test.
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        sent
    }
}

/// Reads a stream up to the update `end`; each publisher's updates must come once and in order. Returns how many came
/// of each.
async fn read(mut stream: EventStream) -> HashMap<usize, usize> {
    let mut seen: HashMap<usize, usize> = HashMap::new();
    loop {
        let data = stream.data().await;
        if data == "end" {
            return seen;
        }
        let (name, number) = data.split_once(' ').unwrap();
        let (name, number): (usize, usize) = (name.parse().unwrap(), number.parse().unwrap());
        let next = seen.entry(name).or_insert(number);
        assert_eq!(*next, number, "of publisher {name}");
        *next += 1;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_and_publishers_notice_nothing() {
    let (reloads, streams, publishers) = if full() { (100, 1000, 8) } else { (10, 100, 8) };
    let storm = Storm {
        hub: Running::start(&text(true), &[]),
        stop: Arc::default(),
    };
    let client = storm.hub.client();
    let staying = storm.token("https://staying", STAYING, "subscribe");
    let mut readers = JoinSet::new();
    for index in 0..streams {
        // Half of them have a token, half of them none.
        let client = match index % 2 {
            0 => client.clone().bearer(&staying),
            _ => client.clone(),
        };
        let stream = client.subscribe_with(&[("match", "t")]).await;
        readers.spawn(read(stream));
    }
    let mut leaver = storm.leaver(&client).await;
    let token = storm.token("https://staying", PUBLISHER_KEY, "publish");
    let publisher = client.clone().bearer(&token);
    let mut publishing = JoinSet::new();
    for name in 0..publishers {
        publishing.spawn(Storm::publish(
            publisher.clone(),
            name,
            Arc::clone(&storm.stop),
        ));
    }
    // The first round, after which buffers and the other site are there.
    assert_eq!(storm.load(text(false)).await, 200);
    leaver.end().await;
    assert_eq!(storm.load(text(true)).await, 200);
    let (descriptors, memory) = (storm.descriptors(), storm.memory());
    for _ in 0..reloads {
        assert_eq!(storm.load(text(false)).await, 200);
        assert_eq!(storm.load("wrong {".to_owned()).await, 400);
        assert_eq!(storm.load(text(true)).await, 200);
        assert_eq!(
            storm
                .load(text(true).replace("anonymous", "anonymuos"))
                .await,
            400
        );
    }
    storm.stop.store(true, Ordering::Relaxed);
    let sent: Vec<usize> = publishing.join_all().await;
    publisher
        .published(&[("topic", "t"), ("data", "end")])
        .await;
    while let Some(seen) = readers.join_next().await {
        let seen = seen.unwrap();
        let total: usize = seen.values().sum();
        assert_eq!(total, sent.iter().sum::<usize>(), "{seen:?} of {sent:?}");
    }
    println!(
        "{} reloads under {streams} streams, {} updates; memory {memory} KiB, then {} KiB",
        2 * reloads,
        sent.iter().sum::<usize>(),
        storm.memory()
    );
    // Requests to the admin listener close a moment after their answer.
    talaria_conformance::within("descriptors as before", async {
        while storm.descriptors() > descriptors {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    })
    .await;
}
