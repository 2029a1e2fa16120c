//! The log in memory keeps the promises of every transport, and some of its own kind.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, Weak};
use std::task::{Context, Poll, Waker};

use talaria_protocol::Update;
use talaria_transport::history::{Directory, History, HistoryOptions};
use talaria_transport::{
    AppendError, Appended, Frame, Health, Lookup, Memory, MemoryOptions, Pending, Position,
    ReadError, Route, Transport,
};

use crate::folder::Folder;
use crate::suite::{self, Everything, Kept, append, block_on, look_up, start, update};

fn open(kept: Kept) -> Arc<dyn Transport> {
    let mut options = MemoryOptions::default();
    options.size = kept.size;
    options.max_bytes = kept.max_bytes;
    Arc::new(Memory::open(options).expect("a log in memory"))
}

crate::suite!(open);

/// The `local` transport has no history: it looks up no ids, but knows the newest one (B-501).
#[test]
fn local_looks_nothing_up() {
    let transport: Arc<dyn Transport> =
        Arc::new(Memory::open(MemoryOptions::local()).expect("a log in memory"));
    let _recorder = start(&transport);
    let own = append(&transport, None).event_id;
    append(&transport, Some("mine"));
    for id in [&own, "mine", "other"] {
        assert_eq!(look_up(&transport, id), Lookup::Unsupported);
    }
    assert_eq!(transport.newest_id().as_deref(), Some("mine"));
}

/// Updates that left the ring are lost: a reader that needs them gets an error and is not moved on.
#[test]
fn a_reader_that_the_ring_passed_is_told() {
    let transport = open(Kept {
        max_bytes: 4 << 10,
        ..Kept::default()
    });
    let _recorder = start(&transport);
    (0..100).for_each(|_| drop(append(&transport, None)));
    let bounds = transport.bounds();
    assert!(bounds.floor > Position::ORIGIN);
    let read = |from| block_on(transport.read(from, bounds.head, 1 << 20, Arc::new(Everything)));
    let before = bounds.floor.back(1);
    assert_eq!(read(before).unwrap_err(), ReadError::Passed(before));
    let kept = read(bounds.floor).expect("what is kept").frames;
    assert_eq!(
        kept.first().map(|frame| frame.position),
        Some(bounds.floor.next())
    );
    assert_eq!(kept.last().map(|frame| frame.position), Some(bounds.head));
}

/// A single update may be larger than the ring; it is kept until the next one comes.
#[test]
fn an_update_larger_than_the_ring_is_kept() {
    let transport = open(Kept {
        max_bytes: 1 << 10,
        ..Kept::default()
    });
    let _recorder = start(&transport);
    append(&transport, None);
    let large: Update = update(Some("large"), &"x".repeat(100_000));
    block_on(transport.append(large)).expect("the update is stored");
    assert_eq!(look_up(&transport, "large"), Lookup::Found(Position(2)));
    assert_eq!(transport.bounds().floor, Position(1));
    append(&transport, None);
    assert_eq!(look_up(&transport, "large"), Lookup::Unknown);
}

/// The publish request bounds the size of an update; the queue does not.
#[test]
fn an_update_larger_than_the_queue_is_stored() {
    let transport = open(Kept::default());
    let _recorder = start(&transport);
    let large = Update {
        topics: vec!["t".repeat(65 << 20)],
        ..update(None, "")
    };
    let appended = block_on(transport.append(large)).expect("the update is stored");
    assert_eq!(appended.position, Position(1));
}

/// Appends while the committer is busy, until an update is refused or more than `most` wait; returns the
/// futures of those that wait.
fn fill(
    transport: &Arc<dyn Transport>,
    update: &Update,
    most: usize,
) -> Vec<Pending<'static, Result<Appended, AppendError>>> {
    let mut waiting = Vec::new();
    while waiting.len() <= most {
        let mut pending = transport.append(update.clone());
        match pending
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
        {
            Poll::Pending => waiting.push(pending),
            Poll::Ready(_) => break,
        }
    }
    waiting
}

