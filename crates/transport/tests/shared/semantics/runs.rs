//! Positions: runs, and numbers within them.

use talaria_transport::Position;
use talaria_transport::shared::Backend;
use talaria_transport::shared::backend::Condition;
use tokio::time::advance;

use super::{ONE, SECOND, TWO, append, attached, batch, options, run_and_number, single};

/// Positions are dense within a run; the first of a log is preceded by the origin.
#[tokio::test(start_paused = true)]
async fn positions_are_dense() {
    let (world, node) = attached(options(|_| ())).await;
    for number in 1..=3 {
        let position = append(&node, &single(ONE, number)).await;
        assert_eq!(run_and_number(position), (50_000_000, number));
    }
    let records = world.held().unwrap().records;
    let before: Vec<_> = records.iter().map(|record| record.run_before).collect();
    assert_eq!(before, [Some(Position::ORIGIN), None, None]);
}

/// A run begins when another server process appends, and its first record says where the one before ended.
#[tokio::test(start_paused = true)]
async fn another_process_begins_a_run() {
    let (world, node) = attached(options(|_| ())).await;
    let before = append(&node, &single(ONE, 1)).await;
    world.kill();
    world.restart();
    let first = append(&node, &single(ONE, 2)).await;
    assert_eq!(run_and_number(first), (50_000_001, 1), "at least one more");
    world.restart();
    advance(100 * SECOND).await;
    let second = append(&node, &single(ONE, 3)).await;
    let (run, number) = run_and_number(second);
    assert!(run >= 50_000_100 && number == 1, "the clock of the server");
    let records = world.held().unwrap().records;
    let before_each: Vec<_> = records.iter().map(|record| record.run_before).collect();
    assert_eq!(
        before_each,
        [Some(Position::ORIGIN), Some(before), Some(first)]
    );
}

/// A batch of which nothing is stored begins no run.
#[tokio::test(start_paused = true)]
async fn what_is_not_stored_begins_no_run() {
    let (world, node) = attached(options(|_| ())).await;
    let before = append(&node, &single(ONE, 1)).await;
    world.restart();
    let ended = batch(ONE, 2, &[("a", Condition::Ends)]);
    node.append(&ended).await.unwrap();
    assert_eq!(world.held().unwrap().bounds.head, before);
    append(&node, &single(ONE, 3)).await;
    let records = world.held().unwrap().records;
    assert_eq!(records[1].run_before, Some(before));
}

/// A run begins when the numbers of one are used up.
#[tokio::test(start_paused = true)]
async fn a_full_run_is_followed_by_another() {
    let (world, node) = attached(options(|options| options.run_length = 2)).await;
    let mut last = Position::ORIGIN;
    for number in 1..=5 {
        let position = append(&node, &single(ONE, number)).await;
        assert!(position > last);
        last = position;
    }
    let records = world.held().unwrap().records;
    let begun: Vec<_> = records.iter().map(|one| one.run_before.is_some()).collect();
    assert_eq!(begun, [true, false, true, false, true]);
    assert_eq!(records[2].run_before, Some(records[1].position));
}

/// A log that was flushed is another log, in a run after the one that a node knows.
#[tokio::test(start_paused = true)]
async fn a_new_log_begins_after_what_a_node_knows() {
    let (world, node) = attached(options(|_| ())).await;
    let tag = world.held().unwrap().tag;
    let before = append(&node, &single(ONE, 1)).await;
    world.flush();
    assert_eq!(world.held(), None);
    let other = world.node("two");
    let attached = other.attach(TWO, before).await.unwrap();
    assert!(attached.is_new && attached.tag != tag);
    assert_eq!(attached.bounds.head, Position::ORIGIN);
    let first = append(&other, &single(TWO, 1)).await;
    let ((run, number), (old, _)) = (run_and_number(first), run_and_number(before));
    assert!(run > old && number == 1);
    let records = world.held().unwrap().records;
    assert_eq!(records[0].run_before, Some(Position::ORIGIN));
    assert!(world.lost().contains(&before));
}

/// A copy that is older begins a run after its own newest record.
#[tokio::test(start_paused = true)]
async fn an_older_copy_goes_on_in_a_new_run() {
    let (world, node) = attached(options(|options| options.copies = 1)).await;
    let kept = append(&node, &single(ONE, 1)).await;
    advance(SECOND).await;
    world.cut_replica(0);
    let lost = append(&node, &single(ONE, 2)).await;
    world.fail_over(None, &[]);
    let first = append(&node, &single(ONE, 2)).await;
    assert!(first > lost);
    let records = world.held().unwrap().records;
    assert_eq!(records[1].run_before, Some(kept));
    assert_eq!(world.lost().into_iter().collect::<Vec<_>>(), [lost]);
}

/// A server that was replaced and is put back, without anything having happened to it, begins a run for a node that
/// has read further.
#[tokio::test(start_paused = true)]
async fn a_server_that_is_put_back_goes_on_in_a_new_run() {
    let (world, node) = attached(options(|_| ())).await;
    world.back_up();
    let first = append(&node, &single(ONE, 1)).await;
    world.restore();
    advance(2 * SECOND).await;
    let away = append(&node, &single(ONE, 1)).await;
    world.put_back();
    advance(2 * SECOND).await;
    let mut batch = single(ONE, 2);
    batch.after = away;
    let back = append(&node, &batch).await;
    assert!(first < away && away < back);
    assert_eq!(world.held().unwrap().given, [first, back]);
    assert!(world.lost().contains(&away) && world.regained().contains(&first));
}
