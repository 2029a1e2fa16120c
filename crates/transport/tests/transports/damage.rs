//! Damaged files: the updates before the damage are there or the start is refused; no update is wrong.

use std::sync::Arc;

use talaria_transport::history::inspect::{repair, verify};
use talaria_transport::history::{History, HistoryOptions, OpenError};
use talaria_transport::{Frame, Lookup, Position, ReadError, Transport};

use crate::power::model::{Crash, Model};
use crate::suite::{Everything, Topic, append, look_up, read, start};

pub const UPDATES: u64 = 12;

pub fn options() -> HistoryOptions {
    HistoryOptions::new(Arc::new(|| 1_000))
}

fn try_open(model: &Model) -> Result<Arc<dyn Transport>, OpenError> {
    Ok(Arc::new(History::open(model.mount(), options())?))
}

pub fn open(model: &Model) -> Arc<dyn Transport> {
    try_open(model).expect("it opens")
}

/// Three segments of four updates each, every update in a separate group; the process was killed.
pub fn stored() -> (Model, Vec<Arc<Frame>>) {
    let model = Model::new(1);
    let mut count = 0;
    for _ in 0..3 {
        let history = open(&model);
        let _recorder = start(&history);
        for _ in 0..4 {
            count += 1;
            let mine = format!("mine-{count}");
            append(&history, (count % 2 == 0).then_some(&*mine));
        }
        model.crash(Crash::Kill);
    }
    // A copy, because reading it must change nothing in the original.
    let frames = frames(&open(&model.copy()));
    assert_eq!(frames.len() as u64, UPDATES);
    (model, frames)
}

fn frames(history: &Arc<dyn Transport>) -> Vec<Arc<Frame>> {
    let bounds = history.bounds();
    let (mut from, mut frames) = (bounds.floor, Vec::new());
    while from < bounds.head {
        let page = read(history, from.0, bounds.head.0, 1 << 20, Everything).expect("a page");
        from = page.looked_up_to;
        frames.extend(page.frames);
    }
    frames
}

fn assert_same(found: &[Arc<Frame>], expected: &[Arc<Frame>]) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert_eq!(found.position, expected.position);
        assert_eq!(found.event_id, expected.event_id);
        assert_eq!(found.bytes, expected.bytes);
    }
}

pub fn segments(model: &Model) -> Vec<String> {
    let names = model.names().into_iter();
    names.filter(|name| name.ends_with(".segment")).collect()
}

/// Where the groups of a segment begin, and where the last one ends; zeros may follow.
pub fn groups(bytes: &[u8]) -> Vec<usize> {
    let mut starts = vec![88];
    while let Some(at) = starts
        .last()
        .copied()
        .filter(|at| bytes[*at..].starts_with(b"\xA7GRP"))
    {
        let length = bytes[at + 64..at + 68].try_into().expect("four bytes");
        starts.push(at + 72 + u32::from_le_bytes(length) as usize);
    }
    starts
}

pub fn with(model: &Model, name: &str, bytes: Vec<u8>) -> Model {
    let copy = model.copy();
    copy.put(name, bytes);
    copy
}

/// Every flip of a bit in a part of a file.
fn flips(
    model: &Model,
    name: &str,
    part: std::ops::Range<usize>,
) -> impl Iterator<Item = (usize, Model)> {
    let bytes = model.bytes(name);
    part.map(move |at| {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << (at % 8);
        (at, with(model, name, flipped))
    })
}

/// If the last group is incomplete or a bit in it flipped, everything before it is there.
#[test]
fn a_torn_or_flipped_last_group_costs_nothing_before_it() {
    let (model, expected) = stored();
    let newest = segments(&model).pop().expect("a segment");
    let bytes = model.bytes(&newest);
    let groups = groups(&bytes);
    let last = groups[groups.len() - 2];
    let before = &expected[..expected.len() - 1];
    let end = groups[groups.len() - 1];
    for length in last..end {
        let torn = with(&model, &newest, bytes[..length].to_vec());
        assert_same(&frames(&open(&torn)), before);
    }
    for (_, flipped) in flips(&model, &newest, last..end) {
        let history = open(&flipped);
        assert_same(&frames(&history), before);
        let lost = expected.last().expect("an update");
        // Its id was the publisher's.
        assert_eq!(look_up(&history, &lost.event_id), Lookup::Unknown);
    }
}

/// A flip below the mark is damage and not an incomplete end: the start is refused with file, offset and
/// remedy, until a repair drops it.
#[test]
fn damage_below_the_mark_is_refused() {
    let (model, expected) = stored();
    let newest = segments(&model).pop().expect("a segment");
    let groups = groups(&model.bytes(&newest));
    let (start, end) = (groups[1], groups[2]);
    for (at, flipped) in flips(&model, &newest, start..end) {
        let error = try_open(&flipped).err().expect("it is refused");
        let OpenError::Damaged { path, offset, .. } = &error else {
            panic!("{error}");
        };
        assert_eq!(
            (&**path, *offset as usize),
            (&*format!("model/{newest}"), start)
        );
        assert!(error.to_string().contains("talaria history repair"));
        if at % 16 != 0 {
            continue;
        }
        let disk = flipped.mount();
        let steps = repair(&*disk, false).expect("a plan");
        assert_eq!(steps[0].lost, Some((Position(10), Position(10))));
        assert!(try_open(&flipped).is_err(), "a plan changes nothing");
        repair(&*disk, true).expect("a repair");
        assert_eq!(verify(&*disk).expect("it is readable"), []);
        let history = open(&flipped);
        assert_eq!(history.bounds().head, Position(UPDATES));
        assert_same(&frames(&history), &expected[10..]);
        let _recorder = crate::suite::start(&history);
        assert_eq!(append(&history, None).position, Position(UPDATES + 1));
    }
}

