//! "Reconnection, State Reconciliation, and Event Sourcing" on the history, which outlives the hub.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use talaria_conformance::hub::{Home, Hub};
use talaria_conformance::stream::EventStream;
use talaria_conformance::token::{exact, pattern};
use talaria_conformance::{count, within};

pub(crate) const FIELD: &str = "mercure-last-event-id";
pub(crate) const BOLT: &str = "anonymous\ntransport bolt";

pub fn bolt(options: &str) -> String {
    format!("{BOLT} {{\n{options}\n}}")
}

pub(crate) async fn publish(hub: &Hub, numbers: std::ops::RangeInclusive<u32>) -> Vec<String> {
    let mut publisher = hub.publisher().keep().await;
    let mut ids = Vec::new();
    for number in numbers {
        let data = number.to_string();
        let mine = format!("mine-{number}");
        let mut fields = vec![("topic", "a"), ("data", &*data)];
        if number % 3 == 0 {
            fields.push(("id", &mine));
        }
        ids.push(publisher.publish(&fields).await);
    }
    ids
}

pub(crate) async fn resume(hub: &Hub, id: &str) -> EventStream {
    let client = hub.client().last_event_id(id);
    client.subscribe(&[exact("a")]).await
}

/// The data of everything after a cursor.
pub(crate) async fn after(hub: &Hub, id: &str) -> Vec<String> {
    let mut stream = resume(hub, id).await;
    hub.publisher()
        .published(&[("topic", "a"), ("data", "end")])
        .await;
    stream.until("end").await
}

pub(crate) fn numbers(range: std::ops::RangeInclusive<u32>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}

/// Updates that the hub acknowledged are there after a stop and after a crash, before any publish;
/// every id resumes, those of publishers and of the hub.
#[tokio::test]
async fn a_restart_loses_nothing() {
    for sync in ["always", "interval 10s", "never"] {
        let home = Home::new();
        let options = bolt(&format!("sync {sync}"));
        let hub = home.hub(&options).expect("it starts");
        let mut ids = publish(&hub, 1..=20).await;
        hub.stop().await;
        let hub = home.hub(&options).expect("it starts");
        // This comes before any publish: the existing hub replays nothing here.
        let mut stream = resume(&hub, &ids[16]).await;
        assert_eq!(stream.header(FIELD), ids[16]);
        assert_eq!(stream.several::<3>().await, ["18", "19", "20"]);
        ids.extend(publish(&hub, 21..=40).await);
        hub.kill();
        let hub = home.hub(&options).expect("it starts");
        for (index, id) in ids.iter().enumerate() {
            let mut stream = resume(&hub, id).await;
            assert_eq!(stream.header(FIELD), id);
            for number in index + 2..=40 {
                assert_eq!(stream.data().await, number.to_string());
            }
        }
        let mut stream = resume(&hub, "earliest").await;
        assert_eq!(stream.header(FIELD), "earliest");
        for number in 1..=40 {
            assert_eq!(stream.data().await, number.to_string());
        }
    }
}

/// `size` is exact after every publish. A deleted id brings everything kept and the field
/// `earliest`, an unknown one only what comes (B-507).
#[tokio::test]
async fn size_keeps_exactly_the_newest() {
    let home = Home::new();
    let hub = home.hub(&bolt("size 5")).expect("it starts");
    let mut ids: Vec<String> = Vec::new();
    for number in 1..=12 {
        ids.extend(publish(&hub, number..=number).await);
        let first = number.saturating_sub(4).max(1);
        let mut stream = resume(&hub, "earliest").await;
        for kept in first..=number {
            assert_eq!(stream.data().await, kept.to_string());
        }
    }
    let deleted = resume(&hub, &ids[0]).await;
    assert_eq!(deleted.header(FIELD), "earliest");
    let deleted = after(&hub, &ids[0]).await;
    assert_eq!(deleted, numbers(8..=12), "all that is kept");
    // Since then `end` is there too.
    let unknown = resume(&hub, "unknown").await;
    assert_eq!(unknown.header(FIELD), "earliest");
    let mine = resume(&hub, "mine-3").await;
    assert_eq!(mine.header(FIELD), "earliest", "its record is gone");
    let mut unknown = unknown;
    publish(&hub, 13..=13).await;
    assert_eq!(unknown.data().await, "13", "live only");
}

