//! Damage is reported to readers and clients, whatever they ask for; no reader skips it silently.

use std::sync::Arc;

use talaria_transport::history::inspect::repair;
use talaria_transport::history::{Directory, History};
use talaria_transport::{Admit, Frame, Lookup, Position, ReadError, Transport, Verdict};

use crate::damage::{UPDATES, groups, open, options, segments, stored, with};
use crate::folder::Folder;
use crate::power::model::{Crash, Model};
use crate::suite::{Topic, append, look_up, places, read, start};
use crate::watched::Watched;

/// Admits several topics, and says so.
struct Topics(&'static [&'static str]);

impl Admit for Topics {
    fn judge(&self, frame: &Frame) -> Verdict {
        let topics = &frame.topics;
        topics.iter().any(|topic| self.0.contains(&&**topic)).into()
    }

    fn exact_topics(&self) -> Option<Vec<&str>> {
        Some(self.0.to_vec())
    }
}

const TOPIC: &str = "https://example.com/books/1";

/// Reads from the beginning to the end of the log or to damage; returns the positions, and the one after
/// which the log was damaged.
fn read_on(
    history: &Arc<dyn Transport>,
    topics: &'static [&'static str],
) -> (Vec<u64>, Option<u64>) {
    let (mut from, mut found) = (0, Vec::new());
    while from < UPDATES {
        match read(history, from, UPDATES, 1 << 20, Topics(topics)) {
            Ok(page) => {
                assert!(page.looked_up_to.0 > from, "a page goes on");
                from = page.looked_up_to.0;
                found.extend(places(&page.frames));
            }
            Err(ReadError::Passed(Position(behind))) => return (found, Some(behind)),
            Err(error) => panic!("{error}"),
        }
    }
    (found, None)
}

/// The model without the index of the second segment, which has these bytes.
fn with_second(model: &Model, bytes: Vec<u8>) -> Model {
    let second = segments(model)[1].clone();
    let damaged = with(model, &second, bytes);
    damaged.take(&second.replace(".segment", ".index"));
    damaged
}

/// A rebuilt index does not have the topics of lost updates, so readers of named topics end before them,
/// whatever their topics are, as readers of everything do.
#[test]
fn a_reader_of_a_topic_is_told_of_damage() {
    let (model, _) = stored();
    let bytes = model.bytes(&segments(&model)[1]);
    let groups = groups(&bytes);
    let topics: [&[&str]; 3] = [&[TOPIC], &["another", TOPIC], &["nowhere"]];
    let check = |damaged: &Model, first_lost: u64, behind: u64| {
        for topics in topics {
            let history = open(damaged);
            let (found, damage) = read_on(&history, topics);
            let before = if topics.contains(&TOPIC) {
                first_lost - 1
            } else {
                0
            };
            assert_eq!(found, (1..=before).collect::<Vec<_>>(), "{topics:?}");
            assert_eq!(damage, Some(first_lost - 1), "{topics:?}");
            assert_eq!(history.bounds().floor, Position(behind), "{topics:?}");
        }
    };
    // The second segment holds positions 5 to 8: the first ones, one in the middle, the last ones.
    let cases: [(&[u64], u64); 6] = [
        (&[5], 5),
        (&[6], 6),
        (&[8], 8),
        (&[5, 6], 6),
        (&[7, 8], 8),
        (&[6, 8], 6),
    ];
    for (lost, behind) in cases {
        let mut damaged = bytes.clone();
        for position in lost {
            damaged[groups[*position as usize - 5] + 72 + 50] ^= 4;
        }
        check(&with_second(&model, damaged), lost[0], behind);
    }
    // Anywhere in a group, including its header, which alone says where the record begins.
    for at in (groups[1]..groups[2]).step_by(7) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1;
        check(&with_second(&model, damaged), 6, 6);
    }
    // The end is cut off.
    let cut = bytes[..groups[3] + 80].to_vec();
    check(&with_second(&model, cut), 8, 8);
    // Bytes that a repair gave up.
    let mut damaged = bytes;
    damaged[groups[1] + 72 + 50] ^= 4;
    let repaired = with_second(&model, damaged);
    repair(&*repaired.mount(), true).expect("a repair");
    check(&repaired, 6, 6);
}

