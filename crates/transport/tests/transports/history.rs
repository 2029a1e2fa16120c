//! The history keeps the promises of every transport, and keeps updates across restarts.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use talaria_protocol::Update;
use talaria_transport::history::{Directory, History, HistoryOptions, OpenError};
use talaria_transport::{Bounds, Frame, Lookup, Position, ReadError, Transport};

use crate::folder::Folder;
use crate::suite::{
    self, Everything, Kept, Topic, append, block_on, look_up, places, read, start, update,
};

fn options() -> HistoryOptions {
    HistoryOptions::new(Arc::new(|| 1_000))
}

fn try_open_in(folder: &Folder, options: HistoryOptions) -> Result<History, OpenError> {
    let directory = Directory::open(folder.path()).expect("a directory");
    History::open(Arc::new(directory), options)
}

fn open_in(folder: &Folder, options: HistoryOptions) -> Arc<dyn Transport> {
    Arc::new(try_open_in(folder, options).expect("a history"))
}

fn open(kept: Kept) -> Arc<dyn Transport> {
    // The folders are removed at the end of the process, because the laws close their transports.
    static FOLDERS: Mutex<Vec<Folder>> = Mutex::new(Vec::new());
    let folder = Folder::new();
    let mut options = options();
    options.size = kept.size;
    options.max_bytes = Some(kept.max_bytes as u64);
    options.ring_bytes = kept.max_bytes;
    let transport = open_in(&folder, options);
    FOLDERS.lock().expect("no panic").push(folder);
    transport
}

crate::suite!(open);

fn all(transport: &Arc<dyn Transport>) -> Vec<Arc<Frame>> {
    let Bounds { floor, head } = transport.bounds();
    let (mut from, mut frames) = (floor, Vec::new());
    while from < head {
        let page = read(transport, from.0, head.0, 1 << 20, Everything).expect("a page");
        assert!(page.looked_up_to > from, "a page goes on");
        from = page.looked_up_to;
        frames.extend(page.frames);
    }
    frames
}

/// Everything is there after a restart, before the first publish.
#[test]
fn a_restart_keeps_everything() {
    let folder = Folder::new();
    let mut appended = Vec::new();
    for round in 0..5 {
        let transport = open_in(&folder, options());
        let _recorder = start(&transport);
        let newest = appended
            .last()
            .map(|(id, _): &(String, Position)| id.clone());
        assert_eq!(transport.newest_id(), newest);
        let frames = all(&transport);
        let stored: Vec<_> = frames
            .iter()
            .map(|frame| (frame.event_id.to_string(), frame.position))
            .collect();
        assert_eq!(stored, appended);
        for (id, position) in &appended {
            assert_eq!(look_up(&transport, id), Lookup::Found(*position));
        }
        for count in 0..300 {
            let mine = format!("mine-{round}-{count}");
            let id = (count % 3 == 0).then_some(&*mine);
            let done = append(&transport, id);
            appended.push((done.event_id, done.position));
        }
    }
}

/// Retention deletes segments, and postings find a rare topic in all that remain.
#[test]
fn a_rare_topic_is_found_in_every_segment() {
    let folder = Folder::new();
    let mut small_groups = options();
    small_groups.ring_bytes = 256 << 10;
    let transport = open_in(&folder, small_groups);
    let _recorder = start(&transport);
    let mut rare = Vec::new();
    let mut pending = Vec::new();
    for count in 0..3_000_u64 {
        let mut update = update(None, &"x".repeat(1_000));
        if count % 100 == 7 {
            update.topics = vec!["other".to_owned(), "rare".to_owned(), "rare".to_owned()];
            rare.push(count + 1);
        }
        pending.push(transport.append(update));
    }
    for pending in pending {
        block_on(pending).expect("the update is stored");
    }
    let find = |transport: &Arc<dyn Transport>| {
        let (mut from, mut found) = (0, Vec::new());
        while from < 3_000 {
            let page = read(transport, from, 3_000, 2_000, Topic("rare")).expect("a page");
            assert!(page.looked_up_to.0 > from, "a page goes on");
            from = page.looked_up_to.0;
            found.extend(places(&page.frames));
        }
        found
    };
    assert_eq!(find(&transport), rare);
    drop(transport);
    let segments = || {
        let entries = std::fs::read_dir(folder.path()).expect("the folder");
        let names = entries.map(|entry| entry.expect("an entry").file_name());
        names
            .filter(|name| name.to_string_lossy().ends_with(".segment"))
            .count()
    };
    assert!(segments() > 10);
    let mut kept = options();
    kept.size = Some(100);
    let transport = open_in(&folder, kept);
    let _recorder = start(&transport);
    assert_eq!(transport.bounds().floor, Position(2_900));
    append(&transport, None);
    assert!(segments() < 5, "space is given back");
}

