//! The hub is killed at random moments: the updates that it acknowledged are there, in order,
//! exactly once.

use std::collections::HashSet;
use std::time::Duration;

use talaria_conformance::hub::{Home, Hub};
use talaria_conformance::token::exact;
use talaria_conformance::{count, within};
use tokio::task::JoinSet;

use crate::history::bolt;

const PUBLISHERS: usize = 32;
const SIZE: usize = 2_000;

/// Publishes until the hub is gone; the acknowledged ids, in order.
async fn publish_until_killed(hub: &Hub, round: usize) -> JoinSet<Vec<String>> {
    let mut publishers = JoinSet::new();
    for publisher in 0..PUBLISHERS {
        let client = hub.publisher();
        publishers.spawn(async move {
            let mut acknowledged = Vec::new();
            let Ok(mut connection) = client.try_keep().await else {
                return acknowledged;
            };
            loop {
                let number = acknowledged.len();
                let data = format!("{round} {publisher} {number}");
                let mine = format!("mine-{round}-{publisher}-{number}");
                let mut fields = vec![("topic", "a"), ("data", &*data)];
                if number % 4 == 3 {
                    fields.push(("id", &mine));
                }
                match connection.try_publish(&fields).await {
                    Some(id) => acknowledged.push(id),
                    None => return acknowledged,
                }
            }
        });
    }
    publishers
}

/// Everything that is kept, as ids in order, up to an update that is published now. That may delete the oldest
/// one before it was read, which ends the stream; then it is read from the beginning.
async fn everything_after(hub: &Hub, cursor: &str, round: usize) -> Vec<String> {
    let client = hub.client().last_event_id(cursor);
    let end = format!("end-{round}-{cursor}");
    let mut stream = client.subscribe(&[exact("a")]).await;
    hub.publisher()
        .published(&[("topic", "a"), ("data", "end"), ("id", &end)])
        .await;
    for _ in 0..3 {
        let mut ids = Vec::new();
        while let Some(event) = within("an event", stream.try_event())
            .await
            .expect("the stream lives")
        {
            if event.id == end {
                return ids;
            }
            ids.push(event.id);
        }
        stream = client.subscribe(&[exact("a")]).await;
    }
    panic!("round {round}: each stream after {cursor} ended before {end}");
}

/// Checks that the updates known so far come first, in their order, as far as they are kept, and adds
/// the others.
fn extend(known: &mut Vec<String>, kept: &[String], round: usize) {
    let start = known.iter().position(|id| Some(id) == kept.first());
    let start = start.unwrap_or_else(|| {
        assert!(
            known.is_empty() || kept.len() >= SIZE,
            "round {round}: too much is gone"
        );
        known.len()
    });
    let overlap = known.len() - start;
    assert_eq!(
        known[start..],
        kept[..overlap.min(kept.len())],
        "round {round}"
    );
    known.extend_from_slice(&kept[overlap..]);
}

/// Checks that the updates that one publisher got acknowledged are kept in their order, but for those
/// that retention may have deleted.
fn check(ids: &[String], kept: &[String], round: usize) {
    let place = |id: &String| kept.iter().position(|kept| kept == id);
    let places: Vec<_> = ids.iter().map(place).collect();
    let deleted = places.iter().take_while(|place| place.is_none()).count();
    assert!(
        deleted == 0 || kept.len() >= SIZE,
        "round {round}: one is lost"
    );
    let places: Vec<_> = places[deleted..].iter().flatten().collect();
    assert_eq!(
        places.len(),
        ids.len() - deleted,
        "round {round}: one is lost"
    );
    assert!(places.is_sorted(), "round {round}: the order changed");
}

/// After each kill every acknowledged id within retention is there, in acknowledged order, exactly
/// once, and a subscriber that resumes from its last id sees no gap.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_lose_and_double_nothing() {
    let home = Home::new();
    let directives = bolt(&format!("size {SIZE}"));
    // The order of all that was ever seen, and how much of it may have been deleted.
    let mut known: Vec<String> = Vec::new();
    let mut seed = 0x9E37_79B9_u64;
    let rounds = count(500, 50);
    for round in 0..rounds {
        let hub = home.hub(&directives).expect("it starts after a kill");
        let mut live = hub.client().subscribe(&[exact("a")]).await;
        let mut publishers = publish_until_killed(&hub, round).await;
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let patience = Duration::from_millis(5 + (seed >> 33) % 120);
        let mut received = Vec::new();
        let reading = async {
            while let Ok(Some(event)) = live.try_event().await {
                received.push(event.id);
            }
        };
        // The moment is random on purpose; nothing is expected of it.
        _ = tokio::time::timeout(patience, reading).await;
        hub.kill();
        let mut acknowledged = Vec::new();
        while let Some(ids) = publishers.join_next().await {
            acknowledged.push(ids.expect("a publisher ends"));
        }
        while let Ok(Some(event)) = live.try_event().await {
            received.push(event.id);
        }

        let hub = home.hub(&directives).expect("it starts after a kill");
        if let Some(last) = received.last() {
            let missed = everything_after(&hub, last, round).await;
            received.extend(missed);
        }
        let kept = everything_after(&hub, "earliest", round).await;
        hub.stop().await;
        let unique: HashSet<&String> = kept.iter().collect();
        assert_eq!(unique.len(), kept.len(), "an update is there twice");
        extend(&mut known, &kept, round);
        for ids in &acknowledged {
            check(ids, &kept, round);
        }
        let place = |id: &String| kept.iter().position(|kept| kept == id);
        // The subscriber's own view, before and after the kill, has no gap.
        let from = received
            .iter()
            .find_map(|id| place(id).map(|place| (id, place)));
        if let Some((id, place)) = from {
            let first = received.iter().position(|received| received == id);
            let seen = &received[first.unwrap_or_default()..];
            assert_eq!(
                seen,
                &kept[place..place + seen.len()],
                "round {round}: a gap"
            );
        }
    }
    println!("{} updates outlived {rounds} kills", known.len());
    assert!(known.len() > rounds, "hardly anything was published");
}
