//! Appending, and reading what was appended.

use talaria_postgres::Postgres;
use talaria_protocol::Update;
use talaria_transport::shared::Backend as _;
use talaria_transport::shared::backend::{BackendError, Member, Origin, Outcome, Settled};
use talaria_transport::{Bounds, Position};

use crate::site::{Kind, Site};
use crate::support::{LAST, Node, always, contents, number, on, position, run, tests_on, update};

tests_on!(Direct:
    an_update_is_read_as_it_was_published,
    pages_are_bounded_and_go_on,
    a_batch_is_stored_once,
    the_first_node_creates_the_log,
    large_updates_are_read_one_by_one,
    an_update_that_no_answer_may_have_is_refused,
);
tests_on!(Pooled:
    an_update_is_read_as_it_was_published,
    a_batch_is_stored_once,
    the_first_node_creates_the_log,
);
tests_on!(Newest:
    an_update_is_read_as_it_was_published,
    pages_are_bounded_and_go_on,
    a_batch_is_stored_once,
    the_first_node_creates_the_log,
);

async fn an_update_is_read_as_it_was_published(kind: Kind) {
    let server = Site::start(kind);
    let mut node = Node::enter(on(&server), 7).await;
    let full = Update {
        topics: vec!["https://example.com/a".to_owned(), "b\nc, \"d\"".to_owned()],
        data: "ä\0\r\n{}".to_owned(),
        id: Some("chosen".to_owned()),
        event_type: Some("type".to_owned()),
        retry: Some(u64::MAX),
        private: true,
        ..Update::default()
    };
    let outcomes = node
        .append(vec![always(full.clone()), always(update("second"))])
        .await;
    let first = position(outcomes[0]);
    assert_eq!(outcomes[1], Outcome::Stored(first.next()));

    let records = node.tail(2).await;
    assert_eq!(records[0].update, full);
    assert_eq!(records[0].position, first);
    assert_eq!(records[0].run_before, Some(Position::ORIGIN));
    assert_eq!(
        records[0].origin,
        Origin {
            member: Member(7),
            batch: 1,
            index: 0
        }
    );
    assert_eq!(
        records[1].origin,
        Origin {
            member: Member(7),
            batch: 1,
            index: 1
        }
    );
    assert_eq!(
        (contents(&records[1..]), records[1].run_before),
        (vec!["second".to_owned()], None)
    );
    assert!(records[0].time > 1_750_000_000_000, "{}", records[0].time);

    assert_eq!(node.backend.find("chosen").await, Ok(Some(first)));
    assert_eq!(node.backend.find("chose").await, Ok(None));
    let page = node
        .backend
        .page(Position::ORIGIN, LAST, 10, 1 << 20)
        .await
        .expect("a page");
    assert_eq!(
        (page.records, page.floor, page.looked_up_to),
        (records, Position::ORIGIN, LAST)
    );
    assert_eq!(
        node.backend.settle(Member(7), 1).await,
        Ok(Settled::Stored(outcomes))
    );
}

async fn pages_are_bounded_and_go_on(kind: Kind) {
    let server = Site::start(kind);
    let mut node = Node::enter(on(&server), 1).await;
    let all: Vec<u32> = (0..2_500).collect();
    let mut positions = Vec::new();
    for part in all.chunks(1_000) {
        positions.extend(node.publish(part).await);
    }
    let mut from = Position::ORIGIN;
    let mut read = Vec::new();
    while from < positions[2_399] {
        let page = node
            .backend
            .page(from, positions[2_399], 700, 1 << 20)
            .await
            .expect("a page");
        assert!(page.records.len() <= 700);
        from = page.looked_up_to;
        read.extend(contents(&page.records));
    }
    assert_eq!(from, positions[2_399]);
    assert_eq!(
        read,
        all[..2_400].iter().map(u32::to_string).collect::<Vec<_>>()
    );

    let page = node
        .backend
        .page(positions[9], positions[20], 5, 1 << 20)
        .await
        .expect("a page");
    assert_eq!(contents(&page.records), ["10", "11", "12", "13", "14"]);
    assert_eq!(page.looked_up_to, positions[14]);
    let page = node
        .backend
        .page(LAST, LAST, 5, 1 << 20)
        .await
        .expect("a page");
    assert!(page.records.is_empty());

    let newest = node
        .backend
        .newest(positions[99], 2_000)
        .await
        .expect("the newest");
    let found = contents(&newest.records);
    assert_eq!(found.last().map(String::as_str), Some("99"));
    assert!((2..60).contains(&found.len()), "{}", found.len());
    let newest = node
        .backend
        .newest(LAST, 32 << 20)
        .await
        .expect("the newest");
    assert_eq!(
        contents(&newest.records),
        all.iter().map(u32::to_string).collect::<Vec<_>>()
    );
    assert_eq!(contents(&node.tail(2_500).await), contents(&newest.records));
}

