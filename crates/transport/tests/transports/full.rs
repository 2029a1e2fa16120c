//! A full disk: updates are refused, but retention continues, so that the log frees room by itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use talaria_transport::history::{History, HistoryOptions, Imported, Imports, SyncMode};
use talaria_transport::{AppendError, Health, Lookup, Position, Transport};

use crate::power::model::{Crash, Model};
use crate::shaky::Shaky;
use crate::suite::{Bound, append, block_on, eventually, look_up, start, update};

const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;
/// The disk, in bytes; a twentieth of it is left free.
const DISK: u64 = 2 << 20;

/// A history whose clock the test sets.
struct World {
    model: Model,
    disk: Shaky,
    time: Arc<AtomicU64>,
    options: HistoryOptions,
}

impl World {
    fn new() -> Self {
        let time = Arc::new(AtomicU64::new(1_000 * HOUR));
        let clock = Arc::clone(&time);
        let mut options = HistoryOptions::new(Arc::new(move || clock.load(Ordering::Relaxed)));
        options.ring_bytes = 64 << 10;
        let model = Model::new(1);
        Self {
            disk: Shaky::new(model.mount()),
            model,
            time,
            options,
        }
    }

    fn open(&self) -> Arc<dyn Transport> {
        let history = History::open(self.disk.mount(), self.options.clone());
        Arc::new(history.expect("it opens"))
    }

    /// Publishes until an update is refused.
    fn fill(&self, history: &Arc<dyn Transport>) -> Position {
        self.disk.set_capacity(Some(DISK));
        loop {
            let asked = update(None, &"x".repeat(10_000));
            match block_on(history.append(asked)) {
                Ok(_) => {}
                Err(AppendError::Refused(_)) => break,
                Err(error) => panic!("{error}"),
            }
        }
        assert!(matches!(history.health(), Health::Refusing(_)));
        history.bounds().head
    }

    fn pass(&self, milliseconds: u64) {
        self.time.fetch_add(milliseconds, Ordering::Relaxed);
    }

    /// Opens the history in the next process, after this one was killed.
    fn kill(&mut self, history: Arc<dyn Transport>) {
        let capacity = self.disk.capacity();
        self.model.crash(Crash::Kill);
        drop(history);
        self.disk = Shaky::new(self.model.mount());
        self.disk.set_capacity(capacity);
    }
}

fn wait_until_ready(history: &Arc<dyn Transport>) {
    eventually("the log stores again", || history.health() == Health::Ready);
}

const MODES: [SyncMode; 3] = [
    SyncMode::Always,
    SyncMode::Interval(Duration::from_millis(50)),
    SyncMode::Never,
];

/// When everything becomes too old, it is deleted, including the active segment, although updates are
/// refused. Then publishing continues.
#[test]
fn age_frees_a_full_disk() {
    for mode in MODES {
        let mut world = World::new();
        world.options.max_age = Some(Duration::from_secs(60));
        world.options.sync = mode;
        let history = world.open();
        let _recorder = start(&history);
        let head = world.fill(&history);
        world.pass(4 * HOUR);
        wait_until_ready(&history);
        assert_eq!(history.bounds().floor, head);
        eventually("what is hidden is removed", || {
            world.disk.files(".segment") <= 1
        });
        assert!(world.disk.used() < DISK / 20, "{} bytes", world.disk.used());
        assert_eq!(append(&history, None).position, head.next());
    }
}

/// The same happens without a byte of room: indexes are removed first.
#[test]
fn age_frees_a_disk_without_any_room() {
    for mode in MODES {
        let mut world = World::new();
        world.options.max_age = Some(Duration::from_secs(60));
        world.options.sync = mode;
        let history = world.open();
        let _recorder = start(&history);
        let head = world.fill(&history);
        world.disk.set_capacity(Some(world.disk.used()));
        world.pass(4 * HOUR);
        eventually("what is hidden is removed", || {
            world.disk.files(".segment") <= 1
        });
        wait_until_ready(&history);
        assert_eq!(history.bounds().floor, head);
        assert_eq!(append(&history, None).position, head.next());
    }
}

