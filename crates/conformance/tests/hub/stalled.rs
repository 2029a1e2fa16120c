//! Sockets that stop reading are dropped after `dispatch_timeout`, and resume without a gap
//! (design §4, B-403, B-962).

use std::collections::HashSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use talaria_conformance::hub::Hub;
use talaria_conformance::stream::EventStream;
use talaria_conformance::token::{Token, exact, now_exactly};
use talaria_conformance::{count, within};

/// The ports whose connection to the hub is still established at the hub's end, as the kernel says.
fn established(hub: SocketAddr) -> HashSet<u16> {
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let port = |end: &str| u16::from_str_radix(end.rsplit(':').next()?, 16).ok();
    let rows = table.lines().filter_map(|line| {
        let mut words = line.split_whitespace().skip(1);
        let (here, there, state) = (port(words.next()?)?, port(words.next()?)?, words.next()?);
        (here == hub.port() && state == "01").then_some(there)
    });
    rows.collect()
}

/// 500 under `./test --full`.
#[tokio::test(flavor = "multi_thread")]
async fn stalled_sockets_are_dropped_and_resume() {
    let limit = Duration::from_secs(2);
    let hub = Hub::start("anonymous\ndispatch_timeout 2s\ntransport memory {\nmax_bytes 256MiB\n}");
    let mut publisher = hub.publisher().keep().await;
    let first = publisher.publish(&[("topic", "a"), ("data", "0")]).await;
    let client = hub.client().receive_buffer(4096);
    let mut stalled: Vec<(EventStream, String)> = Vec::new();
    for _ in 0..count(500, 50) {
        stalled.push((client.subscribe(&[exact("a")]).await, first.clone()));
    }
    let mut quick = hub.client().subscribe(&[exact("a")]).await;

    let data = "x".repeat(8 * 1024);
    let mut published = 0;
    let start = Instant::now();
    let mut dropped = Vec::new();
    loop {
        if published < 500 {
            published += 1;
            publisher
                .publish(&[("topic", "a"), ("data", &format!("{published} {data}"))])
                .await;
            assert!(
                quick.data().await.starts_with(&format!("{published} ")),
                "a stalled peer delays nobody"
            );
        } else {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        if published % 25 != 0 {
            continue;
        }
        let ports = established(hub.address);
        let open = stalled
            .iter()
            .filter(|(stream, _)| ports.contains(&stream.local.port()))
            .count();
        dropped.resize(stalled.len() - open, start.elapsed());
        if open == 0 && published == 500 {
            break;
        }
        assert!(
            start.elapsed() < 15 * limit,
            "{open} stalled sockets are still open after {:?}",
            start.elapsed()
        );
    }
    println!(
        "stalled: dropped between {:?} and {:?}",
        dropped.first(),
        dropped.last()
    );
    assert!(
        dropped.first() > Some(&(limit - Duration::from_millis(500))),
        "too early: {:?}",
        dropped.first()
    );

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
    for _ in 0..100 {
        publisher.publish(&[("topic", "a"), ("data", &data)]).await;
    }
    within("the end of the connection", async {
        while established(hub.address).contains(&stream.local.port()) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    let late = now_exactly() - exp;
    assert!((-0.5..2.0).contains(&late), "cut {late} s after exp");
}
