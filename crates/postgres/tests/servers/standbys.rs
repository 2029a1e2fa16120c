//! A primary whose commits wait for a standby.

use std::time::Duration;

use talaria_conformance::{within, within_time};
use talaria_transport::shared::Backend as _;
use talaria_transport::shared::backend::{BackendError, Settled};

use crate::site::{Kind, Site};
use crate::support::{
    ELECTION, Node, always, at_each, contents, on, position, run, tests_on, until, update,
};

tests_on!(Direct:
    nothing_is_shown_that_no_standby_has,
    a_cancelled_wait_is_unknown,
);
tests_on!(Pooled:
    nothing_is_shown_that_no_standby_has,
    a_cancelled_wait_is_unknown,
);
tests_on!(Newest:
    nothing_is_shown_that_no_standby_has,
);

async fn nothing_is_shown_that_no_standby_has(kind: Kind) {
    let server = Site::start(kind);
    let standby = server.standby();
    server.wait_for_standbys(true);
    let mut node = Node::enter(on(&server), 1).await;
    node.publish(&["a"]).await;
    assert_eq!(contents(&node.tail(1).await), ["a"]);
    standby.suspend();
    let batch = node.batch(vec![always(update("b"))]);
    let unknown = within("the append gives up", node.backend.append(&batch)).await;
    assert!(matches!(unknown, Err(BackendError::Away(_))), "{unknown:?}");
    assert_eq!(node.backend.tail(node.read).await, Ok(Vec::new()));
    let member = node.member;
    let beat = until(
        "the beat says so",
        || node.backend.beat(member),
        |beat| beat.as_ref().is_ok_and(|beat| beat.refusing.is_some()),
    );
    beat.await.expect("a beat");
    let refused = node.backend.settle(member, batch.number).await;
    assert!(
        matches!(refused, Err(BackendError::Refusing(_))),
        "{refused:?}"
    );
    let refused = node.backend.find("nothing").await;
    assert!(
        matches!(refused, Err(BackendError::Refusing(_))),
        "{refused:?}"
    );
    // However often that is tried, one connection waits.
    for _ in 0..3 {
        _ = node.backend.settle(member, batch.number).await;
    }
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
    assert_eq!(server.ask(waiting), "1");
    standby.resume();
    let settled = until(
        "it is settled",
        || node.backend.settle(member, batch.number),
        Result::is_ok,
    );
    assert!(matches!(settled.await, Ok(Settled::Stored(_))));
    assert_eq!(contents(&node.tail(1).await), ["b"]);
    assert_eq!(node.backend.find("nothing").await, Ok(None));
}

/// An operator may cancel the wait; the update is then visible without the standby having it.
async fn a_cancelled_wait_is_unknown(kind: Kind) {
    let server = Site::start(kind);
    let standby = server.standby();
    server.wait_for_standbys(true);
    let mut node = Node::enter(on(&server), 1).await;
    node.publish(&["a"]).await;
    standby.suspend();
    let batch = node.batch(vec![always(update("b"))]);
    let cancel = async {
        let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
        until(
            "it waits",
            || async { server.ask(waiting) },
            |count| count == "1",
        )
        .await;
        server.run_sql(
            "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'",
        );
    };
    let (unknown, ()) = within("the append ends", async {
        tokio::join!(node.backend.append(&batch), cancel)
    })
    .await;
    assert!(matches!(unknown, Err(BackendError::Away(_))), "{unknown:?}");
    standby.resume();
    let member = node.member;
    let settled = until(
        "it is settled",
        || node.backend.settle(member, batch.number),
        Result::is_ok,
    );
    assert!(matches!(settled.await, Ok(Settled::Stored(_))));
}

/// What was acknowledged is on the server that is promoted, and each update once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_promoted_standby_has_all() {
    let mut server = Site::start(Kind::Direct);
    let standby = server.standby();
    server.wait_for_standbys(true);
    let options = at_each(&[server.address(), standby.address()]);
    let mut node = Node::enter(options, 1).await;
    let mut stored = Vec::new();
    for each in 0..50 {
        stored.extend(node.publish(&[each]).await);
    }
    server.kill();
    standby.promote();
    standby.run_sql("ALTER SYSTEM SET synchronous_standby_names = ''");
    standby.run_sql("SELECT pg_reload_conf()");
    let after = node.publish_at_last("after").await;
    let last = stored[49];
    assert!(run(after) > run(last));
    let mut expected: Vec<String> = (0..50).map(|each: u32| each.to_string()).collect();
    expected.push("after".to_owned());
    assert_eq!(node.kept().await, expected);
    let records = node.tail(51).await;
    assert_eq!(records[50].run_before, Some(last));
}

/// It cannot store anything, so the node looks for the one that was promoted, although it is idle.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_that_has_lost_its_standby_is_left_for_it() {
    let server = Site::start(Kind::Direct);
    let standby = server.standby();
    server.wait_for_standbys(true);
    let options = at_each(&[server.address(), standby.address()]);
    let mut node = Node::enter(options, 1).await;
    node.publish(&["a"]).await;
    node.tail(1).await;
    standby.promote();
    standby.run_sql("ALTER SYSTEM SET synchronous_standby_names = ''");
    standby.run_sql("SELECT pg_reload_conf()");
    let mut other = Node::enter(at_each(&[standby.address()]), 2).await;
    other.publish(&["b"]).await;
    let member = node.member;
    within_time(ELECTION, "the update is seen", async {
        loop {
            _ = node.backend.beat(member).await;
            match node.backend.tail(node.read).await {
                Ok(records) if !records.is_empty() => {
                    assert_eq!(contents(&records), ["b"]);
                    return;
                }
                _ => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    })
    .await;
    let outcomes = node.append(vec![always(update("c"))]).await;
    assert!(position(outcomes[0]) > node.read);
}
