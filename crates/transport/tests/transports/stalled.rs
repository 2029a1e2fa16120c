//! A disk that does not answer reads. Publishing, and asking where the log begins and ends, do not wait for
//! it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;

use talaria_protocol::Update;
use talaria_transport::history::{History, HistoryOptions, SyncMode};
use talaria_transport::{Bounds, Health, Position, Transport};

use crate::power::model::Model;
use crate::shaky::Shaky;
use crate::suite::{Bound, Everything, append, block_on, places, read, start, update};

struct World {
    disk: Shaky,
    time: Arc<AtomicU64>,
    options: HistoryOptions,
}

impl World {
    fn new() -> Self {
        let time = Arc::new(AtomicU64::new(1_000_000_000));
        let clock = Arc::clone(&time);
        let mut options = HistoryOptions::new(Arc::new(move || clock.load(Ordering::Relaxed)));
        options.ring_bytes = 64 << 10;
        Self {
            disk: Shaky::new(Model::new(1).mount()),
            time,
            options,
        }
    }

    fn open(&self) -> Arc<dyn Transport> {
        let history = History::open(self.disk.mount(), self.options.clone());
        Arc::new(history.expect("it opens"))
    }

    /// A history of several segments whose indexes are not open yet.
    fn stored(&self) -> Arc<dyn Transport> {
        let mut unbounded = self.options.clone();
        (unbounded.size, unbounded.max_age, unbounded.max_bytes) = (None, None, None);
        let history = History::open(self.disk.mount(), unbounded).expect("it opens");
        let history: Arc<dyn Transport> = Arc::new(history);
        let recorder = start(&history);
        for _ in 0..100 {
            let update: Update = update(None, &"x".repeat(10_000));
            block_on(history.append(update)).expect("the update is stored");
        }
        drop((history, recorder));
        assert!(self.disk.files(".segment") > 5);
        self.open()
    }
}

struct Unstall(Shaky);

impl Drop for Unstall {
    fn drop(&mut self) {
        self.0.set_stalled(false);
    }
}

/// Runs a function on a thread, and fails if that takes far too long.
fn without_waiting<T: Send + 'static>(job: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, finished) = channel();
    std::thread::spawn(move || done.send(job()));
    let answer = finished.recv_timeout(Duration::from_secs(20));
    answer.expect("it does not wait for the disk")
}

/// Bounds, newest id, health and publishing work while every read waits, with each bound whose floor needs
/// a read.
#[test]
fn a_stalled_read_delays_neither_publishing_nor_bounds() {
    let bounds: [Bound; 4] = [
        ("age", |options| {
            options.max_age = Some(Duration::from_secs(60));
        }),
        ("bytes", |options| options.max_bytes = Some(1_005_000)),
        ("size", |options| options.size = Some(50)),
        ("none", |_| {}),
    ];
    for (name, set) in bounds {
        let mut world = World::new();
        set(&mut world.options);
        let history = world.stored();
        let _recorder = start(&history);
        world.disk.set_stalled(true);
        // A failure must not wait for the reader.
        let _guard = Unstall(world.disk.clone());
        world.time.fetch_add(50_000, Ordering::Relaxed);
        // A reader reads, too.
        let reader = Arc::clone(&history);
        let reading = std::thread::spawn(move || read(&reader, 99, 100, 1_000, Everything));
        world.disk.wait_for_reader();
        world.time.fetch_add(50_000, Ordering::Relaxed);
        for number in 1..=30 {
            let asked = Arc::clone(&history);
            let appended = without_waiting(move || append(&asked, None));
            assert_eq!(appended.position, Position(100 + number), "{name}");
            let asked = Arc::clone(&history);
            let (bounds, newest, health) =
                without_waiting(move || (asked.bounds(), asked.newest_id(), asked.health()));
            assert_eq!(bounds.head, appended.position, "{name}");
            assert_eq!(newest, Some(appended.event_id), "{name}");
            assert_eq!(health, Health::Ready, "{name}");
        }
        world.disk.set_stalled(false);
        let page = reading.join().expect("a reader").expect("a page");
        assert_eq!(places(&page.frames), [100], "{name}");
        // The floor is found once the disk answers.
        let is_over = |bounds: Bounds| match name {
            "age" => bounds.floor == Position(100),
            "bytes" => bounds.floor > Position::ORIGIN,
            "size" => bounds.floor == Position(80),
            _ => true,
        };
        while !is_over(history.bounds()) {
            std::thread::yield_now();
        }
    }
}

/// A new bound on a long log costs a few reads, not one in every segment.
#[test]
fn a_new_bound_opens_few_indexes() {
    const SEGMENTS: u64 = 100;
    let bounds: [fn(&mut HistoryOptions); 3] = [
        |options| options.max_age = Some(Duration::from_secs(30)),
        |options| options.max_age = Some(Duration::from_secs(50)),
        |options| options.max_bytes = Some(60_000),
    ];
    let mut world = World::new();
    world.options.sync = SyncMode::Never;
    // An opening begins a segment.
    for number in 0..SEGMENTS {
        world.time.fetch_add(1_000, Ordering::Relaxed);
        let history = world.open();
        let recorder = start(&history);
        let update = update(Some(&number.to_string()), &"x".repeat(1_000));
        block_on(history.append(update)).expect("the update is stored");
        drop((history, recorder));
    }
    // The narrowest bound last, because it deletes.
    for set in bounds.iter().rev() {
        let before = world.disk.opened();
        let mut options = world.options.clone();
        set(&mut options);
        let history = History::open(world.disk.mount(), options).expect("it opens");
        let floor = history.bounds().floor;
        assert!((Position(40)..Position(80)).contains(&floor), "{floor}");
        let opened = world.disk.opened() - before;
        assert!(opened <= 16, "{opened} of {SEGMENTS} indexes");
    }
}
