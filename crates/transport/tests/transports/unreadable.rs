//! An I/O error says nothing about the data: what cannot be read now is unavailable, and everything is as
//! it was once it can be read again.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use talaria_transport::history::inspect::{repair, verify};
use talaria_transport::history::{History, HistoryOptions, OpenError};
use talaria_transport::{Appended, Lookup, Position, ReadError, Transport, Unavailable};

use crate::power::model::{Crash, Model};
use crate::suite::{Everything, Topic, append, block_on, look_up, places, read, start, update};
use crate::watched::Watched;

const TOPIC: &str = "https://example.com/books/1";

fn options() -> HistoryOptions {
    HistoryOptions::new(Arc::new(|| 1_000))
}

fn open(disk: &Watched) -> Result<Arc<dyn Transport>, OpenError> {
    Ok(Arc::new(History::open(Arc::new(disk.clone()), options())?))
}

fn run(model: &Model, ids: &[Option<&str>]) -> Vec<Appended> {
    let history = open(&Watched::new(model.mount())).expect("it opens");
    let _recorder = start(&history);
    let appended = ids.iter().map(|id| append(&history, *id)).collect();
    model.crash(Crash::Kill);
    appended
}

/// Four segments of three updates; `first`, `twice` and `twice` again are chosen. Also an id of the
/// last run that was lost with its update.
fn stored() -> (Model, String) {
    let model = Model::new(1);
    run(&model, &[Some("first"), None, None]);
    run(&model, &[None, Some("twice"), None]);
    run(&model, &[None, Some("twice"), None]);
    let before = model.copy();
    let lost = run(&before, &[None, None, None, None])[3].event_id.clone();
    // The same run, with one update less.
    let newest = before
        .names()
        .into_iter()
        .rfind(|name| name.ends_with(".segment"));
    let newest = newest.expect("a segment");
    let mut bytes = before.bytes(&newest);
    let groups = crate::damage::groups(&bytes);
    bytes.truncate(groups[3]);
    before.put(&newest, bytes);
    (before, lost)
}

fn ids(lost: &str) -> [&str; 4] {
    ["first", "twice", "unknown", lost]
}

fn ask(history: &Arc<dyn Transport>, id: &str) -> Result<Lookup, Unavailable> {
    block_on(history.position_of(id))
}

fn is_log(name: &str) -> bool {
    name.ends_with(".segment") || name.ends_with(".index")
}

/// Checks what each of the ids stands for, and what readers of everything and of a topic get.
fn assert_all_is_there(history: &Arc<dyn Transport>, lost: &str) {
    assert_eq!(
        history.bounds().floor,
        Position::ORIGIN,
        "nothing is damaged"
    );
    assert_eq!(look_up(history, "first"), Lookup::Found(Position(1)));
    assert_eq!(look_up(history, "twice"), Lookup::Found(Position(5)));
    assert_eq!(look_up(history, "unknown"), Lookup::Unknown);
    let past = look_up(history, lost);
    assert!(
        matches!(
            past,
            Lookup::Past {
                position: Position(12),
                ..
            }
        ),
        "{past:?}"
    );
    let everything = read(history, 0, 12, 1 << 20, Everything).expect("a page");
    assert_eq!(places(&everything.frames), (1..=12).collect::<Vec<_>>());
    let topic = read(history, 0, 12, 1 << 20, Topic(TOPIC)).expect("a page");
    assert_eq!(places(&topic.frames), (1..=12).collect::<Vec<_>>());
}

/// While files cannot be opened, no id is unknown, deleted or found at a later position, and no reader is
/// told that updates are gone. It may still read segments that are open already.
#[test]
fn opening_fails() {
    const EIO: i32 = 5;
    const EMFILE: i32 = 24;
    const EACCES: i32 = 13;
    for errno in [EMFILE, EIO, EACCES] {
        for suffix in [".segment", ".index", ""] {
            let (model, lost) = stored();
            let disk = Watched::new(model.mount());
            let history = open(&disk).expect("it opens");
            disk.watch.fail(move |name, offset| {
                let fails = offset.is_none() && is_log(name) && name.ends_with(suffix);
                fails.then(|| io::Error::from_raw_os_error(errno))
            });
            for round in 0..2 {
                for id in ids(&lost) {
                    let answer = ask(&history, id);
                    let first = [Err(Unavailable), Ok(Lookup::Found(Position(1)))];
                    let unknown = [Err(Unavailable), Ok(Lookup::Unknown)];
                    let right = match id {
                        "first" => &first[..],
                        // The indexes suffice.
                        "unknown" if suffix == ".segment" => &unknown[..],
                        _ => &first[..1],
                    };
                    assert!(
                        right.contains(&answer),
                        "{errno} {suffix} {round} {id}: {answer:?}"
                    );
                }
                // The segment of positions 4 to 6 is not open.
                for from in [3, 6, 9] {
                    let page = read(&history, from, 12, 1 << 20, Everything);
                    assert_eq!(
                        page.expect_err("it fails"),
                        ReadError::Unavailable(Unavailable)
                    );
                    let page = read(&history, from, 12, 1 << 20, Topic(TOPIC));
                    assert_eq!(
                        page.expect_err("it fails"),
                        ReadError::Unavailable(Unavailable)
                    );
                }
            }
            disk.watch.heal();
            assert_all_is_there(&history, &lost);
        }
    }
}

