//! The look-up of an id that a client made up: after the first one, its cost does not grow with the log.

use std::sync::Arc;
use std::sync::mpsc;
use std::task::{Context, Waker};
use std::time::Duration;

use talaria_transport::history::{History, HistoryOptions};
use talaria_transport::{Lookup, Position, Transport};

use crate::power::model::Model;
use crate::suite::{Everything, Topic, append, block_on, look_up, places, read, start};
use crate::watched::{Watched, names};

const TOPIC: &str = "https://example.com/books/1";

fn open(disk: &Watched) -> Arc<dyn Transport> {
    let options = HistoryOptions::new(Arc::new(|| 1_000));
    Arc::new(History::open(Arc::new(disk.clone()), options).expect("it opens"))
}

/// `segments` segments of three updates; in every other one a publisher chose an id.
fn stored(segments: u64) -> Watched {
    let disk = Watched::new(Model::new(1).mount());
    for segment in 0..segments {
        let history = open(&disk);
        let _recorder = start(&history);
        append(&history, None);
        let mine = format!("mine-{segment}");
        append(&history, segment.is_multiple_of(2).then_some(&*mine));
        append(&history, None);
    }
    disk
}

fn full() -> bool {
    std::env::var("TALARIA_FULL").is_ok_and(|value| value == "1")
}

/// The first unknown id reads each index once; no later one opens or reads anything, and no index
/// is checked again.
#[test]
fn an_unknown_id_opens_nothing_after_the_first() {
    let segments = if full() { 2_500 } else { 60 };
    let disk = stored(segments);
    let history = open(&disk);
    let _recorder = start(&history);
    disk.watch.take_counts();
    assert_eq!(look_up(&history, "unknown"), Lookup::Unknown);
    let (opens, _) = disk.watch.take_counts();
    assert!(opens <= 2 * segments, "{opens} opens");
    for number in 0..200 {
        let unknown = format!("unknown-{number}");
        assert_eq!(look_up(&history, &unknown), Lookup::Unknown);
    }
    assert_eq!(disk.watch.take_counts(), (0, 0));
    for segment in (0..segments).step_by(2) {
        let found = Lookup::Found(Position(3 * segment + 2));
        assert_eq!(look_up(&history, &format!("mine-{segment}")), found);
    }
    // An index that is opened again is not read as a whole: that would be its size, each time.
    let (opens, bytes) = disk.watch.take_counts();
    assert!(opens <= 2 * segments, "{opens} opens");
    assert!(bytes <= 2_000 * segments, "{bytes} bytes");
}

/// Segments that are sealed while the hub runs are summarized without reading them.
#[test]
fn segments_sealed_meanwhile_are_known() {
    let disk = Watched::new(Model::new(1).mount());
    let mut options = HistoryOptions::new(Arc::new(|| 1_000));
    options.ring_bytes = 64 << 10;
    let history: Arc<dyn Transport> =
        Arc::new(History::open(Arc::new(disk.clone()), options).expect("it opens"));
    let _recorder = start(&history);
    for number in 0..2_000 {
        append(&history, Some(&format!("mine-{number}")));
    }
    disk.watch.take_counts();
    for number in 0..100 {
        let unknown = format!("unknown-{number}");
        assert_eq!(look_up(&history, &unknown), Lookup::Unknown);
    }
    assert_eq!(disk.watch.take_counts(), (0, 0));
    for number in (0..2_000).step_by(111) {
        let found = Lookup::Found(Position(number + 1));
        assert_eq!(look_up(&history, &format!("mine-{number}")), found);
    }
}

/// While the first look-up reads the indexes, clients with unknown ids do not keep readers of pages
/// waiting, and all of them are answered, whether or not others hang up meanwhile.
#[test]
fn unknown_ids_leave_the_readers_to_others() {
    let disk = stored(8);
    let history = open(&disk);
    let _recorder = start(&history);
    append(&history, None);
    let mut indexes = Vec::new();
    for name in names(&disk).expect("a list") {
        if name.ends_with(".index") {
            indexes.push(name);
        }
    }
    disk.watch.shut(indexes);
    let ids: Vec<_> = (0..100).map(|number| format!("unknown-{number}")).collect();
    let mut look_ups: Vec<_> = ids.iter().map(|id| history.position_of(id)).collect();
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..3 {
        for look_up in &mut look_ups {
            assert!(look_up.as_mut().poll(&mut context).is_pending());
        }
        // When this is answered, all earlier jobs have had their turn.
        let (answer, answered) = mpsc::channel();
        let reader = Arc::clone(&history);
        std::thread::spawn(move || answer.send(read(&reader, 24, 25, 1 << 20, Everything)));
        let page = answered.recv_timeout(Duration::from_secs(30));
        if page.is_err() {
            // The readers must end before the test can.
            disk.watch.let_through();
        }
        let page = page.expect("the readers are taken").expect("a page");
        assert_eq!(places(&page.frames), [25]);
    }
    look_ups.truncate(50);
    disk.watch.let_through();
    for look_up in look_ups {
        assert_eq!(block_on(look_up), Ok(Lookup::Unknown));
    }
    let page = read(&history, 0, 25, 1 << 20, Topic(TOPIC)).expect("a page");
    assert_eq!(page.frames.len(), 25);
}

/// The disk is not read for readers that hung up while they waited.
#[test]
fn nothing_is_read_for_readers_that_hung_up() {
    let disk = stored(8);
    let history = open(&disk);
    let _recorder = start(&history);
    let files = names(&disk).expect("a list");
    let (shut, open): (Vec<_>, Vec<_>) = files
        .into_iter()
        .filter(|name| name.ends_with(".segment"))
        .partition(|name| name.starts_with("0000000001"));
    assert_eq!((shut.len(), open.len()), (1, 8));
    disk.watch.shut(shut);
    let page = |from, up_to| {
        history.read(
            Position(from),
            Position(up_to),
            1 << 20,
            Arc::new(Everything),
        )
    };
    // All readers wait for the first segment.
    let waiting: Vec<_> = (0..8).map(|_| page(0, 1)).collect();
    disk.watch.take_counts();
    for segment in 1..8 {
        drop(page(3 * segment, 3 * segment + 3));
        drop(history.position_of("unknown"));
    }
    disk.watch.let_through();
    for page in waiting {
        assert_eq!(places(&block_on(page).expect("a page").frames), [1]);
    }
    block_on(page(0, 1)).expect("a page");
    let (opens, _) = disk.watch.take_counts();
    assert!(opens <= 2, "{opens} files of the first segment");
}
