//! A log that stores nothing for a while.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;

use super::faulty::{Fate, Faulty};
use super::{IN_FLIGHT, count, hub, list, said, subscribe, until, until_listed, until_said};

fn expected<const N: usize>(said: [(&str, &[bool]); N]) -> BTreeMap<String, Vec<bool>> {
    let said = said.map(|(name, said)| (name.to_owned(), said.to_vec()));
    BTreeMap::from(said)
}

async fn tries(log: &Faulty, more: usize) {
    let before = log.tries.load(Ordering::Relaxed);
    until(log, "further tries", || async {
        log.tries.load(Ordering::Relaxed) >= before + more
    })
    .await;
}

/// Heads do not wait while the log stores nothing. Beginnings and ends of that time are published once it
/// stores again, except those of subscribers that came and went meanwhile (ADR 0014).
#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_refuses_is_tried_until_it_stores() {
    let log = Faulty::new(|_| Fate::Store);
    let hub = hub(&log);
    let early = subscribe(&hub, "early").await;
    let leaves = subscribe(&hub, "leaves").await;
    until_listed(&log, &hub, &["early", "leaves"]).await;
    log.plan(|_| Fate::Refuse);
    let late = subscribe(&hub, "late").await;
    let passes = subscribe(&hub, "passes").await;
    drop(leaves);
    tries(&log, 4).await;
    drop(passes);
    // A subscription that is not in the log is not in the list.
    until_listed(&log, &hub, &["early", "leaves"]).await;
    log.plan(|_| Fate::Store);
    let after = expected([
        ("early", &[true]),
        ("leaves", &[true, false]),
        ("late", &[true]),
    ]);
    // An attempt for the one that has left may have been under way.
    let but_passes = || async {
        let mut said = said(&log).await;
        let passes = said.remove("passes").unwrap_or_default();
        assert!(
            [&[][..], &[true], &[true, false]].contains(&&passes[..]),
            "{passes:?}"
        );
        said
    };
    until(&log, "what is missing", || async {
        but_passes().await == after
    })
    .await;
    until_listed(&log, &hub, &["early", "late"]).await;
    drop((early, late));
    until(&log, "an idle hub", || async { hub.is_idle() }).await;
    let ended = expected([
        ("early", &[true, false]),
        ("leaves", &[true, false]),
        ("late", &[true, false]),
    ]);
    assert_eq!(but_passes().await, ended);
}

/// A stalled disk does not withhold the heads of streams. Their beginnings follow in the order in which they
/// came (ADR 0014).
#[tokio::test(flavor = "multi_thread")]
async fn heads_leave_while_the_log_is_stalled() {
    let log = Faulty::new(|_| Fate::Store);
    log.stall(true);
    let hub = hub(&log);
    let mut open = Vec::new();
    let names = ["t0", "t1", "t2", "t3", "t4", "t5"];
    for name in names {
        open.push(subscribe(&hub, name).await);
    }
    assert!(log.events().await.is_empty());
    assert!(list(&hub).await.0.is_empty());
    until(&log, "an append for each", || async {
        log.tries.load(Ordering::Relaxed) == names.len()
    })
    .await;
    // The end of one that leaves meanwhile is stored after its beginning.
    drop(open.remove(1));
    log.stall(false);
    let mut after = expected(names.map(|name| (name, &[true][..])));
    after.insert("t1".to_owned(), vec![true, false]);
    until_said(&log, &after).await;
    until_listed(&log, &hub, &["t0", "t2", "t3", "t4", "t5"]).await;
}

/// The order in which subscribers came is the order of their beginnings, also after an outage.
#[tokio::test(flavor = "multi_thread")]
async fn beginnings_keep_the_order_of_arrival() {
    let recovers = Arc::new(AtomicBool::new(false));
    let log = Faulty::new({
        let recovers = Arc::clone(&recovers);
        let mut stores = false;
        move |event| {
            // This is between two rounds of attempts, in which the first subscriber comes first.
            stores |= event.name == "t000" && recovers.load(Ordering::Relaxed);
            if stores { Fate::Store } else { Fate::Refuse }
        }
    });
    let hub = hub(&log);
    let mut open = Vec::new();
    for number in 0..200 {
        open.push(subscribe(&hub, &format!("t{number:03}")).await);
    }
    recovers.store(true, Ordering::Relaxed);
    until(&log, "all of them", || async {
        list(&hub).await.0.len() == 200
    })
    .await;
    let names: Vec<String> = log
        .events()
        .await
        .into_iter()
        .map(|event| event.name)
        .collect();
    assert!(names.is_sorted(), "{names:?}");
}

