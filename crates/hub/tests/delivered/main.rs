//! Hubs on one simulated server deliver what a naive predicate selects: each reader has what it asked for and may
//! read, in the order of the log, once, whichever hub it asks and whatever the network loses.
//!
//! 60 cases, 2,000 with `TALARIA_FULL=1`. Time is virtual.

#![allow(clippy::expect_used, reason = "a test fails by panicking")]

mod case;
mod site;

use std::cell::Cell;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use talaria_transport::shared::simulated::Direction;
use tokio::runtime::Builder;

use self::case::{Case, Operation, Update};
use self::site::Site;

/// What happened in all cases.
#[derive(Debug, Default, Clone, Copy)]
struct Tally {
    delivered: usize,
    /// Publishes that were not acknowledged, and whose updates are stored, or not.
    unknown: usize,
    refused: usize,
}

/// Publishes, joins and breaks what the case says; then everything works again, and each reader has what is due.
async fn check(case: &Case, tally: &Cell<Tally>) -> Result<(), TestCaseError> {
    let mut seen = tally.get();
    let mut site = Site::start(case).await;
    for (number, operation) in case.operations.iter().enumerate() {
        match operation {
            Operation::Publish { node, update } => site.publish(*node, number, update),
            Operation::Join { node, reader } => site.join(*node, reader),
            Operation::Settle => site.settle().await,
            Operation::Wait(time) => tokio::time::sleep(*time).await,
            Operation::Faults(faults) => site.server.set_faults(*faults),
            Operation::Cut { node, there } => {
                let direction = if *there {
                    Direction::There
                } else {
                    Direction::Back
                };
                site.cut(*node, direction);
            }
            Operation::Mend { node } => site.mend(*node),
            Operation::Restart => site.server.restart(),
        }
    }
    site.heal();
    site.settle().await;
    site.publish_the_end().await;
    let published = case.operations.iter().enumerate();
    let published = published.filter_map(|(number, operation)| match operation {
        Operation::Publish { update, .. } => Some((number, update)),
        _ => None,
    });
    let published: Vec<(usize, &Update)> = published.collect();
    let log = site.log();
    for (number, _) in &published {
        let times = log.iter().filter(|stored| **stored == *number).count();
        prop_assert!(times <= 1, "{number} is stored {times} times");
        let is_acknowledged = site.acknowledged.contains_key(number);
        prop_assert!(times == 1 || !is_acknowledged, "{number} is lost");
        seen.unknown += usize::from(times == 1 && !is_acknowledged);
        seen.refused += 1 - times;
    }
    let update_of = |number: &usize| {
        let of = published.iter().find(|(other, _)| other == number);
        of.expect("what is stored was published").1
    };
    for (reader, after, delivered) in site.delivered().await {
        let start = after.map_or(0, |after| {
            let place = log.iter().position(|number| *number == after);
            place.expect("a cursor is in the log") + 1
        });
        let due = log[start..].iter();
        let due = due.filter(|number| reader.receives(update_of(number)));
        let due: Vec<usize> = due.copied().collect();
        seen.delivered += delivered.len();
        prop_assert_eq!(
            delivered,
            due,
            "{:?} after {:?} of {:?}",
            reader,
            after,
            log
        );
    }
    tally.set(seen);
    Ok(())
}

#[test]
fn what_is_delivered_is_what_is_due() {
    let full = std::env::var_os("TALARIA_FULL").is_some_and(|value| value == "1");
    let config = Config {
        cases: if full { 2_000 } else { 60 },
        failure_persistence: None,
        max_shrink_iters: 200,
        ..Config::default()
    };
    let tally = Cell::default();
    let outcome = TestRunner::new(config).run(&Case::any(), |case| {
        let mut runtime = Builder::new_current_thread();
        let runtime = runtime.enable_time().start_paused(true).build();
        runtime.expect("a runtime").block_on(check(&case, &tally))
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
    let tally = tally.get();
    println!("{tally:?}");
    // What hardly happens is not tested.
    assert!(tally.delivered > 1_000 && tally.refused > 10, "{tally:?}");
}
