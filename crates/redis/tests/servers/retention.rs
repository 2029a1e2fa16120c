//! What is deleted, and when.

use std::time::Duration;

use talaria_conformance::servers::{Program, Redis as Server};
use talaria_transport::Position;
use talaria_transport::shared::Backend as _;

use crate::support::{
    LAST, Node, always, contents, event, number, on, on_each, position, run, until, update,
};

on_each!(
    the_newest_updates_are_kept,
    old_updates_are_deleted,
    events_do_not_displace_updates,
    an_event_that_says_where_a_run_ended_stays,
    an_id_leaves_with_its_update,
    retention_works_in_slices,
    the_floor_before_a_run_is_the_end_of_the_last_one,
    a_time_that_is_far_ahead_keeps_nothing,
);

async fn the_newest_updates_are_kept(program: Program) {
    let server = Server::start(program);
    let mut options = on(&server);
    options.max_length = 10;
    let mut node = Node::enter(options, 1).await;
    let all: Vec<u32> = (0..25).collect();
    let mut positions = Vec::new();
    for each in &all {
        positions.extend(node.publish(&[each]).await);
    }
    let expected: Vec<String> = all[15..].iter().map(u32::to_string).collect();
    assert_eq!(node.kept().await, expected);
    let page = node
        .backend
        .page(Position::ORIGIN, LAST, 100, 1 << 20)
        .await
        .expect("a page");
    assert_eq!(page.floor, positions[14]);
    let beat = node.backend.beat(node.member).await.expect("a beat");
    assert_eq!(
        (beat.bounds.floor, beat.bounds.head),
        (positions[14], positions[24])
    );
    let again = Node::enter(on(&server), 2).await;
    assert_eq!(again.read, positions[24]);
}

async fn old_updates_are_deleted(program: Program) {
    let server = Server::start(program);
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

async fn events_do_not_displace_updates(program: Program) {
    let server = Server::start(program);
    let mut options = on(&server);
    options.max_length = 3;
    let mut node = Node::enter(options, 1).await;
    // The first record of a run says where the run before ended, so it stays.
    node.append(vec![always(event("/s", "first"))]).await;
    let first = node.publish(&["a", "b"]).await[0];
    for part in 0..52 {
        let events = (0..1_000).map(|each| always(event("/s", &format!("{part}-{each}"))));
        node.append(events.collect()).await;
    }
    let third = node.publish(&["c"]).await[0];
    assert_eq!(server.ask(&["LLEN", "{hub}:events"]).text(), "50001");
    assert_eq!(server.ask(&["XLEN", "{hub}:log"]).text(), "50004");
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
    assert_eq!(server.ask(&["LLEN", "{hub}:events"]).text(), "0");
}

/// The first entry of a run may fail. The one that says instead where the run before ended stays as that would.
async fn an_event_that_says_where_a_run_ended_stays(program: Program) {
    let mut server = Server::start(program);
    let mut node = Node::enter(on(&server), 1).await;
    let before = node.publish(&["a"]).await[0];
    server.kill();
    server.restart();
    let again = || node.backend.beat(node.member);
    let beat = until("the server answers again", again, Result::is_ok).await;
    beat.expect("it does");
    server.ask(&["ACL", "SETUSER", "default", "-xadd"]);
    let failed = node.try_append(vec![always(update("b"))]).await;
    assert!(failed.is_err(), "{failed:?}");
    server.ask(&["ACL", "SETUSER", "default", "+xadd"]);
    let says = node.append(vec![always(event("/s", "says"))]).await[0];
    assert_eq!(number(position(says)), 2);
    for part in 0..51 {
        let events = (0..1_000).map(|each| always(event("/s", &format!("{part}-{each}"))));
        node.append(events.collect()).await;
    }
    // Another slice.
    node.publish(&["c"]).await;
    assert_eq!(server.ask(&["LLEN", "{hub}:events"]).text(), "50001");
    let page = node.backend.page(Position::ORIGIN, LAST, 3, 1 << 20).await;
    let records = page.expect("a page").records;
    assert_eq!(contents(&records), ["a", "says", "1-0"]);
    assert_eq!(records[1].run_before, Some(before));
}

async fn an_id_leaves_with_its_update(program: Program) {
    let server = Server::start(program);
    let mut options = on(&server);
    options.max_length = 2;
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
    assert_eq!(
        node.backend.find("same").await,
        Ok(Some(position(outcomes[1])))
    );
    node.publish(&["c"]).await;
    assert_eq!(node.backend.find("same").await, Ok(None));
    assert_eq!(server.ask(&["ZCARD", "{hub}:ids"]).text(), "0");
}

async fn retention_works_in_slices(program: Program) {
    let server = Server::start(program);
    let mut node = Node::enter(on(&server), 1).await;
    let all: Vec<u32> = (0..1_000).collect();
    for _ in 0..4 {
        node.publish(&all).await;
    }
    let mut options = on(&server);
    options.max_length = 500;
    let strict = Node::enter(options, 2).await;
    let mut floors = Vec::new();
    for _ in 0..4 {
        let beat = strict.backend.beat(strict.member).await.expect("a beat");
        floors.push(number(beat.bounds.floor));
    }
    assert_eq!(floors, [1_000, 2_000, 3_000, 3_500]);
}

async fn the_floor_before_a_run_is_the_end_of_the_last_one(program: Program) {
    let mut server = Server::with(program, &["--appendfsync", "always"]);
    let mut options = on(&server);
    options.max_length = 3;
    let mut node = Node::enter(options, 1).await;
    let before = node.publish(&["a", "b"]).await[1];
    server.restart();
    let again = || node.backend.beat(node.member);
    until("the server answers again", again, Result::is_ok)
        .await
        .expect("it does");
    let after = node.publish(&["c", "d", "e"]).await[0];
    let beat = node.backend.beat(node.member).await.expect("a beat");
    assert_eq!(beat.bounds.floor, before);
    node.publish(&["f"]).await;
    let beat = node.backend.beat(node.member).await.expect("a beat");
    assert_eq!(beat.bounds.floor, after);
}

async fn a_time_that_is_far_ahead_keeps_nothing(program: Program) {
    let server = Server::start(program);
    let mut options = on(&server);
    options.max_age = Some(Duration::from_millis(300));
    let mut node = Node::enter(options, 1).await;
    let first = node.publish(&["a"]).await[0];
    let id = format!("{}-{}", run(first), number(first) + 1);
    let ahead = "9000000000000";
    let member = node.member.to_string();
    let stored = format!("{member} 1 1 {ahead}");
    let fields = ["topics", "[\"t\"]", "data", "ahead", "stored", &stored];
    server.ask(&[&["XADD", "{hub}:log", &id], &fields[..]].concat());
    server.ask(&["XTRIM", "{hub}:log", "MAXLEN", "=", "1"]);
    server.ask(&["HSET", "{hub}:meta", "number", "2", "oldest", ahead]);
    let last = node.publish(&["b"]).await[0];
    let beat = until(
        "both are deleted",
        || node.backend.beat(node.member),
        |beat| beat.as_ref().is_ok_and(|beat| beat.bounds.floor == last),
    );
    assert!(beat.await.is_ok());
    assert!(node.kept().await.is_empty());
}
