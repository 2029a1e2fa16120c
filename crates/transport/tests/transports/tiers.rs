//! Tiers: indexes over many segments. They find what the indexes of the segments find, and whatever happens to
//! them costs time only.

use std::sync::Arc;

use talaria_protocol::Update;
use talaria_transport::history::inspect::{repair, verify};
use talaria_transport::history::{Disk, History, HistoryOptions};
use talaria_transport::{Lookup, Position, Transport};

use crate::power::model::{Crash, Model};
use crate::suite::{Everything, Topic, append, block_on, eventually, look_up, places, read, start};
use crate::watched::Watched;

const COMMON: &str = "https://example.com/common";
const RARE: &str = "https://example.com/rare";
/// The updates of a segment.
const OF_SEGMENT: u64 = 3;
/// The segments of a small tier, and of a large one.
const SMALL: u64 = 4;
const LARGE: u64 = SMALL * SMALL;

fn options(small: u64) -> HistoryOptions {
    let mut options = HistoryOptions::new(Arc::new(|| 1_000));
    options.segments_of_tier = small;
    options
}

fn open(disk: Arc<dyn Disk>, small: u64) -> Arc<dyn Transport> {
    Arc::new(History::open(disk, options(small)).expect("it opens"))
}

/// Whether the update at a position has the rare topic: one in every fifth segment, and two in every
/// fifteenth.
fn is_rare(position: u64) -> bool {
    let (segment, place) = ((position - 1) / OF_SEGMENT, (position - 1) % OF_SEGMENT);
    segment % 5 == 2 && (place == 1 || segment % 15 == 2 && place == 2)
}

fn publish(history: &Arc<dyn Transport>, position: u64) {
    let topic = if is_rare(position) { RARE } else { COMMON };
    let update = Update {
        topics: vec![topic.to_owned(), format!("https://example.com/{position}")],
        data: "x".to_owned(),
        id: Some(format!("mine-{position}")),
        ..Update::default()
    };
    let appended = block_on(history.append(update)).expect("it is stored");
    assert_eq!(appended.event_id, format!("mine-{position}"));
}

/// A log of this many sealed segments without tiers, as an earlier release leaves it.
fn stored(segments: u64) -> Model {
    let model = Model::new(1);
    for segment in 0..segments {
        let history = open(model.mount(), 1 << 20);
        let _recorder = start(&history);
        for place in 1..=OF_SEGMENT {
            publish(&history, segment * OF_SEGMENT + place);
        }
    }
    model
}

fn tiers(model: &Model) -> Vec<String> {
    let names = model.names().into_iter();
    names.filter(|name| name.ends_with(".tier")).collect()
}

fn range(first: u64, last: u64) -> String {
    format!("{first:010}-{last:010}.tier")
}

/// Opens the log, and waits until all of its tiers are made.
fn with_tiers(model: &Model, expected: &[String]) -> Arc<dyn Transport> {
    let history = open(model.mount(), SMALL);
    eventually("the tiers are made", || tiers(model) == expected);
    history
}

/// Everything that was published above a floor is found, by id and by topic, and nothing else is.
fn assert_complete(history: &Arc<dyn Transport>, floor: u64, head: u64) {
    assert_eq!(look_up(history, "unknown"), Lookup::Unknown);
    for position in 1..=head {
        let found = match position > floor {
            true => Lookup::Found(Position(position)),
            false => Lookup::Unknown,
        };
        assert_eq!(look_up(history, &format!("mine-{position}")), found);
    }
    for from in (floor..head).step_by(7) {
        for (topic, rare) in [(RARE, true), (COMMON, false)] {
            let (mut at, mut found) = (from, Vec::new());
            while at < head {
                let page = read(history, at, head, 1 << 20, Topic(topic)).expect("a page");
                assert!(page.looked_up_to.0 > at, "a page goes on");
                at = page.looked_up_to.0;
                found.extend(places(&page.frames));
            }
            let expected = (from + 1..=head).filter(|position| is_rare(*position) == rare);
            assert_eq!(found, expected.collect::<Vec<_>>(), "{topic} from {from}");
        }
    }
}

/// A log without tiers gets them: large ones of full groups, small ones of the rest, none of segments whose group
/// is not full. They find what was published, and so they do after the next start.
#[test]
fn tiers_find_what_the_indexes_find() {
    let segments = 2 * LARGE + SMALL + 2;
    let model = stored(segments);
    let expected = [
        range(1, LARGE),
        range(LARGE + 1, 2 * LARGE),
        range(2 * LARGE + 1, 2 * LARGE + SMALL),
    ];
    for _ in 0..2 {
        let history = with_tiers(&model, &expected);
        assert_complete(&history, 0, segments * OF_SEGMENT);
    }
    assert_eq!(verify(&*model.mount()).expect("it is readable"), []);
}