/// `max_age` deletes older updates within a second, without a publish.
#[test]
fn age_deletes_what_is_old() {
    let folder = Folder::new();
    let time = Arc::new(AtomicU64::new(1_000));
    let clock = Arc::clone(&time);
    let mut options = HistoryOptions::new(Arc::new(move || clock.load(Ordering::Relaxed)));
    options.max_age = Some(Duration::from_secs(2));
    let transport = open_in(&folder, options);
    let _recorder = start(&transport);
    let old = append(&transport, None);
    time.store(2_000, Ordering::Relaxed);
    let new = append(&transport, Some("mine"));
    assert_eq!(
        look_up(&transport, &old.event_id),
        Lookup::Found(Position(1))
    );
    // The log checks once a second.
    time.store(3_000, Ordering::Relaxed);
    while look_up(&transport, &old.event_id) != Lookup::Deleted {
        std::thread::yield_now();
    }
    assert_eq!(look_up(&transport, "mine"), Lookup::Found(new.position));
    time.store(4_000, Ordering::Relaxed);
    while look_up(&transport, "mine") != Lookup::Unknown {
        std::thread::yield_now();
    }
    let bounds = transport.bounds();
    assert_eq!((bounds.floor, bounds.head), (Position(2), Position(2)));
}

/// Updates that were cut off from the end do not come back, and their ids lead to the end of their run.
#[test]
fn an_id_that_did_not_survive_leads_to_the_end_of_its_run() {
    let folder = Folder::new();
    let transport = open_in(&folder, options());
    let recorder = start(&transport);
    let kept = append(&transport, None);
    let copy = Folder::new();
    for entry in std::fs::read_dir(folder.path()).expect("the folder") {
        let entry = entry.expect("an entry");
        let to = copy.path().join(entry.file_name());
        std::fs::copy(entry.path(), to).expect("a copy");
    }
    let lost = append(&transport, None);
    drop((transport, recorder));
    let transport = open_in(&copy, options());
    let _recorder = start(&transport);
    let expected = Lookup::Past {
        position: kept.position,
        event_id: kept.event_id,
    };
    assert_eq!(look_up(&transport, &lost.event_id), expected);
    let next = append(&transport, None);
    assert_eq!(next.position, lost.position);
    assert_ne!(next.event_id, lost.event_id);
    assert_eq!(look_up(&transport, &lost.event_id), expected);
}

/// A reader whose position was deleted gets an error.
#[test]
fn a_reader_that_retention_passed_is_told() {
    let folder = Folder::new();
    let mut kept = options();
    kept.size = Some(1);
    let transport = open_in(&folder, kept);
    let _recorder = start(&transport);
    for _ in 0..300 {
        let update = Update {
            data: "x".repeat(1_000),
            ..update(None, "")
        };
        block_on(transport.append(update)).expect("the update is stored");
    }
    let error = read(&transport, 0, 300, 1_000, Everything).expect_err("it is gone");
    assert_eq!(error, ReadError::Passed(Position::ORIGIN));
}

/// A second process cannot open the history, as with the existing hub (B-074).
#[test]
fn a_second_one_is_refused() {
    let folder = Folder::new();
    let _first = open_in(&folder, options());
    let Err(error) = try_open_in(&folder, options()) else {
        panic!("it is open twice");
    };
    assert!(
        error.to_string().contains("in use by another process"),
        "{error}"
    );
}
