//! Each reader gets the updates that a naive predicate selects, in order and once, whether they come from
//! lane, ring or history.

use std::cell::Cell;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::alphabet::{Asked, Published};
use super::readers::{Reader, Sources, World};
use super::{config, tiny_effort};
use crate::engine::router::Effort;

#[derive(Debug, Clone)]
enum Operation {
    Publish(Vec<Published>),
    Join {
        /// The selection, modulo the number of selections: several readers share one.
        selection: usize,
        reworded: bool,
        start: Start,
    },
    Read {
        /// The place of the reader, modulo the number of readers.
        reader: usize,
        steps: usize,
        page_frames: usize,
    },
    Drop {
        reader: usize,
    },
}

#[derive(Debug, Clone, Copy)]
enum Start {
    Visible,
    Origin,
    /// A position up to the newest, modulo the number of positions.
    Earlier(u64),
}

fn operation() -> impl Strategy<Value = Operation> {
    let start = prop_oneof![
        2 => Just(Start::Visible),
        1 => Just(Start::Origin),
        2 => any::<u64>().prop_map(Start::Earlier),
    ];
    let join = (any::<usize>(), any::<bool>(), start);
    let read = (any::<usize>(), 1..6_usize, 1..4_usize);
    prop_oneof![
        4 => vec(Published::any(), 1..=5).prop_map(Operation::Publish),
        2 => join.prop_map(|(selection, reworded, start)| Operation::Join {
            selection,
            reworded,
            start,
        }),
        6 => read.prop_map(|(reader, steps, page_frames)| Operation::Read {
            reader,
            steps,
            page_frames,
        }),
        1 => any::<usize>().prop_map(|reader| Operation::Drop { reader }),
    ]
}

#[derive(Debug, Clone)]
struct Case {
    ring_bytes: usize,
    lane_positions: usize,
    /// Whether the engine may do hardly any work at a time.
    is_tiny: bool,
    selections: Vec<Asked>,
    operations: Vec<Operation>,
}

fn case() -> impl Strategy<Value = Case> {
    let ring_bytes = prop_oneof![200..4_000_usize, 4_000..100_000_usize];
    let parts = (
        ring_bytes,
        1..=3_usize,
        any::<bool>(),
        vec(Asked::any(), 1..4),
        vec(operation(), 1..60),
    );
    parts.prop_map(
        |(ring_bytes, lane_positions, is_tiny, selections, operations)| Case {
            ring_bytes,
            lane_positions,
            is_tiny,
            selections,
            operations,
        },
    )
}

fn check(case: &Case) -> Result<Sources, TestCaseError> {
    let effort = if case.is_tiny {
        tiny_effort(case.lane_positions)
    } else {
        Effort::new(case.lane_positions)
    };
    let mut world = World::with_effort(case.ring_bytes, effort);
    let mut sources = Sources::default();
    let mut readers: Vec<Reader> = Vec::new();
    for operation in &case.operations {
        match operation {
            Operation::Publish(group) => {
                let head = world.head();
                world.publish(group);
                for reader in &mut readers {
                    reader.check_rung(&world, head)?;
                }
            }
            Operation::Join {
                selection,
                reworded,
                start,
            } => {
                let asked = &case.selections[selection % case.selections.len()];
                let asked = if *reworded {
                    asked.reworded()
                } else {
                    asked.clone()
                };
                let start = match start {
                    Start::Visible => None,
                    Start::Origin => Some(0),
                    Start::Earlier(position) => Some(position % (world.head() + 1)),
                };
                readers.push(Reader::join(&world, asked, start));
            }
            Operation::Read {
                reader,
                steps,
                page_frames,
            } => {
                if let Some(place) = reader.checked_rem(readers.len()) {
                    for _ in 0..*steps {
                        if !readers[place].step(&world, *page_frames, &mut sources)? {
                            break;
                        }
                    }
                }
            }
            Operation::Drop { reader } => {
                if let Some(place) = reader.checked_rem(readers.len()) {
                    readers.swap_remove(place).check_prefix(&world)?;
                }
            }
        }
    }
    for reader in &mut readers {
        reader.drain(&world, &mut sources)?;
    }
    Ok(sources)
}

/// Each reader gets the updates that concern it after its start and no others, in order and once, and an
/// idle reader is rung for them (specification, "Subscription", "Publication", "Subscribers" for private
/// updates, and "Reconnection"). Ring and lanes are tiny, and often the effort is, so that updates come
/// from lane, ring and history.
#[test]
fn what_is_delivered_is_what_is_due() {
    let total = Cell::new(Sources::default());
    let outcome = TestRunner::new(config()).run(&case(), |case| {
        let sources = check(&case)?;
        let before = total.get();
        total.set(Sources {
            lane: before.lane + sources.lane,
            scan: before.scan + sources.scan,
            history: before.history + sources.history,
            pages: before.pages + sources.pages,
        });
        Ok(())
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
    let Sources {
        lane,
        scan,
        history,
        ..
    } = total.get();
    // A source that is hardly used is not tested.
    assert!(
        lane > 500 && scan > 500 && history > 500,
        "{lane} from lanes, {scan} from the ring, {history} from the history"
    );
}

/// A reader that looks as soon as it is rung finds everything in the ring, however little of the traffic
/// concerns it. Groups are at most a quarter of the ring.
#[test]
fn a_reader_that_follows_its_bell_never_needs_the_history() {
    // Mostly traffic that concerns no reader, then more at once than a lane holds.
    let others = vec(Just(Published::private()), 1..3);
    let groups = vec(
        prop_oneof![8 => others, 1 => vec(Published::small(), 2..4)],
        1..80,
    );
    let cases = (groups, vec(Asked::public(), 1..4), 1..=2_usize);
    let outcome = TestRunner::new(config()).run(&cases, |(groups, selections, lane_positions)| {
        let weight = |group: &Vec<Published>| -> usize {
            // Ids grow with the log.
            let frames = group.iter().map(|published| published.frame(1_000));
            frames.map(|frame| frame.weight()).sum()
        };
        let ring_bytes = 4 * groups.iter().map(weight).max().unwrap_or(0);
        let mut world = World::new(ring_bytes, lane_positions);
        let mut sources = Sources::default();
        let join = |asked| Reader::join(&world, asked, None);
        let mut readers: Vec<_> = selections.into_iter().map(join).collect();
        for reader in &mut readers {
            reader.drain(&world, &mut sources)?;
        }
        for group in &groups {
            let head = world.head();
            world.publish(group);
            for reader in &mut readers {
                reader.check_rung(&world, head)?;
                if !reader.is_at_rest() {
                    reader.drain(&world, &mut sources)?;
                }
            }
        }
        prop_assert_eq!(sources.pages, 0);
        Ok(())
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
}