/// A start with tiers opens as many files as there are tiers, however many segments there are. Then an unknown id
/// opens only the indexes that no tier covers, and a reader of a topic only the segments that have it.
#[test]
fn nothing_is_opened_that_has_nothing() {
    let segments = 3 * LARGE + 1;
    let model = stored(segments);
    let expected = [1, 2, 3].map(|group| range((group - 1) * LARGE + 1, group * LARGE));
    drop(with_tiers(&model, &expected));
    let disk = Watched::new(model.mount());
    let history = open(Arc::new(disk.clone()), SMALL);
    let (opens, _) = disk.watch.take_counts();
    // Manifest, events, tiers, and the newest segments with their indexes.
    assert!(opens <= 12, "{opens} opens");
    assert_eq!(look_up(&history, "unknown"), Lookup::Unknown);
    let (opens, _) = disk.watch.take_counts();
    assert!(opens <= 2, "{opens} opens");
    for number in 0..100 {
        let unknown = format!("unknown-{number}");
        assert_eq!(look_up(&history, &unknown), Lookup::Unknown);
    }
    let (opens, bytes) = disk.watch.take_counts();
    assert_eq!(opens, 0);
    // Two reads of a tier, of two blocks at most each time, if its buckets are small.
    assert!(bytes <= 100 * 3 * 8 * 512, "{bytes} bytes");
    let head = segments * OF_SEGMENT;
    let rare = (1..=head).filter(|position| is_rare(*position));
    let mut holding: Vec<u64> = rare
        .clone()
        .map(|position| (position - 1) / OF_SEGMENT)
        .collect();
    holding.dedup();
    let page = read(&history, 0, head, 1 << 20, Topic(RARE)).expect("a page");
    assert_eq!(places(&page.frames), rare.collect::<Vec<_>>());
    let (opens, _) = disk.watch.take_counts();
    // A segment with several of them also needs its index.
    assert!(opens <= 2 * holding.len() as u64 + 4, "{opens} opens");
}

/// Tiers are made while segments are sealed, and removed with their last segment.
#[test]
fn tiers_come_and_go_with_their_segments() {
    let model = Model::new(1);
    let mut bounded = options(2);
    bounded.ring_bytes = 64 << 10;
    bounded.size = Some(60);
    let history: Arc<dyn Transport> =
        Arc::new(History::open(model.mount(), bounded).expect("it opens"));
    let _recorder = start(&history);
    let mut seen = std::collections::BTreeSet::new();
    for number in 1..=600_u64 {
        let update = Update {
            topics: vec![COMMON.to_owned()],
            data: "x".repeat(20_000),
            id: Some(format!("mine-{number}")),
            ..Update::default()
        };
        block_on(history.append(update)).expect("it is stored");
        seen.extend(tiers(&model));
    }
    let numbers = |name: &String| {
        let (first, last) = name.strip_suffix(".tier")?.split_once('-')?;
        Some((first.parse::<u64>().ok()?, last.parse::<u64>().ok()?))
    };
    let segments = model.names().into_iter();
    let segments = segments.filter(|name| name.ends_with(".segment"));
    let numbered = segments.filter_map(|name| name.split('-').next()?.parse::<u64>().ok());
    let oldest = numbered.min().expect("a segment");
    eventually("tiers of deleted segments are removed", || {
        let all = tiers(&model);
        all.iter()
            .filter_map(numbers)
            .all(|(_, last)| last >= oldest)
    });
    for number in 541..=600 {
        let found = Lookup::Found(Position(number));
        assert_eq!(look_up(&history, &format!("mine-{number}")), found);
    }
    assert_eq!(look_up(&history, "mine-540"), Lookup::Unknown);
    drop(history);
    assert_eq!(verify(&*model.mount()).expect("it is readable"), []);
}

