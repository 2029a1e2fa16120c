//! Every outcome of the appends of beginnings and ends.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use talaria_transport::{Lookup, Transport};
use tokio::task::JoinSet;

use super::faulty::{Fate, Faulty, Log};
use super::{IN_FLIGHT, count, hub, list, said, subscribe, until, until_listed, until_said};

const FATES: [(&str, Fate); 6] = [
    ("stored", Fate::Store),
    ("refused", Fate::Refuse),
    ("unknown-stored", Fate::UnknownStored),
    ("unknown-lost", Fate::UnknownLost),
    ("unknown-late", Fate::UnknownStoredLate),
    ("panic", Fate::Panic),
];

fn fate(name: &str) -> Fate {
    let fate = FATES.iter().find(|(known, _)| *known == name);
    fate.expect("a fate").1
}

/// The log holds one beginning and then one end, and the list has the subscriber in between, whatever the
/// outcome of the first attempt at each event (specification, "Active Subscriptions").
#[tokio::test(flavor = "multi_thread")]
async fn every_outcome_leads_to_one_beginning_and_one_end() {
    let mut tried = HashSet::new();
    let log = Faulty::new(move |event| {
        if !tried.insert((event.id.clone(), event.active)) {
            return Fate::Store;
        }
        let (beginning, end) = event.name.split_once('.').expect("two fates");
        fate(if event.active { beginning } else { end })
    });
    let hub = hub(&log);
    let pairs = FATES.iter().flat_map(|(beginning, _)| {
        let ends = FATES.iter();
        ends.map(move |(end, _)| format!("{beginning}.{end}"))
    });
    let names: Vec<String> = pairs.collect();
    let all = |said: &[bool]| -> BTreeMap<String, Vec<bool>> {
        let names = names.iter().cloned();
        names.map(|name| (name, said.to_vec())).collect()
    };
    let mut coming = JoinSet::new();
    for name in names.clone() {
        let hub = hub.clone();
        coming.spawn(async move { subscribe(&hub, &name).await });
    }
    let open = coming.join_all().await;
    until_said(&log, &all(&[true])).await;
    let listed: Vec<&str> = names.iter().map(String::as_str).collect();
    until_listed(&log, &hub, &listed).await;
    drop(open);
    until_said(&log, &all(&[true, false])).await;
    until_listed(&log, &hub, &[]).await;
    until(&log, "an idle hub", || async { hub.is_idle() }).await;
    assert_eq!(said(&log).await, all(&[true, false]), "nothing follows");
}

/// A subscriber may leave before the outcome of its beginning is known. If the beginning is not in the log,
/// there is no end either.
#[tokio::test(flavor = "multi_thread")]
async fn a_subscriber_that_leaves_early_is_ended_if_it_was_announced() {
    let mut tried = HashSet::new();
    let log = Faulty::new(move |event| match tried.insert(event.id.clone()) {
        true => fate(&event.name),
        false => Fate::Store,
    });
    log.stall(true);
    let hub = hub(&log);
    let names = FATES.iter().map(|(name, _)| *name);
    let mut coming = JoinSet::new();
    for name in names.filter(|name| *name != "panic") {
        let hub = hub.clone();
        coming.spawn(async move { drop(subscribe(&hub, name).await) });
    }
    until(&log, "an append for each", || async {
        log.tries.load(Ordering::Relaxed) == FATES.len() - 1
    })
    .await;
    // These clients hang up while they wait for their heads.
    coming.shutdown().await;
    log.stall(false);
    let ended = ["stored", "unknown-stored", "unknown-late"];
    let ended = ended.map(|name| (name.to_owned(), vec![true, false]));
    until_said(&log, &BTreeMap::from(ended.clone())).await;
    until(&log, "an idle hub", || async { hub.is_idle() }).await;
    assert_eq!(said(&log).await, BTreeMap::from(ended), "nothing follows");
    assert!(list(&hub).await.0.is_empty());
}

/// Each subscriber that comes and goes while the log is slow is in the log twice or not at all, and the
/// appends in flight stay bounded.
#[tokio::test(flavor = "multi_thread")]
async fn coming_and_going_on_a_slow_log_leaves_nothing_open() {
    let rounds = count(10_000, 1_500);
    let log = Faulty::new(|_| Fate::Store);
    log.slow(std::time::Duration::from_millis(100), usize::MAX);
    let hub = hub(&log);
    let mut coming = JoinSet::new();
    for round in 0..rounds {
        let hub = hub.clone();
        coming.spawn(async move {
            let name = format!("t{round}");
            let head = subscribe(&hub, &name);
            tokio::pin!(head);
            tokio::select! {
                biased;
                head = &mut head => drop(head),
                // Every third client hangs up before it has its head.
                () = tokio::time::sleep(std::time::Duration::from_millis(50)), if round % 3 == 0 => {}
            }
        });
    }
    coming.join_all().await;
    until(&log, "an idle hub", || async { hub.is_idle() }).await;
    let said = said(&log).await;
    assert!(said.values().all(|said| *said == [true, false]), "{said:?}");
    // How many left before their beginning was appended depends on the machine.
    assert!(!said.is_empty());
    assert!(list(&hub).await.0.is_empty());
    assert!(log.most_in_flight.load(Ordering::Relaxed) <= IN_FLIGHT);
}

/// The list is what the events up to its cursor say, whatever the outcomes of their appends, so that a client
/// that resumes there misses nothing and repeats nothing (specification, "Subscription API"; B-1045).
#[tokio::test(flavor = "multi_thread")]
async fn each_list_is_what_the_events_up_to_its_cursor_say() {
    let rounds = count(5_000, 400);
    let mut turn = 0_usize;
    let log = Faulty::new(move |_| {
        turn += 1;
        match turn {
            turn if turn % 97 == 0 => Fate::UnknownStored,
            turn if turn % 11 == 0 => Fate::Refuse,
            _ => Fate::Store,
        }
    });
    let hub = hub(&log);
    let mut coming = JoinSet::new();
    for worker in 0..4 {
        let hub = hub.clone();
        coming.spawn(async move {
            let mut open = Vec::new();
            for round in 0..rounds / 4 {
                open.push(subscribe(&hub, &format!("{worker}-{round}")).await);
                if round % 3 == 2 {
                    open.remove(round % open.len());
                }
                tokio::task::yield_now().await;
            }
        });
    }
    let mut lists = Vec::new();
    while !coming.is_empty() {
        lists.push(list(&hub).await);
        tokio::select! {
            Some(ended) = coming.join_next() => ended.expect("a subscriber"),
            () = tokio::time::sleep(std::time::Duration::from_millis(5)) => {}
        }
    }
    until(&log, "an idle hub", || async { hub.is_idle() }).await;
    lists.push(list(&hub).await);
    let transport = Log(Arc::clone(&log));
    for (listed, cursor) in &lists {
        let mut active = std::collections::BTreeSet::new();
        if cursor != "earliest" {
            let Ok(Lookup::Found(position)) = transport.position_of(cursor).await else {
                panic!("the cursor {cursor} is not in the log");
            };
            for event in log.events_up_to(position).await {
                match event.active {
                    true => _ = active.insert(event.name),
                    false => _ = active.remove(&event.name),
                }
            }
        }
        assert_eq!(*listed, active, "at {cursor}");
    }
    assert!(lists.last().is_some_and(|(listed, _)| listed.is_empty()));
    assert!(said(&log).await.values().all(|said| *said == [true, false]));
}