/// If many subscribers come at once and the log is slow and has little room, all are announced, and the
/// appends in flight stay bounded. There are 100,000 with `./test --full`.
#[tokio::test(flavor = "multi_thread")]
async fn all_that_come_at_once_are_announced() {
    let subscribers = count(100_000, 5_000);
    let log = Faulty::new(|_| Fate::Store);
    log.slow(Duration::from_millis(50), 4_000);
    let hub = hub(&log);
    let mut coming = JoinSet::new();
    for number in 0..subscribers {
        let hub = hub.clone();
        coming.spawn(async move { subscribe(&hub, &format!("t{number}")).await });
    }
    let open = coming.join_all().await;
    // A long list takes long, so it is asked for when it is probably complete.
    let all = || async {
        log.tries.load(Ordering::Relaxed) >= subscribers && list(&hub).await.0.len() == subscribers
    };
    until(&log, "all in the list", all).await;
    drop(open);
    until(&log, "an idle hub", || async { hub.is_idle() }).await;
    let said = said(&log).await;
    assert_eq!(said.len(), subscribers);
    assert!(said.values().all(|said| *said == [true, false]));
    let most = log.most_in_flight.load(Ordering::Relaxed);
    assert!(most <= IN_FLIGHT, "{most} appends in flight");
}

/// Events that the log refuses for ever do not delay those of other subscribers.
#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_is_never_stored_holds_no_other_up() {
    let log = Faulty::new(|event| match event.name.as_str() {
        "poison" => Fate::Refuse,
        _ => Fate::Store,
    });
    let hub = hub(&log);
    let _poison = subscribe(&hub, "poison").await;
    for name in ["a", "b", "c"] {
        let one = subscribe(&hub, name).await;
        until_listed(&log, &hub, &[name]).await;
        drop(one);
        until_listed(&log, &hub, &[]).await;
    }
}

/// A stopping hub waits for the ends of the subscriptions that it announced, and for no others.
#[tokio::test(flavor = "multi_thread")]
async fn a_drain_waits_for_ends_that_are_due() {
    let log = Faulty::new(|_| Fate::Store);
    let hub = hub(&log);
    let announced = subscribe(&hub, "announced").await;
    until_listed(&log, &hub, &["announced"]).await;
    log.plan(|_| Fate::Refuse);
    let unannounced = subscribe(&hub, "unannounced").await;
    hub.drain(Duration::ZERO);
    drop(unannounced);
    drop(announced);
    tries(&log, 2).await;
    assert!(!hub.is_idle(), "an end is due");
    log.plan(|_| Fate::Store);
    until(&log, "an idle hub", || async { hub.is_idle() }).await;
    let ended = expected([("announced", &[true, false])]);
    assert_eq!(said(&log).await, ended);
    // This hub announced nothing, so it waits for nothing.
    log.plan(|_| Fate::Refuse);
    let hub = super::hub(&log);
    let unannounced = subscribe(&hub, "unannounced").await;
    drop(unannounced);
    until(&log, "an idle hub", || async { hub.is_idle() }).await;
}

/// The cursor of a list that is asked for before anything was routed is not newer than the list
/// (specification, "Subscription API").
#[tokio::test(flavor = "multi_thread")]
async fn a_list_before_the_first_routed_update_has_an_older_cursor() {
    let log = Faulty::new(|_| Fate::Store);
    let hub = hub(&log);
    let transport = super::Log(Arc::clone(&log));
    log.hold_back(true);
    let publishing = tokio::task::spawn_blocking(move || {
        use talaria_transport::Transport as _;
        let update = talaria_protocol::Update {
            topics: vec!["a".to_owned()],
            ..Default::default()
        };
        // A log in memory commits and routes within the call.
        drop(transport.append(update));
    });
    let transport = super::Log(Arc::clone(&log));
    until(&log, "a commit", || async {
        use talaria_transport::Transport as _;
        transport.newest_id().is_some()
    })
    .await;
    assert_eq!(list(&hub).await.1, "earliest");
    log.hold_back(false);
    publishing.await.expect("it is routed");
    assert_ne!(list(&hub).await.1, "earliest");
}