/// Whatever part of a tier is damaged: nothing is lost, `verify` names it, and it is made again.
#[test]
fn a_damaged_tier_costs_time_only() {
    let segments = LARGE + 1;
    let head = segments * OF_SEGMENT;
    let whole = stored(segments);
    let expected = [range(1, LARGE)];
    drop(with_tiers(&whole, &expected));
    let blocks = whole.bytes(&expected[0]).len() / 512;
    type Damage = Box<dyn Fn(&mut Vec<u8>)>;
    let mut damages: Vec<Damage> = vec![
        Box::new(Vec::clear),
        Box::new(|bytes| bytes.truncate(bytes.len() - 1)),
        Box::new(|bytes| bytes.extend([0; 512])),
        Box::new(|bytes| bytes.fill(0)),
        // Two blocks have changed places.
        Box::new(|bytes| {
            let last = bytes.len() - 512;
            let (first, rest) = bytes.split_at_mut(last);
            first[last - 512..].swap_with_slice(rest);
        }),
        // A later version.
        Box::new(|bytes| {
            bytes[8] = 2;
            let checksum = crc32c::crc32c_append(0, &bytes[..508]);
            bytes[508..512].copy_from_slice(&checksum.to_le_bytes());
        }),
    ];
    for block in 0..blocks {
        damages.push(Box::new(move |bytes| bytes[block * 512 + 40] ^= 1));
    }
    for (number, damage) in damages.iter().enumerate() {
        let model = whole.copy();
        let mut bytes = model.bytes(&expected[0]);
        damage(&mut bytes);
        model.put(&expected[0], bytes);
        let faults = verify(&*model.mount()).expect("it is readable");
        assert_eq!(faults.len(), 1, "damage {number}");
        assert!(faults[0].path.ends_with(".tier"), "{faults:?}");
        let history = open(model.mount(), SMALL);
        assert_complete(&history, 0, head);
        drop(history);
        drop(with_tiers(&model, &expected));
        if !verify(&*model.mount()).expect("it is readable").is_empty() {
            // No reader has needed the damaged part.
            let steps = repair(&*model.mount(), true).expect("it is repaired");
            assert_eq!(steps.len(), 1, "{steps:?}");
            assert_eq!(tiers(&model), [] as [String; 0]);
            drop(with_tiers(&model, &expected));
        }
        assert_eq!(verify(&*model.mount()).expect("it is readable"), []);
    }
}

/// A tier of another log, or of segments that are no longer these, is not used.
#[test]
fn a_tier_that_does_not_fit_is_not_used() {
    let segments = LARGE + 1;
    let expected = [range(1, LARGE)];
    let (one, other) = (stored(segments), stored(segments));
    drop(with_tiers(&other, &expected));
    one.put(&expected[0], other.bytes(&expected[0]));
    assert_complete(&open(one.mount(), SMALL), 0, segments * OF_SEGMENT);
    // A copy of an earlier state, into which a later tier was put.
    let earlier = stored(SMALL + 1);
    for tier in [range(1, LARGE), range(1, SMALL), range(2, SMALL + 1)] {
        earlier.put(&tier, other.bytes(&expected[0]));
    }
    let history = with_tiers(&earlier, &[range(1, SMALL)]);
    assert_complete(&history, 0, (SMALL + 1) * OF_SEGMENT);
}

/// A tier that cannot be read answers nothing wrong, and is not needed.
#[test]
fn an_unreadable_tier_is_not_needed() {
    let segments = LARGE + 1;
    let model = stored(segments);
    drop(with_tiers(&model, &[range(1, LARGE)]));
    for fails_to_open in [true, false] {
        let disk = Watched::new(model.mount());
        let fails = move |name: &str, offset: Option<u64>| {
            let is_asked = name.ends_with(".tier") && (fails_to_open || offset > Some(511));
            is_asked.then(|| std::io::Error::from_raw_os_error(5))
        };
        disk.watch.fail(fails);
        let history = open(Arc::new(disk.clone()), SMALL);
        assert_complete(&history, 0, segments * OF_SEGMENT);
    }
}

/// Wherever a process dies while tiers are made, and whatever a loss of power takes: the next start has
/// everything, and makes them.
#[test]
fn a_crash_while_tiers_are_made_loses_nothing() {
    let segments = LARGE + SMALL + 1;
    let head = segments * OF_SEGMENT;
    let stored = stored(segments);
    let expected = [range(1, LARGE), range(LARGE + 1, LARGE + SMALL)];
    let full = std::env::var("TALARIA_FULL").is_ok_and(|value| value == "1");
    for calls in (0..).step_by(if full { 1 } else { 5 }) {
        let model = stored.copy();
        model.reseed(calls);
        model.crash_after(calls);
        let opened = History::open(model.mount(), options(SMALL));
        eventually("it dies or is done", || {
            !model.is_alive() || tiers(&model) == expected
        });
        let is_done = model.is_alive();
        model.crash([Crash::Kill, Crash::PowerLoss][(calls / 5 % 2) as usize]);
        drop(opened);
        let history = open(model.mount(), SMALL);
        assert_complete(&history, 0, head);
        append(&history, None);
        drop(history);
        // What a loss of power damaged is found by the first one who needs it, so the next start makes it.
        let history = open(model.mount(), SMALL);
        let has_large = || tiers(&model).contains(&expected[0]);
        eventually("the large tier is made", has_large);
        let all = read(&history, 0, head, 1 << 30, Everything).expect("a page");
        assert_eq!(all.frames.len() as u64, head);
        if is_done {
            return;
        }
    }
}