/// If several places are damaged, each of them ends the readers that reach it.
#[test]
fn each_damaged_place_is_told() {
    let (model, _) = stored();
    let mut bytes = model.bytes(&segments(&model)[1]);
    let groups = groups(&bytes);
    for group in [0, 2] {
        bytes[groups[group] + 72 + 50] ^= 4;
    }
    let history = open(&with_second(&model, bytes));
    assert_eq!(read_on(&history, &[TOPIC]), (vec![1, 2, 3, 4], Some(4)));
    assert_eq!(history.bounds().floor, Position(5));
    let page = read(&history, 5, UPDATES, 1 << 20, Topic(TOPIC)).expect("what is between");
    assert_eq!(places(&page.frames), [6]);
    let error = read(&history, 6, UPDATES, 1 << 20, Topic(TOPIC)).expect_err("damage");
    assert_eq!(error, ReadError::Passed(Position(6)));
    assert_eq!(history.bounds().floor, Position(7));
    let page = read(&history, 7, UPDATES, 1 << 20, Topic(TOPIC)).expect("the rest");
    assert_eq!(places(&page.frames), [8, 9, 10, 11, 12]);
}

/// Damage in the active segment ends readers too.
#[test]
fn damage_in_the_active_segment_is_told() {
    let folder = Folder::new();
    let directory = Directory::open(folder.path()).expect("a directory");
    let history = History::open(Arc::new(directory), options()).expect("it opens");
    let history: Arc<dyn Transport> = Arc::new(history);
    let _recorder = start(&history);
    (0..UPDATES).for_each(|_| drop(append(&history, None)));
    let files = std::fs::read_dir(folder.path()).expect("a folder");
    let mut paths = files.map(|file| file.expect("a file").path());
    let segment = paths.find(|path| path.extension().is_some_and(|kind| kind == "segment"));
    let segment = segment.expect("a segment");
    let mut bytes = std::fs::read(&segment).expect("its bytes");
    let at = groups(&bytes)[4] + 72 + 50;
    bytes[at] ^= 4;
    std::fs::write(&segment, bytes).expect("it is written");
    assert_eq!(read_on(&history, &[TOPIC]), (vec![1, 2, 3, 4], Some(4)));
    assert_eq!(history.bounds().floor, Position(5));
}

/// An id that a publisher chose counts as deleted if its record is damaged or precedes damage. It is not
/// unknown, nor does it stand for the update that used the id again.
#[test]
fn an_id_before_damage_is_deleted() {
    let model = Model::new(1);
    for _ in 0..2 {
        let history = open(&model);
        let _recorder = start(&history);
        append(&history, Some("before"));
        append(&history, Some("twice"));
        append(&history, None);
        model.crash(Crash::Kill);
    }
    drop(open(&model));
    let first = segments(&model)[0].clone();
    let mut bytes = model.bytes(&first);
    let at = groups(&bytes)[1] + 72 + 50;
    bytes[at] ^= 4;
    let history = open(&with(&model, &first, bytes));
    for _ in 0..2 {
        assert_eq!(look_up(&history, "twice"), Lookup::Deleted);
        assert_eq!(history.bounds().floor, Position(2));
        assert_eq!(look_up(&history, "before"), Lookup::Deleted);
        assert_eq!(look_up(&history, "unknown"), Lookup::Unknown);
    }
}

/// The extent of damage is measured once, not at each look-up of an id that was lost with it.
#[test]
fn known_damage_is_not_measured_again() {
    let model = Model::new(1);
    let history = open(&model);
    let recorder = start(&history);
    (0..200).for_each(|number| drop(append(&history, Some(&format!("mine-{number}")))));
    drop((history, recorder));
    drop(open(&model));
    let first = segments(&model)[0].clone();
    let mut bytes = model.bytes(&first);
    for at in &groups(&bytes.clone())[..200] {
        bytes[at + 72 + 50] ^= 4;
    }
    let disk = Watched::new(with(&model, &first, bytes).mount());
    let history = History::open(Arc::new(disk.clone()), options()).expect("it opens");
    let history: Arc<dyn Transport> = Arc::new(history);
    assert_eq!(look_up(&history, "mine-0"), Lookup::Deleted);
    assert_eq!(history.bounds().floor, Position(200));
    disk.watch.take_counts();
    assert_eq!(look_up(&history, "mine-1"), Lookup::Deleted);
    let (_, bytes) = disk.watch.take_counts();
    assert!(bytes < 10_000, "{bytes} bytes");
}
