//! Reading: tail, pages, ids.

use talaria_transport::Position;
use talaria_transport::shared::Backend;
use talaria_transport::shared::backend::{BackendError, Batch, Record};
use tokio::time::{Instant, sleep};

use super::{ONE, SECOND, append, attached, options, single};

fn places(records: &[Record]) -> Vec<u64> {
    records.iter().map(|one| one.position.0 & 0xFFFF).collect()
}

/// A read of the tail waits for records about a second, and has them as soon as they are stored.
#[tokio::test(start_paused = true)]
async fn the_tail_waits_for_records() {
    let (world, node) = attached(options(|_| ())).await;
    let head = world.held().unwrap().bounds.head;
    let began = Instant::now();
    assert_eq!(node.tail(head).await, Ok(vec![]));
    assert!((SECOND..2 * SECOND).contains(&began.elapsed()));
    let later = async {
        sleep(SECOND / 2).await;
        append(&node, &single(ONE, 1)).await
    };
    let began = Instant::now();
    let (records, position) = tokio::join!(node.tail(head), later);
    assert!(began.elapsed() < SECOND);
    let records = records.unwrap();
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].position, position);
    assert_eq!(records[0].origin.member, ONE);
    assert_eq!((records[0].origin.batch, records[0].origin.index), (1, 0));
}

/// The tail has only what enough replicas have; a settled batch, too.
#[tokio::test(start_paused = true)]
async fn the_tail_waits_for_replicas() {
    let (world, node) = attached(options(|options| {
        (options.copies, options.confirmations) = (2, 1);
    }))
    .await;
    let head = world.held().unwrap().bounds.head;
    append(&node, &single(ONE, 1)).await;
    assert_eq!(node.tail(head).await.map(|found| found.len()), Ok(1));
    (0..2).for_each(|replica| world.cut_replica(replica));
    append(&node, &single(ONE, 2)).await;
    assert_eq!(node.tail(head).await, Err(BackendError::NotDurable));
    let settled = node.settle(ONE, 2).await;
    assert_eq!(settled, Err(BackendError::NotDurable));
    world.mend_replica(1);
    assert_eq!(node.tail(head).await.map(|found| found.len()), Ok(2));
    assert!(node.settle(ONE, 2).await.is_ok());
}

/// Pages have both ends and are bounded; the next one goes on where it ended.
#[tokio::test(start_paused = true)]
async fn pages_are_bounded() {
    let (_world, node) = attached(options(|_| ())).await;
    let first = append(&node, &single(ONE, 1)).await;
    for number in 2..=9 {
        append(&node, &single(ONE, number)).await;
    }
    let at = |number: u64| Position(first.0 - 1 + number);
    let page = node.page(at(2), at(8), 4, 1 << 20).await.unwrap();
    assert_eq!(places(&page.records), [3, 4, 5, 6]);
    assert_eq!(page.looked_up_to, at(6));
    let page = node.page(at(6), at(8), 4, 1 << 20).await.unwrap();
    assert_eq!(places(&page.records), [7, 8]);
    assert_eq!(page.looked_up_to, at(8));
    let page = node.page(at(2), at(8), 4, 1).await.unwrap();
    assert_eq!(places(&page.records), [3], "one, whatever its size");
    let newest = node.newest(at(8), 300).await.unwrap();
    assert_eq!(places(&newest.records), [6, 7, 8]);
    assert_eq!(newest.looked_up_to, at(8));
}

/// Retention deletes the oldest updates with their ids, and says up to where.
#[tokio::test(start_paused = true)]
async fn retention_has_a_floor() {
    let (_world, node) = attached(options(|options| options.max_length = Some(3))).await;
    let named = |number, id: &str| -> Batch {
        let mut batch = single(ONE, number);
        batch.entries[0].update.id = Some(id.to_owned());
        batch
    };
    let first = append(&node, &named(1, "twice")).await;
    let second = append(&node, &named(2, "twice")).await;
    assert_eq!(node.find("twice").await, Ok(Some(first)));
    append(&node, &single(ONE, 3)).await;
    append(&node, &single(ONE, 4)).await;
    assert_eq!(node.find("twice").await, Ok(Some(second)));
    append(&node, &single(ONE, 5)).await;
    assert_eq!(node.find("twice").await, Ok(None));
    assert_eq!(node.find("other").await, Ok(None));
    let head = Position(first.0 + 4);
    let page = node
        .page(Position::ORIGIN, head, 100, 1 << 20)
        .await
        .unwrap();
    assert_eq!((places(&page.records), page.floor), (vec![3, 4, 5], second));
    assert_eq!(node.beat(ONE).await.unwrap().bounds.floor, second);
}
