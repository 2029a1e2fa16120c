//! When a new run of positions begins.

use talaria_transport::Position;
use talaria_transport::shared::Backend as _;

use crate::site::{Kind, Site};
use crate::support::{LAST, Node, always, contents, number, on, run, tests_on, until, update};

tests_on!(Direct:
    a_restart_begins_a_run,
    a_promoted_standby_begins_a_run,
    a_run_whose_numbers_are_used_up_is_followed,
    a_log_that_lost_updates_begins_a_run,
);
tests_on!(Pooled:
    a_restart_begins_a_run,
    a_promoted_standby_begins_a_run,
);
tests_on!(Newest:
    a_restart_begins_a_run,
    a_promoted_standby_begins_a_run,
);

async fn a_restart_begins_a_run(kind: Kind) {
    let mut server = Site::start(kind);
    let mut node = Node::enter(on(&server), 1).await;
    let before = node.publish(&["a", "b"]).await[1];
    server.restart();
    until(
        "the server answers again",
        || node.backend.beat(node.member),
        Result::is_ok,
    )
    .await
    .expect("it does");
    let after = node.publish(&["c", "d"]).await;
    assert!(run(after[0]) > run(before));
    assert_eq!((number(after[0]), after[1]), (1, after[0].next()));
    let page = node
        .backend
        .page(Position::ORIGIN, LAST, 10, 1 << 20)
        .await
        .expect("a page");
    let starts: Vec<_> = page
        .records
        .iter()
        .map(|record| record.run_before)
        .collect();
    assert_eq!(starts, [Some(Position::ORIGIN), None, Some(before), None]);
    assert_eq!(contents(&node.tail(4).await), ["a", "b", "c", "d"]);
}

async fn a_promoted_standby_begins_a_run(kind: Kind) {
    let server = Site::start(kind);
    let mut node = Node::enter(on(&server), 1).await;
    let before = node.publish(&["a"]).await[0];
    let standby = Site::of(server.standby(), kind);
    until(
        "the standby has it",
        || async { standby.try_ask("SELECT count(*) FROM talaria.log") },
        |count| count.as_ref().is_ok_and(|count| count == "1"),
    )
    .await
    .expect("it has");
    let refused = node.backend.survey().await;
    assert!(refused.is_ok(), "{refused:?}");
    standby.promote();
    let mut there = Node::enter(on(&standby), 2).await;
    let after = there.publish(&["b"]).await[0];
    assert!(run(after) > run(before));
    there.read = before;
    assert_eq!(there.tail(1).await[0].run_before, Some(before));

    // The same member is known there, with the number of its last batch.
    there.member = node.member;
    there.number = node.number;
    let again = there.publish(&["c"]).await[0];
    assert_eq!(again, after.next());
}

async fn a_run_whose_numbers_are_used_up_is_followed(kind: Kind) {
    let server = Site::start(kind);
    let mut node = Node::enter(on(&server), 1).await;
    let first = node.publish(&["a"]).await[0];
    server.run_sql("UPDATE talaria.log SET position = position + 4294967293");
    let last = node.publish(&["b"]).await[0];
    assert_eq!(last, Position(first.0 | 0xFFFF_FFFF));
    let positions = node.publish(&["c", "d"]).await;
    assert!(run(positions[0]) > run(first));
    assert_eq!(number(positions[0]), 1);
    assert_eq!(positions[1], positions[0].next());
    assert_eq!(node.tail(4).await[2].run_before, Some(last));
}

/// A node that has read further than the log goes has read one that is lost.
async fn a_log_that_lost_updates_begins_a_run(kind: Kind) {
    let server = Site::start(kind);
    let mut node = Node::enter(on(&server), 1).await;
    let positions = node.publish(&["a", "b", "c"]).await;
    server.run_sql(&format!(
        "DELETE FROM talaria.log WHERE position > {}",
        positions[0].0
    ));
    let mut batch = node.batch(vec![always(update("d"))]);
    batch.after = positions[2];
    node.backend.append(&batch).await.expect("it is appended");
    let records = node.tail(2).await;
    assert_eq!(contents(&records), ["a", "d"]);
    assert!(run(records[1].position) > run(positions[2]));
    assert_eq!(records[1].run_before, Some(positions[0]));
}