/// Open files cannot be read, as a whole or at a single offset.
#[test]
fn reading_fails() {
    let (model, lost) = stored();
    let disk = Watched::new(model.mount());
    let history = open(&disk).expect("it opens");
    assert_all_is_there(&history, &lost);
    disk.watch.fail(|name, offset| {
        let fails = offset.is_some() && is_log(name);
        fails.then(|| io::Error::other("the disk fails"))
    });
    // No index need be read for an id that no publisher chose.
    for id in ["first", "twice", &lost] {
        assert_eq!(ask(&history, id), Err(Unavailable), "{id}");
    }
    for from in 0..12 {
        let page = read(&history, from, 12, 1 << 20, Everything);
        assert_eq!(
            page.expect_err("it fails"),
            ReadError::Unavailable(Unavailable)
        );
    }
    disk.watch.heal();
    let second = model
        .names()
        .into_iter()
        .filter(|name| name.ends_with(".segment"))
        .nth(1);
    let second = second.expect("a segment");
    disk.watch.fail(move |name, offset| {
        let fails = offset.is_some() && name == second;
        fails.then(|| io::Error::other("the disk fails"))
    });
    let page = read(&history, 0, 12, 1 << 20, Everything).expect("what is before it");
    assert_eq!(places(&page.frames), [1, 2, 3]);
    let page = read(&history, 3, 12, 1 << 20, Everything);
    assert_eq!(
        page.expect_err("it fails"),
        ReadError::Unavailable(Unavailable)
    );
    disk.watch.heal();
    assert_all_is_there(&history, &lost);
}

/// While the updates after damage cannot be read, its extent is unknown and nothing is given up.
#[test]
fn damage_is_not_widened() {
    let (model, _) = stored();
    let second = model
        .names()
        .into_iter()
        .filter(|name| name.ends_with(".segment"))
        .nth(1);
    let second = second.expect("a segment");
    let mut bytes = model.bytes(&second);
    let groups = crate::damage::groups(&bytes);
    // Position 4; 5 begins after the header of the next group.
    bytes[groups[0] + 72 + 50] ^= 1;
    model.put(&second, bytes);
    let disk = Watched::new(model.mount());
    let history = open(&disk).expect("it opens");
    let follows = groups[1] as u64 + 72;
    disk.watch.fail(move |name, offset| {
        let fails = name == second && offset == Some(follows);
        fails.then(|| io::Error::other("the disk fails"))
    });
    let page = read(&history, 3, 12, 1 << 20, Everything);
    assert_eq!(
        page.expect_err("it fails"),
        ReadError::Unavailable(Unavailable)
    );
    assert_eq!(history.bounds().floor, Position::ORIGIN);
    disk.watch.heal();
    let page = read(&history, 3, 12, 1 << 20, Everything);
    assert_eq!(page.expect_err("damage"), ReadError::Passed(Position(3)));
    assert_eq!(history.bounds().floor, Position(4), "and not further");
    assert_eq!(look_up(&history, "twice"), Lookup::Found(Position(5)));
}

/// A file that was moved away is not one that retention deleted: it may come back.
#[test]
fn a_missing_file_is_not_retention() {
    let (model, lost) = stored();
    let disk = Watched::new(model.mount());
    let history = open(&disk).expect("it opens");
    let names = model.names().into_iter().filter(|name| is_log(name));
    let files: Vec<_> = names
        .map(|name| (name.clone(), model.bytes(&name)))
        .collect();
    files.iter().for_each(|(name, _)| model.take(name));
    for id in ["twice", "unknown", &lost] {
        assert_eq!(ask(&history, id), Err(Unavailable), "{id}");
    }
    let page = read(&history, 3, 12, 1 << 20, Everything);
    assert_eq!(
        page.expect_err("it fails"),
        ReadError::Unavailable(Unavailable)
    );
    for (name, bytes) in files {
        model.put(&name, bytes);
    }
    assert_all_is_there(&history, &lost);
}

