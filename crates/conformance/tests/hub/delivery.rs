//! Which updates reach which subscribers while much else is going on.

use std::time::Duration;

use talaria_conformance::hub::Hub;
use talaria_conformance::token::exact;
use talaria_conformance::{within, within_time};

/// "the hub MUST NOT dispatch it to subscribers not authorized to receive it", live, replayed,
/// through the canonical topic and an alternate one.
#[tokio::test]
async fn a_private_update_reaches_the_authorised_only() {
    let hub = Hub::ordinary();
    let start = hub.publisher().published(&[("topic", "urn:start")]).await;
    let matchers = [exact("canonical"), exact("alternate"), exact("end")];
    let clients = [
        (hub.subscriber(&[exact("canonical")]), vec!["1", "2"]),
        (hub.subscriber(&[exact("alternate")]), vec!["2"]),
        (hub.subscriber(&[exact("*")]), vec!["1", "2"]),
        (hub.subscriber(&[exact("another")]), vec![]),
        (hub.subscriber(&[]), vec![]),
        (hub.client(), vec![]),
    ];
    let mut live = Vec::new();
    for (client, _) in &clients {
        live.push(client.subscribe(&matchers).await);
    }
    let publisher = hub.publisher();
    publisher
        .published(&[("topic", "canonical"), ("data", "1"), ("private", "on")])
        .await;
    let both = [
        ("topic", "canonical"),
        ("topic", "alternate"),
        ("data", "2"),
        ("private", "on"),
    ];
    publisher.published(&both).await;
    publisher
        .published(&[("topic", "end"), ("data", "end")])
        .await;
    for (stream, (client, expected)) in live.iter_mut().zip(&clients) {
        assert_eq!(&stream.until("end").await, expected, "live");
        let mut replayed = client
            .clone()
            .last_event_id(&start)
            .subscribe(&matchers)
            .await;
        assert_eq!(&replayed.until("end").await, expected, "replayed");
    }
}

/// `bounds().floor` says where a cursor may start: a small `size` never costs a live reader an
/// update, however many publishers share a group.
#[tokio::test(flavor = "multi_thread")]
async fn a_small_size_costs_a_live_reader_nothing() {
    const PUBLISHERS: usize = 16;
    const EACH: usize = 200;
    let hub = Hub::start("anonymous\ntransport memory {\nsize 5\n}");
    let mut stream = hub.client().subscribe(&[exact("a")]).await;
    let mut publishers = tokio::task::JoinSet::new();
    for publisher in 0..PUBLISHERS {
        let client = hub.publisher();
        publishers.spawn(async move {
            let mut connection = client.keep().await;
            for number in 0..EACH {
                connection
                    .publish(&[("topic", "a"), ("data", &format!("{publisher} {number}"))])
                    .await;
            }
        });
    }
    let mut next = [0; PUBLISHERS];
    for _ in 0..PUBLISHERS * EACH {
        let data = stream.data().await;
        let (publisher, number) = data.split_once(' ').unwrap();
        let publisher: usize = publisher.parse().unwrap();
        assert_eq!(
            number.parse(),
            Ok(next[publisher]),
            "of publisher {publisher}"
        );
        next[publisher] += 1;
    }
    while let Some(done) = publishers.join_next().await {
        done.unwrap();
    }
}

/// Traffic on other topics does not pass an idle subscriber: after 64 MiB of it, twice what the
/// ring holds, the next 100 updates for that subscriber still come.
#[tokio::test]
async fn others_traffic_does_not_pass_an_idle_subscriber() {
    let hub = Hub::start("anonymous\ntransport memory {\nmax_bytes 32MiB\n}");
    let mut idle = hub.client().subscribe(&[exact("mine")]).await;
    let mut publisher = hub.publisher().keep().await;
    let data = "x".repeat(512 * 1024);
    for _ in 0..130 {
        publisher
            .publish(&[("topic", "others"), ("data", &data)])
            .await;
    }
    for number in 0..100 {
        publisher
            .publish(&[("topic", "mine"), ("data", &number.to_string())])
            .await;
    }
    for number in 0..100 {
        let data = within_time(Duration::from_secs(20), "an update", idle.data()).await;
        assert_eq!(data, number.to_string());
    }
}

/// One slow reader delays no other: it does not read while the others get everything.
#[tokio::test]
async fn a_slow_reader_does_not_delay_others() {
    let hub = Hub::start("anonymous\ntransport memory\ndispatch_timeout 0s");
    let mut slow = hub
        .client()
        .receive_buffer(4096)
        .subscribe(&[exact("a")])
        .await;
    let mut quick = hub.client().subscribe(&[exact("a")]).await;
    let mut publisher = hub.publisher().keep().await;
    let data = "x".repeat(16 * 1024);
    for number in 0..500 {
        publisher
            .publish(&[("topic", "a"), ("data", &format!("{number} {data}"))])
            .await;
        assert!(quick.data().await.starts_with(&format!("{number} ")));
    }
    for number in 0..500 {
        assert!(
            slow.data().await.starts_with(&format!("{number} ")),
            "in order, once, late"
        );
    }
}

/// On `transport memory` the hub ends a reader that the ring has passed, and never skips over
/// updates: the reader got no gap, and its next cursor shows that something is missing.
#[tokio::test]
async fn a_reader_that_was_passed_is_ended() {
    let hub = Hub::start("anonymous\ndispatch_timeout 0s\ntransport memory {\nmax_bytes 1MiB\n}");
    let mut slow = hub
        .client()
        .receive_buffer(4096)
        .subscribe(&[exact("a")])
        .await;
    let mut publisher = hub.publisher().keep().await;
    let data = "x".repeat(16 * 1024);
    let mut ids = Vec::new();
    for number in 0..500 {
        ids.push(
            publisher
                .publish(&[("topic", "a"), ("data", &format!("{number} {data}"))])
                .await,
        );
    }
    let mut seen = 0;
    while let Ok(Some(event)) = within("the end", slow.try_event()).await {
        assert!(
            event.data.starts_with(&format!("{seen} ")),
            "not {seen} but {:?}",
            event.data.get(..4)
        );
        seen += 1;
    }
    assert!(seen < 450, "8 MiB went through a ring of one");
    let resumed = hub
        .client()
        .last_event_id(&ids[seen])
        .subscribe(&[exact("a")])
        .await;
    assert_eq!(resumed.header("mercure-last-event-id"), "earliest");
}
