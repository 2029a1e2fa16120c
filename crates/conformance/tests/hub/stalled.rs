//! Sockets that stop reading are dropped after `dispatch_timeout`, and resume without a gap (B-403,
//! B-962).

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use talaria_conformance::hub::Hub;
use talaria_conformance::kernel::{Queues, connections};
use talaria_conformance::stream::EventStream;
use talaria_conformance::token::{Token, exact, now_exactly};
use talaria_conformance::{count, within, within_time};

/// What is watched of a socket that does not read.
#[derive(Default)]
struct Watched {
    queues: Queues,
    /// When bytes were seen to be added last.
    accepted: Option<Instant>,
    /// From then until the hub's end was gone.
    dropped_after: Option<Duration>,
}

/// Watches sockets in the kernel's table until the hub has dropped all, and returns for each how
/// long after the last accepted byte that was. While a client does not read, its queues grow only
/// when the hub's kernel takes a byte. (They shrink by a delayed acknowledgement, since both ends
/// count what is not acknowledged.)
async fn watch(hub: SocketAddr, ports: HashSet<u16>, limit: Duration) -> Vec<Duration> {
    let mut all: HashMap<u16, Watched> = ports
        .into_iter()
        .map(|port| (port, Watched::default()))
        .collect();
    let start = Instant::now();
    let (mut looks, mut last, mut gap) = (0, start, Duration::ZERO);
    while all.values().any(|watched| watched.dropped_after.is_none()) {
        let table = connections(hub);
        let now = Instant::now();
        (looks, gap, last) = (looks + 1, gap.max(now - last), now);
        for (port, watched) in &mut all {
            match table.get(port) {
                Some(queues) => {
                    if queues.unread() > watched.queues.unread() {
                        watched.accepted = Some(now);
                    }
                    watched.queues = *queues;
                }
                None if watched.dropped_after.is_none() => {
                    watched.dropped_after = Some(now - watched.accepted.unwrap_or(start));
                }
                None => {}
            }
        }
        assert!(
            now < start + limit,
            "{} stalled sockets are still open after {limit:?}",
            table.len()
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    println!("stalled: {looks} looks, at most {gap:?} apart");
    let times = all.values().filter_map(|watched| watched.dropped_after);
    times.collect()
}

/// 500 under `./test --full`, each dropped within 3 s of its last accepted byte.
#[tokio::test(flavor = "multi_thread")]
async fn stalled_sockets_are_dropped_and_resume() {
    let hub = Hub::start("anonymous\ndispatch_timeout 2s\ntransport memory {\nmax_bytes 256MiB\n}");
    let mut publisher = hub.publisher().keep().await;
    let first = publisher.publish(&[("topic", "a"), ("data", "0")]).await;
    let client = hub.client().receive_buffer(4096);
    let mut stalled: Vec<(EventStream, String)> = Vec::new();
    for _ in 0..count(500, 50) {
        stalled.push((client.subscribe(&[exact("a")]).await, first.clone()));
    }
    let mut quick = hub.client().subscribe(&[exact("a")]).await;

    let ports = stalled.iter().map(|(stream, _)| stream.local.port());
    let limit = Duration::from_secs(60);
    let watching = tokio::spawn(watch(hub.address, ports.collect(), limit));
    let data = "x".repeat(8 * 1024);
    for published in 1..=500 {
        publisher
            .publish(&[("topic", "a"), ("data", &format!("{published} {data}"))])
            .await;
        assert!(
            quick.data().await.starts_with(&format!("{published} ")),
            "a stalled peer delays no other"
        );
    }
    let dropped = within_time(limit, "the end of all stalled sockets", watching).await;
    let mut dropped = dropped.unwrap();
    dropped.sort();
    let (least, most) = (dropped[0], dropped[dropped.len() - 1]);
    println!(
        "stalled: {} sockets dropped {least:?} to {most:?} after their last accepted byte",
        dropped.len()
    );
    assert!(least > Duration::from_millis(1500), "too early: {least:?}");
    let bound = count(Duration::from_secs(3), Duration::from_secs(20));
    assert!(most <= bound, "too late: {most:?}");

    publisher.publish(&[("topic", "a"), ("data", "end")]).await;
    for (mut stream, mut last) in stalled {
        let mut seen = 0;
        while let Ok(Some(event)) = stream.try_event().await {
            seen += 1;
            assert!(event.data.starts_with(&format!("{seen} ")));
            last = event.id;
        }
        assert!(seen < 500, "a socket that did not read got everything");
        let mut resumed = hub
            .client()
            .last_event_id(&last)
            .subscribe(&[exact("a")])
            .await;
        assert_eq!(resumed.header("mercure-last-event-id"), last);
        for data in resumed.until("end").await {
            seen += 1;
            assert!(
                data.starts_with(&format!("{seen} ")),
                "a gap before {}",
                data.get(..8).unwrap_or_default()
            );
        }
        assert_eq!(seen, 500);
    }
}

/// "the hub MUST close the connection no later than the token's `exp` time", also when the peer
/// takes nothing and `dispatch_timeout` is off.
#[tokio::test]
async fn a_stalled_socket_is_cut_at_the_tokens_end() {
    let hub = Hub::start("anonymous\ndispatch_timeout 0s\ntransport memory");
    let exp = now_exactly().floor() + 4.0;
    let token = Token::new(&hub.audience).claim("exp", serde_json::json!(exp));
    let client = hub
        .client()
        .bearer(&hub.sign_as_subscriber(&token))
        .receive_buffer(4096);
    let stream = client.subscribe(&[exact("a")]).await;
    let mut publisher = hub.publisher().keep().await;
    let data = "x".repeat(64 * 1024);
    let published = async {
        for _ in 0..100 {
            publisher.publish(&[("topic", "a"), ("data", &data)]).await;
        }
        std::future::pending().await
    };
    let cut = async {
        while connections(hub.address).contains_key(&stream.local.port()) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    within("the end of the connection", async {
        tokio::select! {
            () = published => {}
            () = cut => {}
        }
    })
    .await;
    let late = now_exactly() - exp;
    assert!((-0.5..2.0).contains(&late), "cut {late} s after exp");
}