/// A segment that retention deletes while it is being opened is gone, which is not a failure.
#[test]
fn what_retention_deletes_meanwhile_is_gone() {
    for is_look_up in [true, false] {
        let (model, _) = stored();
        let disk = Watched::new(model.mount());
        let mut options = options();
        options.size = Some(5);
        // The floor is 7, and the opening removes what lies below it.
        let history: Arc<dyn Transport> =
            Arc::new(History::open(Arc::new(disk.clone()), options).expect("it opens"));
        let _recorder = start(&history);
        let oldest = model
            .names()
            .into_iter()
            .find(|name| name.ends_with(".segment"));
        let oldest = oldest.expect("a segment");
        let (weak, is_done) = (Arc::downgrade(&history), AtomicBool::new(false));
        let files = model.clone();
        disk.watch.before_opening(move |name| {
            if name == oldest && !is_done.swap(true, Ordering::SeqCst) {
                let history = weak.upgrade().expect("it is open");
                while files.names().contains(&oldest) {
                    block_on(history.append(update(None, "x"))).expect("it is stored");
                }
            }
        });
        if is_look_up {
            assert_eq!(ask(&history, "twice"), Ok(Lookup::Unknown));
        } else {
            let page = read(&history, 7, 12, 1 << 20, Everything);
            assert_eq!(
                page.expect_err("it is gone"),
                ReadError::Passed(Position(7))
            );
        }
    }
}

/// An opening that cannot read what it needs fails with an error; it does not continue without it.
#[test]
fn an_opening_that_cannot_read_fails() {
    let (model, _) = stored();
    let newest = model
        .names()
        .into_iter()
        .rfind(|name| name.ends_with(".segment"));
    let newest = newest.expect("a segment");
    let fails = |model: &Model, name: String| {
        let disk = Watched::new(model.mount());
        disk.watch.fail(move |failing, offset| {
            let fails = failing == name && offset.is_none();
            fails.then(|| io::Error::other("the disk fails"))
        });
        match open(&disk) {
            Ok(_) => panic!("it opens without what it needs"),
            Err(OpenError::Io { path, .. }) => path,
            Err(error) => panic!("{error}"),
        }
    };
    // The index that says that a later segment is missing.
    let missing = model.copy();
    missing.take(&newest);
    let index = missing
        .names()
        .into_iter()
        .rfind(|name| name.ends_with(".index"));
    let index = index.expect("an index");
    assert!(fails(&missing, index.clone()).ends_with(&index));
    // The segment with the newest id, after a clean stop.
    let closed = Model::new(1);
    let history = open(&Watched::new(closed.mount())).expect("it opens");
    let recorder = start(&history);
    let newest = append(&history, Some("newest"));
    drop((history, recorder));
    let segment = closed
        .names()
        .into_iter()
        .find(|name| name.ends_with(".segment"));
    let disk = Watched::new(closed.copy().mount());
    assert_eq!(
        open(&disk).expect("it opens").newest_id(),
        Some(newest.event_id)
    );
    let is_second = AtomicBool::new(false);
    let (disk, segment) = (Watched::new(closed.mount()), segment.expect("a segment"));
    disk.watch.fail(move |name, offset| {
        // First its header is read, then the newest update.
        let fails = name == segment && offset.is_none() && is_second.swap(true, Ordering::SeqCst);
        fails.then(|| io::Error::other("the disk fails"))
    });
    assert!(matches!(open(&disk).err(), Some(OpenError::Io { .. })));
}

/// `verify` and `repair` do not report a failing disk as damage.
#[test]
fn inspecting_reports_errors_as_errors() {
    let (model, _) = stored();
    assert_eq!(verify(&*model.mount()).expect("it is readable"), []);
    for suffix in [".index", ".segment", "manifest"] {
        let disk = Watched::new(model.mount());
        disk.watch.fail(move |name, _| {
            let fails = name.ends_with(suffix);
            fails.then(|| io::Error::other("the disk fails"))
        });
        for outcome in [verify(&disk).err(), repair(&disk, true).err()] {
            assert!(
                matches!(outcome, Some(OpenError::Io { .. })),
                "{suffix}: {outcome:?}"
            );
        }
    }
    assert_eq!(verify(&*model.mount()).expect("it is readable"), []);
}
