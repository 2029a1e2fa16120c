//! Restarts: a hub ends the subscriptions of one that died, each once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::faulty::{Fate, Faulty};
use super::{hub, said, subscribe, until, until_listed, until_said};

/// A log in which a hub announced subscriptions and died: `gone` of them have ended.
pub(crate) async fn left_behind(open: usize, gone: usize) -> Arc<Faulty> {
    let log = Faulty::new(|_| Fate::Store);
    let hub = hub(&log);
    let mut streams = Vec::new();
    for number in 0..open {
        streams.push(subscribe(&hub, &format!("t{number:04}")).await);
    }
    let all = || async { said(&log).await.len() == open };
    until(&log, "all beginnings", all).await;
    streams.drain(..gone).for_each(drop);
    let ended = || async {
        said(&log)
            .await
            .values()
            .filter(|said| said.len() == 2)
            .count()
            == gone
    };
    until(&log, "the ends", ended).await;
    // It dies without ending them: what it appends from here on is refused.
    log.plan(|_| Fate::Refuse);
    drop(hub);
    drop(streams);
    log
}

pub(crate) fn all_ended(open: usize) -> BTreeMap<String, Vec<bool>> {
    let names = (0..open).map(|number| format!("t{number:04}"));
    names.map(|name| (name, vec![true, false])).collect()
}

/// The ends of a process that died are appended until the log holds them, and none twice, whatever the
/// outcomes of the first attempts (ADR 0014).
#[tokio::test(flavor = "multi_thread")]
async fn what_a_crash_left_is_ended_once_whatever_the_first_outcomes() {
    let sequences: [&[Fate]; 5] = [
        &[Fate::Refuse, Fate::Refuse],
        &[Fate::UnknownLost],
        &[Fate::UnknownStored],
        &[Fate::UnknownStoredLate],
        &[Fate::Store, Fate::UnknownStored, Fate::Refuse],
    ];
    let mut running = tokio::task::JoinSet::new();
    for sequence in sequences {
        running.spawn(async move {
            let log = left_behind(300, 20).await;
            let mut fates = sequence.iter();
            log.plan(move |_| fates.next().copied().unwrap_or(Fate::Store));
            let next = hub(&log);
            until_said(&log, &all_ended(300)).await;
            // One more subscriber, whose events come after all others.
            log.plan(|_| Fate::Store);
            drop(subscribe(&next, "marker").await);
            until(&log, "an idle hub", || async { next.is_idle() }).await;
            let mut expected = all_ended(300);
            expected.insert("marker".to_owned(), vec![true, false]);
            until_said(&log, &expected).await;
        });
    }
    running.join_all().await;
}

/// The subscriptions of the new process are not taken for those of the old one.
#[tokio::test(flavor = "multi_thread")]
async fn recovery_leaves_new_subscriptions_alone() {
    let log = left_behind(10, 0).await;
    let mut refused = 0;
    log.plan(move |event| {
        // The ends of the old process are refused for a while.
        refused += usize::from(!event.active);
        match (event.active, refused) {
            (false, ..4) => Fate::Refuse,
            _ => Fate::Store,
        }
    });
    let next = hub(&log);
    let _new = subscribe(&next, "new").await;
    let mut expected = all_ended(10);
    expected.insert("new".to_owned(), vec![true]);
    until_said(&log, &expected).await;
    until_listed(&log, &next, &["new"]).await;
}

/// A history that cannot be read at the start is read later.
#[tokio::test(flavor = "multi_thread")]
async fn recovery_outlives_a_read_that_fails() {
    let log = left_behind(10, 3).await;
    log.plan(|_| Fate::Store);
    log.failing_reads.store(1, Ordering::Relaxed);
    let _next = hub(&log);
    until_said(&log, &all_ended(10)).await;
    assert_eq!(log.failing_reads.load(Ordering::Relaxed), 0);
}