/// If publishers never pause, the committer is never idle; then a refused publish deletes what is too old.
#[test]
fn refused_publishes_do_not_keep_retention_from_running() {
    let mut world = World::new();
    world.options.max_age = Some(Duration::from_secs(60));
    let history = world.open();
    let _recorder = start(&history);
    world.fill(&history);
    world.pass(4 * HOUR);
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    if block_on(history.append(update(None, "again"))).is_ok() {
                        is_over.store(true, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    assert_eq!(history.health(), Health::Ready);
}

/// A restart with smaller bounds, which the error advises, frees the disk before it is used: after a stop
/// and after a kill, with room for a few bytes and without.
#[test]
fn a_restart_with_smaller_bounds_frees_a_full_disk() {
    let bounds: [Bound; 3] = [
        ("size", |options| options.size = Some(5)),
        ("max_bytes", |options| options.max_bytes = Some(60_000)),
        ("max_age", |options| {
            options.max_age = Some(Duration::from_secs(60));
        }),
    ];
    for (name, set) in bounds {
        for (is_killed, has_room) in [(false, true), (true, true), (true, false)] {
            let mut world = World::new();
            let history = world.open();
            let recorder = start(&history);
            let head = world.fill(&history);
            if !has_room {
                world.disk.set_capacity(Some(world.disk.used()));
            }
            if is_killed {
                world.kill(history);
            } else {
                drop(history);
            }
            drop(recorder);
            set(&mut world.options);
            world.pass(MINUTE);
            let history = world.open();
            let bounds = history.bounds();
            assert_eq!(bounds.head, head, "{name}");
            assert!(bounds.floor >= head.back(5), "{name}: {bounds:?}");
            let deleted = world.disk.used() < DISK / 2;
            assert!(deleted, "{name}: {} bytes", world.disk.used());
            if has_room {
                assert_eq!(history.health(), Health::Ready, "{name}");
                let _recorder = start(&history);
                assert_eq!(append(&history, None).position, head.next(), "{name}");
            }
        }
    }
}

/// A restart with smaller bounds makes room for what it imports.
#[test]
fn an_import_finds_the_room_that_smaller_bounds_make() {
    let mut world = World::new();
    let history = world.open();
    let recorder = start(&history);
    let head = world.fill(&history);
    drop((history, recorder));
    world.disk.set_capacity(Some(world.disk.used() + 10_000));
    world.options.size = Some(5);
    let mut entries = |_| {
        let entries = (1..=3).map(|sequence| {
            let update = update(Some(&format!("imported-{sequence}")), "x");
            Ok(Imported {
                sequence,
                time: None,
                update,
            })
        });
        Ok(Box::new(entries) as Imports)
    };
    let options = world.options.clone();
    let history = History::open_importing(world.disk.mount(), options, Some(&mut entries));
    let history = history.expect("it opens");
    assert_eq!(history.imported(), 3);
    assert_eq!(history.bounds().head, Position(head.0 + 3));
}

/// After the opening, the health says that updates will be refused, and later that they no longer will.
#[test]
fn a_full_disk_is_known_at_the_opening() {
    let world = World::new();
    world.disk.set_capacity(Some(DISK));
    let history = world.open();
    assert_eq!(history.health(), Health::Ready);
    let _recorder = start(&history);
    world.fill(&history);
    drop(history);
    world.disk.set_capacity(Some(world.disk.used() + 10_000));
    let history = world.open();
    assert!(matches!(history.health(), Health::Refusing(_)));
    world.disk.set_capacity(Some(2 * DISK));
    wait_until_ready(&history);
}

/// What was deleted for readers while updates were refused stays deleted after a kill, even if the clock
/// was set back meanwhile.
#[test]
fn what_was_hidden_on_a_full_disk_stays_hidden() {
    let mut world = World::new();
    world.options.max_age = Some(Duration::from_secs(60));
    let history = world.open();
    let recorder = start(&history);
    let old = append(&history, None);
    world.pass(30_000);
    let new = append(&history, None);
    world.disk.set_capacity(Some(DISK));
    while block_on(history.append(update(None, &"x".repeat(10_000)))).is_ok() {}
    let before = world.disk.synced();
    world.pass(30_000);
    eventually("the old are hidden", || {
        history.bounds().floor >= old.position
    });
    // A few bytes record it.
    eventually("the floor is recorded", || world.disk.synced() != before);
    world.kill(history);
    drop(recorder);
    world.time.fetch_sub(3 * HOUR, Ordering::Relaxed);
    let history = world.open();
    assert!(history.bounds().floor >= old.position);
    assert_eq!(look_up(&history, &old.event_id), Lookup::Deleted);
    assert_eq!(
        look_up(&history, &new.event_id),
        Lookup::Found(new.position)
    );
}

/// Retention continues if a segment cannot be created, and the segment is created later.
#[test]
fn a_failed_roll_does_not_keep_what_is_over() {
    let mut world = World::new();
    world.options.max_age = Some(Duration::from_secs(60));
    let history = world.open();
    let _recorder = start(&history);
    for _ in 0..20 {
        append(&history, None);
    }
    world.disk.set_barren(true);
    world.pass(2 * MINUTE);
    eventually("the old are hidden and nothing is stored", || {
        history.bounds().floor >= Position(20) && history.health() != Health::Ready
    });
    world.disk.set_barren(false);
    wait_until_ready(&history);
    eventually("what is hidden is removed", || {
        world.disk.files(".segment") <= 1
    });
    assert_eq!(append(&history, None).position, Position(21));
}

/// A file that cannot be removed now is removed later, without a restart.
#[test]
fn what_could_not_be_removed_is_removed_later() {
    let mut world = World::new();
    world.options.max_age = Some(Duration::from_secs(60));
    let history = world.open();
    let _recorder = start(&history);
    for _ in 0..20 {
        append(&history, None);
    }
    world.disk.set_stubborn(true);
    world.pass(2 * MINUTE);
    eventually("the old are hidden and a segment began", || {
        history.bounds().floor >= Position(20) && world.disk.files(".segment") >= 2
    });
    world.disk.set_stubborn(false);
    eventually("what is hidden is removed, and its indexes", || {
        world.disk.files(".segment") <= 1 && world.disk.files(".index") == 0
    });
}

/// The promise of `sync interval` holds while updates are refused.
#[test]
fn what_was_acknowledged_is_synced_on_a_full_disk() {
    let mut world = World::new();
    world.options.sync = SyncMode::Interval(Duration::from_secs(10));
    let history = world.open();
    let recorder = start(&history);
    let head = world.fill(&history);
    world.pass(MINUTE);
    eventually("the interval is over", || world.model.is_durable());
    assert!(matches!(history.health(), Health::Refusing(_)));
    world.model.crash(Crash::PowerLoss);
    drop((history, recorder));
    world.disk = Shaky::new(world.model.mount());
    assert_eq!(world.open().bounds().head, head);
}

/// If the floor cannot be recorded, the indexes of deleted segments are removed, which makes the room for
/// recording it.
#[test]
fn a_floor_that_cannot_be_recorded_makes_its_own_room() {
    let mut world = World::new();
    world.options.max_age = Some(Duration::from_secs(60));
    world.options.sync = SyncMode::Never;
    let history = world.open();
    let _recorder = start(&history);
    let publish = |count| {
        for _ in 0..count {
            let asked = update(None, &"x".repeat(10_000));
            block_on(history.append(asked)).expect("it is stored");
        }
    };
    publish(20);
    world.pass(MINUTE / 2);
    publish(1);
    let segments = world.disk.files(".segment");
    world.disk.set_capacity(Some(world.disk.used()));
    world.pass(MINUTE / 2);
    eventually("what is hidden is removed", || {
        world.disk.files(".segment") < segments
    });
    assert_eq!(history.bounds().floor, Position(20));
}