async fn a_batch_is_stored_once(kind: Kind) {
    let server = Site::start(kind);
    let mut node = Node::enter(on(&server), 1).await;
    let batch = node.batch(vec![always(update("a")), always(update("b"))]);
    let stored = node.backend.append(&batch).await.expect("it is appended");
    assert_eq!(node.backend.append(&batch).await, Ok(stored));

    let mut late = batch.clone();
    late.number = 3;
    assert_eq!(
        node.backend.append(&late).await,
        Err(BackendError::OutOfOrder)
    );
    late.number = 2;
    late.member = Member(99);
    assert_eq!(
        node.backend.append(&late).await,
        Err(BackendError::NoMember)
    );

    // A number that is settled cannot be used any more, and the next one can.
    assert_eq!(
        node.backend.settle(node.member, 2).await,
        Ok(Settled::Never)
    );
    late.member = node.member;
    assert_eq!(
        node.backend.append(&late).await,
        Err(BackendError::OutOfOrder)
    );
    assert_eq!(
        node.backend.settle(node.member, 2).await,
        Ok(Settled::Never)
    );
    late.number = 3;
    assert!(node.backend.append(&late).await.is_ok());
    assert_eq!(node.kept().await, ["a", "b", "a", "b"]);
    assert_eq!(
        node.backend.settle(Member(99), 1).await,
        Err(BackendError::NoMember)
    );
}

async fn the_first_node_creates_the_log(kind: Kind) {
    let server = Site::start(kind);
    let (one, other) = (Postgres::new(on(&server)), Postgres::new(on(&server)));
    let (one, other) = (one.expect("it can be used"), other.expect("it can be used"));
    let after = Position(2_000_000_000 << 32 | 5);
    let (first, second) =
        tokio::join!(one.attach(Member(1), after), other.attach(Member(2), after));
    let (first, second) = (first.expect("it enters"), second.expect("it enters"));
    assert!(first.is_new != second.is_new);
    assert_eq!((first.key, first.tag), (second.key, second.tag));
    assert!(first.tag < 1 << 58);
    assert_eq!(first.bounds, Bounds::default());

    let mut node = Node {
        backend: one,
        member: Member(1),
        number: 0,
        read: Position::ORIGIN,
    };
    let stored = node.publish(&["a"]).await[0];
    assert_eq!((run(stored), number(stored)), (2_000_000_001, 1));
    let records = node.tail(1).await;
    assert_eq!(records[0].run_before, Some(Position::ORIGIN));
    let beat = node.backend.beat(Member(1)).await.expect("a beat");
    assert_eq!(
        (beat.tag, beat.bounds),
        (
            first.tag,
            Bounds {
                floor: Position::ORIGIN,
                head: stored
            }
        )
    );
    assert!(beat.bytes.is_some_and(|bytes| bytes > 0));

    // A log that is gone is another one, even if a node makes one again.
    server.run_sql("DROP SCHEMA talaria CASCADE");
    let page = node.backend.page(Position::ORIGIN, LAST, 10, 1 << 20).await;
    assert_eq!(page, Err(BackendError::NoLog));
    assert_eq!(
        node.try_append(vec![always(update("b"))]).await,
        Err(BackendError::NoLog)
    );
    let again = other.attach(Member(2), stored).await.expect("it enters");
    assert!(again.is_new && again.tag != first.tag);
    assert_eq!(node.backend.beat(Member(1)).await, Err(BackendError::NoLog));
    assert_eq!(
        node.backend.tail(Position::ORIGIN).await,
        Err(BackendError::NoLog)
    );
    assert_eq!(node.backend.find("chosen").await, Err(BackendError::NoLog));
}

async fn large_updates_are_read_one_by_one(kind: Kind) {
    let server = Site::start(kind);
    let mut node = Node::enter(on(&server), 1).await;
    let large = "x".repeat(700_000);
    for _ in 0..6 {
        node.publish(&[&large]).await;
    }
    assert!(
        node.tail(6)
            .await
            .iter()
            .all(|record| record.update.data == large)
    );
    let page = node
        .backend
        .page(Position::ORIGIN, LAST, 1_000, 1)
        .await
        .expect("a page");
    assert_eq!(page.records.len(), 1);
    let page = node
        .backend
        .page(Position::ORIGIN, LAST, 1_000, 1_000_000)
        .await
        .expect("a page");
    assert_eq!(page.records.len(), 2);
}

async fn an_update_that_no_answer_may_have_is_refused(kind: Kind) {
    let server = Site::start(kind);
    let mut node = Node::enter(on(&server), 1).await;
    let batch = node.refused_batch(vec![always(update(&"x".repeat(33 << 20)))]);
    let refused = node.backend.append(&batch).await;
    assert!(
        matches!(refused, Err(BackendError::Refusing(_))),
        "{refused:?}"
    );
    let large = "x".repeat(31 << 20);
    node.publish(&[&large]).await;
    assert!(node.tail(1).await[0].update.data == large);
}