/// The updates that wait are bounded in number and in bytes. Beyond the bounds publishers are refused;
/// updates that are appended together are refused as a whole. Committed updates no longer count.
#[test]
fn what_waits_is_bounded_and_makes_room_once_it_is_committed() {
    const BYTES: usize = 64 << 20;
    for (topic, expected) in [(1 << 20, 50..=BYTES >> 20), (1, 50_000..=65_536)] {
        let transport = open(Kept::default());
        let recorder = start(&transport);
        let update = Update {
            topics: vec!["t".repeat(topic)],
            ..update(None, "")
        };
        for round in 0..2 {
            recorder.shut();
            let entered = recorder.entered();
            let publisher = Arc::clone(&transport);
            let first = update.clone();
            let first = std::thread::spawn(move || block_on(publisher.append(first)));
            recorder.wait_until_entered(entered + 1);
            let mut waiting = fill(&transport, &update, *expected.end());
            let count = waiting.len();
            let head = transport.bounds().head;
            let two = transport.append_all(vec![update.clone(); 2]);
            drop(waiting.pop());
            recorder.open();
            assert!(
                expected.contains(&count),
                "round {round}: {count} with a topic of {topic} bytes"
            );
            let two = block_on(two);
            assert!(matches!(two, Err(AppendError::Refused(_))), "{two:?}");
            first
                .join()
                .expect("the first publisher ends")
                .expect("it is stored");
            let stored = waiting.len() as u64;
            for pending in waiting {
                block_on(pending).expect("it is stored");
            }
            // The update of a publisher that hung up is stored as well.
            let next = append(&transport, None).position.0;
            assert_eq!(next, head.0 + stored + 2, "round {round}");
        }
    }
}

/// Fails at the update whose data is `panic`.
struct Failing;

impl Route for Failing {
    fn route(&self, group: &[Arc<Frame>], acknowledge: &mut dyn FnMut()) {
        let fails = |frame: &Arc<Frame>| frame.bytes.windows(5).any(|five| five == b"panic");
        assert!(!group.iter().any(fails), "asked to");
        acknowledge();
    }
}

/// If routing panics, it is unknown what was routed, so the outcome of that update is unknown and further
/// ones are refused. The publisher's task continues, and the log can be dropped.
#[test]
fn a_panic_while_routing_closes_the_log() {
    let transport = open(Kept::default());
    transport.start(Arc::new(Failing));
    append(&transport, None);
    let failed = block_on(transport.append(update(None, "panic")));
    assert_eq!(failed.unwrap_err(), AppendError::Unknown);
    let refused = block_on(transport.append(update(None, "late")));
    assert!(matches!(refused.unwrap_err(), AppendError::Refused(_)));
    assert!(matches!(transport.health(), Health::Refusing(_)));
}

/// The health of a log whose committer has panicked says so, also for the history.
#[test]
fn a_log_that_has_failed_is_not_ready() {
    let folder = Folder::new();
    let directory = Directory::open(folder.path()).expect("a directory");
    let options = HistoryOptions::new(Arc::new(|| 1_000));
    let history = History::open(Arc::new(directory), options).expect("a history");
    for transport in [
        Arc::new(history) as Arc<dyn Transport>,
        open(Kept::default()),
    ] {
        transport.start(Arc::new(Failing));
        append(&transport, None);
        assert_eq!(transport.health(), Health::Ready);
        let failed = block_on(transport.append(update(None, "panic")));
        assert_eq!(failed.unwrap_err(), AppendError::Unknown);
        // The thread is still unwinding when the publisher gets its answer.
        while transport.health() == Health::Ready {
            std::thread::yield_now();
        }
        assert_eq!(transport.bounds().head, Position(2), "it answers still");
    }
}

/// Appends another update while it routes one, so that the log never becomes idle.
struct Restless {
    transport: Mutex<Weak<dyn Transport>>,
    left: AtomicUsize,
    threads: Mutex<Vec<Option<String>>>,
    rested: Condvar,
}

#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
impl Route for Restless {
    fn route(&self, group: &[Arc<Frame>], acknowledge: &mut dyn FnMut()) {
        let thread = std::thread::current().name().map(str::to_owned);
        self.threads.lock().unwrap().push(thread);
        if self.left.fetch_sub(group.len(), Ordering::SeqCst) > group.len()
            && let Some(transport) = self.transport.lock().unwrap().upgrade()
        {
            drop(transport.append(update(None, "more")));
        }
        acknowledge();
        self.rested.notify_all();
    }
}

/// A publisher commits for others for a few groups; then the relief thread takes over, and every update is
/// routed all the same.
#[test]
fn a_publisher_does_not_commit_for_others_without_end() {
    const UPDATES: usize = 100;
    let transport = open(Kept::default());
    let restless = Arc::new(Restless {
        transport: Mutex::new(Arc::downgrade(&transport)),
        left: AtomicUsize::new(UPDATES),
        threads: Mutex::default(),
        rested: Condvar::new(),
    });
    transport.start(restless.clone());
    append(&transport, None);
    let threads = restless.threads.lock().unwrap();
    let threads = restless
        .rested
        .wait_while(threads, |threads| threads.len() < UPDATES)
        .unwrap();
    let relief = Some("talaria-commit".to_owned());
    let own = threads
        .iter()
        .take_while(|thread| **thread != relief)
        .count();
    assert!(
        (1..UPDATES).contains(&own),
        "{own} groups on the publisher's thread"
    );
    assert!(threads.iter().skip(own).all(|thread| *thread == relief));
}
