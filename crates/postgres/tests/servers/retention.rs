//! What is deleted, and when.

use std::time::Duration;

use talaria_transport::Position;
use talaria_transport::shared::Backend as _;

use crate::site::{Kind, Site};
use crate::support::{
    LAST, Node, always, contents, event, number, on, position, tests_on, until, update,
};

tests_on!(Direct:
    the_newest_updates_are_kept,
    old_updates_are_deleted,
    events_do_not_displace_updates,
    an_id_leaves_with_its_update,
    much_is_deleted_in_slices,
    the_floor_before_a_run_is_the_end_of_the_last_one,
    a_time_that_is_far_ahead_keeps_nothing,
);
tests_on!(Pooled:
    the_newest_updates_are_kept,
);
tests_on!(Newest:
    the_newest_updates_are_kept,
);

async fn the_newest_updates_are_kept(kind: Kind) {
    let server = Site::start(kind);
    let mut options = on(&server);
    options.size = 10;
    let mut node = Node::enter(options, 1).await;
    let all: Vec<u32> = (0..25).collect();
    let mut positions = Vec::new();
    for each in &all {
        positions.extend(node.publish(&[each]).await);
    }
    node.floor_is(positions[14]).await;
    let expected: Vec<String> = all[15..].iter().map(u32::to_string).collect();
    assert_eq!(node.kept().await, expected);
    let page = node
        .backend
        .page(Position::ORIGIN, LAST, 100, 1 << 20)
        .await
        .expect("a page");
    assert_eq!(page.floor, positions[14]);
    let again = Node::enter(on(&server), 2).await;
    assert_eq!(again.read, positions[24]);
}

async fn old_updates_are_deleted(kind: Kind) {
    let server = Site::start(kind);
    let mut options = on(&server);
    options.max_age = Some(Duration::from_millis(300));
    let mut node = Node::enter(options, 1).await;
    let positions = node.publish(&["a", "b"]).await;
    let beat = until(
        "they are deleted",
        || node.backend.beat(node.member),
        |beat| {
            beat.as_ref()
                .is_ok_and(|beat| beat.bounds.floor != Position::ORIGIN)
        },
    )
    .await;
    assert_eq!(beat.expect("a beat").bounds.floor, positions[1]);
    assert!(node.kept().await.is_empty());
    let later = node.publish(&["c"]).await[0];
    assert_eq!(
        (later, contents(&node.tail(1).await)),
        (positions[1].next(), vec!["c".to_owned()])
    );
}

async fn events_do_not_displace_updates(kind: Kind) {
    let server = Site::start(kind);
    let mut options = on(&server);
    options.size = 3;
    let mut node = Node::enter(options, 1).await;
    // The first record of a run says where the run before ended, so it stays.
    node.append(vec![always(event("/s", "first"))]).await;
    let first = node.publish(&["a", "b"]).await[0];
    for part in 0..52 {
        let events = (0..1_000).map(|each| always(event("/s", &format!("{part}-{each}"))));
        node.append(events.collect()).await;
    }
    let third = node.publish(&["c"]).await[0];
    until(
        "the oldest events are deleted",
        || async { server.ask("SELECT count(*) FROM talaria.log") },
        |count| count == "50004",
    )
    .await;
    let page = node.backend.page(Position::ORIGIN, LAST, 4, 1 << 20).await;
    let page = page.expect("a page");
    assert_eq!(contents(&page.records), ["first", "a", "b", "2-0"]);
    assert_eq!(page.records[0].run_before, Some(Position::ORIGIN));
    assert_eq!(page.floor, Position::ORIGIN);
    let newest = node.backend.newest(LAST, 1).await.expect("the newest");
    assert_eq!(contents(&newest.records), ["c"]);
    assert_eq!(third, Position(first.0 + 52_002));

    // What lies before the newest three updates goes, the events too; in slices.
    let last = node.publish(&["d", "e", "f"]).await;
    until(
        "what lies in front is deleted",
        || node.backend.beat(node.member),
        |beat| beat.as_ref().is_ok_and(|beat| beat.bounds.floor == third),
    )
    .await
    .expect("a beat");
    assert_eq!(node.kept().await, ["d", "e", "f"]);
    assert_eq!(number(last[0]), number(third) + 1);
}

async fn an_id_leaves_with_its_update(kind: Kind) {
    let server = Site::start(kind);
    let mut options = on(&server);
    options.size = 2;
    let mut node = Node::enter(options, 1).await;
    let mut chosen = update("a");
    chosen.id = Some("same".to_owned());
    let entries = vec![always(chosen.clone()), always(chosen.clone())];
    let outcomes = node.append(entries).await;
    assert_eq!(
        node.backend.find("same").await,
        Ok(Some(position(outcomes[0])))
    );
    node.publish(&["b"]).await;
    node.floor_is(position(outcomes[0])).await;
    assert_eq!(
        node.backend.find("same").await,
        Ok(Some(position(outcomes[1])))
    );
    node.publish(&["c"]).await;
    node.floor_is(position(outcomes[1])).await;
    assert_eq!(node.backend.find("same").await, Ok(None));
}

/// Much is not deleted in one transaction.
async fn much_is_deleted_in_slices(kind: Kind) {
    let server = Site::start(kind);
    let mut node = Node::enter(on(&server), 1).await;
    let all: Vec<u32> = (0..1_000).collect();
    for _ in 0..20 {
        node.publish(&all).await;
    }
    let mut options = on(&server);
    options.size = 500;
    let strict = Node::enter(options, 2).await;
    let last = Position(strict.read.0 - 500);
    strict.floor_is(last).await;
    assert_eq!(server.ask("SELECT count(*) FROM talaria.log"), "500");
    assert_eq!(node.publish(&["a"]).await[0], strict.read.next());
}

async fn the_floor_before_a_run_is_the_end_of_the_last_one(kind: Kind) {
    let mut server = Site::start(kind);
    let mut options = on(&server);
    options.size = 3;
    let mut node = Node::enter(options, 1).await;
    let before = node.publish(&["a", "b"]).await[1];
    server.restart();
    let again = || node.backend.beat(node.member);
    until("the server answers again", again, Result::is_ok)
        .await
        .expect("it does");
    let after = node.publish(&["c", "d", "e"]).await[0];
    node.floor_is(before).await;
    node.publish(&["f"]).await;
    node.floor_is(after).await;
}

async fn a_time_that_is_far_ahead_keeps_nothing(kind: Kind) {
    let server = Site::start(kind);
    let mut options = on(&server);
    options.max_age = Some(Duration::from_millis(300));
    let mut node = Node::enter(options, 1).await;
    node.publish(&["a"]).await;
    server.run_sql("UPDATE talaria.log SET at = '2255-01-01'");
    let last = node.publish(&["b"]).await[0];
    let beat = until(
        "both are deleted",
        || node.backend.beat(node.member),
        |beat| beat.as_ref().is_ok_and(|beat| beat.bounds.floor == last),
    );
    assert!(beat.await.is_ok());
    assert!(node.kept().await.is_empty());
}