/// `max_age` hides older updates, without a publish.
#[tokio::test]
async fn age_hides_what_is_old() {
    let home = Home::new();
    let hub = home.hub(&bolt("max_age 2s")).expect("it starts");
    let ids = publish(&hub, 1..=2).await;
    let kept = resume(&hub, &ids[0]).await;
    assert_eq!(kept.header(FIELD), ids[0]);
    let published = Instant::now();
    loop {
        let field = resume(&hub, &ids[0]).await.header(FIELD).to_owned();
        if field == "earliest" {
            break;
        }
        assert!(
            published.elapsed() < Duration::from_secs(10),
            "it is never hidden"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let mut stream = resume(&hub, "earliest").await;
    publish(&hub, 3..=3).await;
    assert_eq!(stream.data().await, "3", "nothing older is replayed");
}

/// A long replay comes in order and whole while others get live updates, and its head comes before
/// them.
#[tokio::test]
async fn a_long_replay_is_whole_and_does_not_delay_others() {
    let home = Home::new();
    let hub = home
        .hub(&bolt("sync never\nring_bytes 64KiB"))
        .expect("it starts");
    let updates = count(200_000, 20_000);
    let publishers = (0..8).map(|publisher| {
        let client = hub.publisher();
        tokio::spawn(async move {
            let mut publisher_connection = client.keep().await;
            for number in 0..updates / 8 {
                let data = format!("{publisher} {number}");
                publisher_connection
                    .publish(&[("topic", "a"), ("data", &data)])
                    .await;
            }
        })
    });
    for publisher in publishers.collect::<Vec<_>>() {
        publisher.await.expect("a publisher ends");
    }
    let mut slow = hub
        .client()
        .receive_buffer(4 << 10)
        .last_event_id("earliest")
        .subscribe(&[exact("a")])
        .await;
    assert_eq!(slow.header(FIELD), "earliest");
    let mut live = hub.client().subscribe(&[exact("a")]).await;
    let mut seen = [0; 8];
    for read in 0..updates {
        let data = slow.data().await;
        let (publisher, number) = data.split_once(' ').expect("two numbers");
        let next: &mut u32 = &mut seen[publisher.parse::<usize>().expect("a number")];
        assert_eq!(number, next.to_string(), "of publisher {publisher}");
        *next += 1;
        if read == updates / 2 {
            publish(&hub, 1..=1).await;
            assert_eq!(live.data().await, "1");
        }
    }
    assert_eq!(slow.data().await, "1");
}

/// If retention overtakes running replays, each is whole up to where it ends, and the client learns
/// of the gap when it comes back.
#[tokio::test]
async fn retention_under_running_replays_skips_nothing() {
    let home = Home::new();
    let options = bolt("sync never\nsize 500\nring_bytes 64KiB");
    // The readers stall for as long as the publisher takes.
    let directives = format!("dispatch_timeout 0s\n{options}");
    let hub = home.hub(&directives).expect("it starts");
    let data = "x".repeat(1_000);
    let mut publisher = hub.publisher().keep().await;
    let mut number = 0;
    let mut more = async |count: u32| {
        for _ in 0..count {
            number += 1;
            let data = format!("{number} {data}");
            publisher.publish(&[("topic", "a"), ("data", &data)]).await;
        }
    };
    more(500).await;
    let mut replays = Vec::new();
    for _ in 0..100 {
        let client = hub.client().receive_buffer(4 << 10);
        let client = client.last_event_id("earliest");
        replays.push(client.subscribe(&[exact("a")]).await);
    }
    more(1_500).await;
    for mut replay in replays {
        let (mut expected, mut last_id) = (1_u32, String::new());
        while let Some(event) = within("an event or the end", replay.try_event())
            .await
            .expect("an end is clean")
        {
            let got = event.data.split(' ').next().expect("a number").to_owned();
            assert_eq!(got, expected.to_string(), "nothing is skipped");
            last_id = event.id;
            expected += 1;
            if expected > 2_000 {
                break;
            }
        }
        if expected <= 2_000 {
            let again = resume(&hub, &last_id).await;
            assert_eq!(
                again.header(FIELD),
                "earliest",
                "the client learns of the gap"
            );
        }
    }
}

fn bytes_of(folder: &Path) -> u64 {
    let files = fs::read_dir(folder).expect("the history");
    let files = files.map(|file| file.and_then(|file| file.metadata()));
    files
        .map(|metadata| metadata.map_or(0, |file| file.len()))
        .sum()
}

/// A history that saw many updates occupies at most twice its live bytes.
#[tokio::test]
async fn space_is_given_back() {
    let home = Home::new();
    let (updates, size) = count((1_000_000, 10_000), (40_000, 4_000));
    let directives = bolt(&format!("sync never\nsize {size}"));
    let hub = home.hub(&directives).expect("it starts");
    let publishers = (0..32).map(|_| {
        let client = hub.publisher();
        tokio::spawn(async move {
            let mut publisher = client.keep().await;
            for _ in 0..updates / 32 {
                let data = "x".repeat(100);
                publisher.publish(&[("topic", "a"), ("data", &data)]).await;
            }
        })
    });
    for publisher in publishers.collect::<Vec<_>>() {
        publisher.await.expect("a publisher ends");
    }
    hub.stop().await;
    let stat = home.run(&["history", "stat", "--json"]);
    let stat: serde_json::Value = serde_json::from_slice(&stat.stdout).expect("JSON");
    assert_eq!(stat["updates"], size, "{stat}");
    // A record of such an update, the hub's id and topic included.
    let live = size * 250;
    let occupied = bytes_of(&home.path().join("data/caddy/mercure.db.talaria"));
    assert!(occupied <= 2 * live, "{occupied} bytes for {live}");
}

/// A subscriber of a pattern and one of exact topics resume from the same history alike.
#[tokio::test]
async fn patterns_and_exact_topics_resume_alike() {
    let home = Home::new();
    let hub = home
        .hub(&bolt("sync never\nring_bytes 64KiB"))
        .expect("it starts");
    let mut publisher = hub.publisher().keep().await;
    let mut first = String::new();
    for number in 0..3_000 {
        let topic = format!("https://example.com/{}", number % 50);
        let data = number.to_string();
        let id = publisher
            .publish(&[("topic", &topic), ("data", &data)])
            .await;
        if number == 0 {
            first = id;
        }
    }
    let matchers = [
        vec![
            exact("https://example.com/7"),
            exact("https://example.com/9"),
        ],
        vec![pattern("https://example.com/(7|9)")],
    ];
    for matchers in matchers {
        let client = hub.client().last_event_id(&first);
        let mut stream = client.subscribe(&matchers).await;
        for round in 0..60 {
            assert_eq!(stream.data().await, (round * 50 + 7).to_string());
            assert_eq!(stream.data().await, (round * 50 + 9).to_string());
        }
    }
}