/// All updates are found if an index is incomplete, damaged, missing or of another segment.
#[test]
fn a_damaged_index_changes_nothing() {
    let (model, expected) = stored();
    let index = model
        .names()
        .into_iter()
        .find(|name| name.ends_with(".index"));
    let index = index.expect("an index");
    let bytes = model.bytes(&index);
    let check = |damaged: &Model| {
        let history = open(damaged);
        for frame in &expected {
            assert_eq!(
                look_up(&history, &frame.event_id),
                Lookup::Found(frame.position)
            );
        }
        let topic = Topic("https://example.com/books/1");
        let page = read(&history, 0, UPDATES, 1 << 20, topic).expect("a page");
        assert_same(&page.frames, &expected);
    };
    for (_, flipped) in flips(&model, &index, 0..bytes.len()) {
        check(&flipped);
    }
    for length in (0..bytes.len()).step_by(7) {
        check(&with(&model, &index, bytes[..length].to_vec()));
    }
    let missing = model.copy();
    missing.take(&index);
    check(&missing);
}

/// A manifest that is incomplete, damaged or missing is rebuilt, and ids keep their meaning.
#[test]
fn a_damaged_manifest_is_rebuilt() {
    let (model, expected) = stored();
    let bytes = model.bytes("manifest");
    let check = |damaged: &Model, at: usize| match try_open(damaged) {
        Ok(history) => {
            assert_same(&frames(&history), &expected);
            for frame in &expected {
                assert_eq!(
                    look_up(&history, &frame.event_id),
                    Lookup::Found(frame.position)
                );
            }
        }
        // A flip can change the version to a later one.
        Err(error) => assert!(matches!(error, OpenError::Version { .. }), "{at}: {error}"),
    };
    for (at, flipped) in flips(&model, "manifest", 0..bytes.len()) {
        check(&flipped, at);
    }
    for length in 0..bytes.len() {
        check(&with(&model, "manifest", bytes[..length].to_vec()), length);
    }
    let missing = model.copy();
    missing.take("manifest");
    check(&missing, 0);
}

/// `verify` finds every flipped bit of a sealed segment.
#[test]
fn verify_finds_every_flip() {
    let (model, _) = stored();
    assert_eq!(verify(&*model.mount()).expect("it is readable"), []);
    let sealed = &segments(&model)[0];
    for (at, flipped) in flips(&model, sealed, 0..model.bytes(sealed).len()) {
        match verify(&*flipped.mount()) {
            Ok(faults) => assert!(
                faults.iter().any(|fault| fault.path.ends_with(&**sealed)),
                "a flip at {at} is not found"
            ),
            Err(error) => assert!(matches!(error, OpenError::Version { .. }), "{error}"),
        }
    }
}

/// Damage inside a sealed segment does not stop a start. A read reports it, and from then on subscribers that
/// resume before it continue after it.
#[test]
fn damage_in_a_sealed_segment_costs_what_lies_before_it() {
    let (model, expected) = stored();
    let sealed = segments(&model)[1].clone();
    let groups = groups(&model.bytes(&sealed));
    // The second update of the second segment: position 6.
    for (_, flipped) in flips(&model, &sealed, groups[1]..groups[2]) {
        let history = open(&flipped);
        let page = read(&history, 0, UPDATES, 1 << 20, Everything).expect("what is before it");
        let reached = page.looked_up_to;
        let rest = read(&history, reached.0, UPDATES, 1 << 20, Everything);
        if reached == Position(5) {
            assert_same(&page.frames, &expected[..5]);
            assert_eq!(rest.expect_err("damage"), ReadError::Passed(Position(5)));
            assert_eq!(history.bounds().floor, Position(6));
            let hub_id = &expected[2].event_id;
            assert_eq!(look_up(&history, hub_id), Lookup::Deleted);
            let later = &expected[6];
            assert_eq!(
                look_up(&history, &later.event_id),
                Lookup::Found(later.position)
            );
            assert_same(&frames(&history), &expected[6..]);
        } else {
            // The flip is in the header of the group, which readers of updates do not need.
            assert_same(&page.frames, &expected);
        }
    }
}

/// The start is refused if any segment is missing, and a repair says what is lost.
#[test]
fn a_missing_segment_is_refused() {
    let (model, expected) = stored();
    for (index, first_kept) in [(0, 4), (1, 8), (2, 0)] {
        let damaged = model.copy();
        damaged.take(&segments(&model)[index]);
        let is_newest = index == 2;
        if is_newest {
            // Only the index of the segment before shows that there was another one.
            let before = segments(&model)[1].replace(".segment", ".index");
            assert!(damaged.names().contains(&before));
        }
        let error = try_open(&damaged).err().expect("it is refused");
        assert!(matches!(error, OpenError::Missing { .. }), "{error}");
        assert!(error.to_string().contains("talaria history repair"));
        let disk = damaged.mount();
        assert!(!verify(&*disk).expect("it is readable").is_empty());
        repair(&*disk, true).expect("a repair");
        assert_eq!(verify(&*disk).expect("it is readable"), []);
        let history = open(&damaged);
        let end = if is_newest { 8 } else { expected.len() };
        assert_same(&frames(&history), &expected[first_kept..end]);
    }
}

/// The file of a later release is left alone.
#[test]
fn a_later_format_is_refused() {
    let (model, _) = stored();
    let newest = segments(&model).pop().expect("a segment");
    let mut bytes = model.bytes(&newest);
    bytes[8] = 3;
    let error = try_open(&with(&model, &newest, bytes))
        .err()
        .expect("it is refused");
    assert!(
        matches!(error, OpenError::Version { version: 3, .. }),
        "{error}"
    );
}
