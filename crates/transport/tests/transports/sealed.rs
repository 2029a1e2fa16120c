//! Files of segments that this run sealed and that changed before they were read: an index is checked
//! before it is used, and readers learn the losses that it shows.

use std::sync::Arc;

use talaria_protocol::Update;
use talaria_transport::history::{History, HistoryOptions};
use talaria_transport::{Lookup, Position, ReadError, Transport};

use crate::damage::{groups, segments};
use crate::power::model::Model;
use crate::suite::{Everything, Topic, append, block_on, look_up, places, read, start};

const TOPIC: &str = "https://example.com/books/1";
const UPDATES: u64 = 200;
/// The bytes of the header of an index, and the offsets of its first and its last position.
const HEADER: usize = 84;
const FIRST: usize = 20;
const LAST: usize = 28;

/// A history of several segments of this run, of which the second is sealed. Every tenth update has the
/// topic, and each has a chosen id.
fn world() -> (Model, Arc<dyn Transport>) {
    let model = Model::new(1);
    let mut options = HistoryOptions::new(Arc::new(|| 1_000));
    options.ring_bytes = 64 << 10;
    let history: Arc<dyn Transport> =
        Arc::new(History::open(model.mount(), options).expect("it opens"));
    start(&history);
    for number in 1..=UPDATES {
        let topic = if number % 10 == 0 { TOPIC } else { "another" };
        let update = Update {
            topics: vec![topic.to_owned()],
            data: "y".repeat(2_000),
            id: Some(format!("mine-{number}")),
            ..Update::default()
        };
        block_on(history.append(update)).expect("it is stored");
    }
    assert!(segments(&model).len() >= 4);
    (model, history)
}

fn index(model: &Model) -> String {
    segments(model)[1].replace(".segment", ".index")
}

/// The positions of the second segment.
fn second(index: &[u8]) -> std::ops::RangeInclusive<u64> {
    let number = |at| u64::from_le_bytes(index[at..at + 8].try_into().expect("eight bytes"));
    number(FIRST)..=number(LAST)
}

fn tenths() -> Vec<u64> {
    (1..=UPDATES / 10).map(|tenth| 10 * tenth).collect()
}

/// An index that was damaged in any way is rebuilt, and nothing is lost.
#[test]
fn an_index_of_this_run_is_checked_before_it_is_used() {
    type Break = fn(&mut [u8], usize);
    let breaks: [(&str, Break); 4] = [
        ("zeroed offsets", |bytes, offsets| {
            bytes[HEADER..HEADER + offsets].fill(0);
        }),
        ("zeroed postings", |bytes, offsets| {
            bytes[HEADER + offsets..].fill(0);
        }),
        ("a zeroed end, where chosen ids are", |bytes, _| {
            let half = bytes.len() / 2;
            bytes[half..].fill(0);
        }),
        ("flipped bits", |bytes, _| {
            bytes[HEADER..].iter_mut().for_each(|byte| *byte ^= 0xFF);
        }),
    ];
    for (name, break_it) in breaks {
        let (model, history) = world();
        let index = index(&model);
        let mut bytes = model.bytes(&index);
        let second = second(&bytes);
        let offsets = (second.end() + 1 - second.start()) as usize * 4;
        break_it(&mut bytes, offsets);
        model.put(&index, bytes);
        for position in second.clone() {
            let found = look_up(&history, &format!("mine-{position}"));
            assert_eq!(found, Lookup::Found(Position(position)), "{name}");
        }
        let page = read(&history, 0, UPDATES, 1 << 30, Topic(TOPIC)).expect("a page");
        assert_eq!(places(&page.frames), tenths(), "{name}");
        let (start, end) = (second.start() - 1, *second.end());
        let page = read(&history, start, end, 1 << 30, Everything).expect("a page");
        assert_eq!(places(&page.frames), second.collect::<Vec<_>>(), "{name}");
        assert_eq!(history.bounds().floor, Position::ORIGIN, "{name}");
    }
}

/// A rebuilt index shows what is lost now; the one from memory did not.
#[test]
fn damage_found_by_a_rebuilt_index_is_reported() {
    // A record of the topic, one of another, and one after an earlier page has read the segment.
    for (is_of_topic, is_read_before) in [(true, false), (false, false), (true, true)] {
        let (model, history) = world();
        let (segment, index) = (segments(&model)[1].clone(), index(&model));
        let second = second(&model.bytes(&index));
        let lost = second
            .clone()
            .skip(2)
            .find(|position| (position % 10 == 0) == is_of_topic)
            .expect("a position");
        let mut bytes = model.bytes(&segment);
        let group = (lost - second.start()) as usize;
        let at = groups(&bytes)[group] + 72 + 50;
        bytes[at] ^= 4;
        model.put(&segment, bytes);
        model.take(&index);
        // A page that begins inside the segment reads the offsets, which rebuilds the index.
        let from = if is_read_before { *second.start() } else { 0 };
        let outcome = read(&history, from, UPDATES, 1 << 30, Topic(TOPIC));
        let reached = match outcome {
            Ok(page) => {
                let expected = tenths().into_iter().filter(|tenth| *tenth > from);
                let expected = expected.filter(|tenth| *tenth < lost);
                assert_eq!(places(&page.frames), expected.collect::<Vec<_>>());
                let rest = read(
                    &history,
                    page.looked_up_to.0,
                    UPDATES,
                    1 << 30,
                    Topic(TOPIC),
                );
                rest.expect_err("damage")
            }
            Err(error) => error,
        };
        assert_eq!(reached, ReadError::Passed(Position(lost - 1)));
        assert_eq!(history.bounds().floor, Position(lost));
        append(&history, None);
    }
}
