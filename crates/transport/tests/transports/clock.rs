//! Clocks that are wrong at times: updates to be kept stay, and old ones are deleted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use talaria_transport::history::{Directory, History, HistoryOptions};
use talaria_transport::{Lookup, Position, Transport};

use crate::folder::Folder;
use crate::suite::{append, look_up, start};

const HOUR: u64 = 60 * 60 * 1_000;
const YEAR: u64 = 365 * 24 * HOUR;
const NOON: u64 = 55 * YEAR;
const AGE: u64 = 60_000;

/// A history on a disk, and the clock that it reads.
struct World {
    folder: Folder,
    time: Arc<AtomicU64>,
}

impl World {
    fn new() -> Self {
        Self {
            folder: Folder::new(),
            time: Arc::new(AtomicU64::new(NOON)),
        }
    }

    fn open(&self) -> Arc<dyn Transport> {
        let clock = Arc::clone(&self.time);
        let mut options = HistoryOptions::new(Arc::new(move || clock.load(Ordering::SeqCst)));
        options.max_age = Some(Duration::from_millis(AGE));
        let directory = Directory::open(self.folder.path()).expect("a directory");
        let history = History::open(Arc::new(directory), options).expect("a history");
        let history: Arc<dyn Transport> = Arc::new(history);
        start(&history);
        history
    }

    fn set(&self, time: u64) {
        self.time.store(time, Ordering::SeqCst);
    }

    fn segments(&self) -> usize {
        let entries = std::fs::read_dir(self.folder.path()).expect("the folder");
        let names = entries.map(|entry| entry.expect("an entry").file_name());
        let names = names.filter(|name| name.to_string_lossy().ends_with(".segment"));
        names.count()
    }

    /// Everything is hidden, and deleted.
    fn wait_until_over(&self, history: &Arc<dyn Transport>) {
        while history.bounds().floor < history.bounds().head || self.segments() > 1 {
            std::thread::yield_now();
        }
    }
}

fn keeps(history: &Arc<dyn Transport>, first: u64) {
    assert_eq!(history.bounds().floor, Position(first - 1));
}

/// Waits until the committer has been idle a few times; what it had to do is done then.
fn looks(history: &Arc<dyn Transport>) {
    for _ in 0..3 {
        append(history, None);
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A single reading, or all readings of a single update, are years ahead: nothing is deleted for it, and
/// nothing is kept for longer.
#[test]
fn a_reading_far_ahead_hides_nothing_and_keeps_nothing() {
    for wrong in [NOON + HOUR, NOON + 10 * YEAR, u64::MAX] {
        let world = World::new();
        let history = world.open();
        let first = append(&history, None);
        world.set(wrong);
        append(&history, Some("wrong"));
        keeps(&history, 1);
        world.set(NOON + 1_000);
        append(&history, None);
        assert_eq!(
            look_up(&history, &first.event_id),
            Lookup::Found(first.position)
        );
        world.set(NOON + AGE);
        while history.bounds().floor < Position(1) {
            std::thread::yield_now();
        }
        keeps(&history, 2);
        // The update with the wrong time is as old as the next one.
        world.set(NOON + 1_000 + AGE);
        world.wait_until_over(&history);
    }
}

/// The same holds if the wrong reading is the first or the last, or if there are several in a row.
#[test]
fn a_wrong_reading_may_be_the_first_or_the_last() {
    for (before, wrong, behind) in [(0, 1, 2), (2, 1, 0), (2, 5, 2), (0, 3, 0), (1, 1, 1)] {
        let world = World::new();
        let history = world.open();
        (0..before).for_each(|_| drop(append(&history, None)));
        world.set(NOON + 10 * YEAR);
        (0..wrong).for_each(|_| drop(append(&history, None)));
        keeps(&history, 1);
        world.set(NOON + 1_000);
        (0..behind).for_each(|_| drop(append(&history, None)));
        // If no update follows, its age counts from when the clock was right again.
        if behind == 0 {
            append(&history, None);
        }
        keeps(&history, 1);
        world.set(NOON + 1_000 + AGE);
        world.wait_until_over(&history);
    }
}

/// A process reads times far in the past and ends before it believes them: updates that it stored have
/// their true age.
#[test]
fn what_was_published_while_a_reading_was_far_behind_is_kept() {
    for wrong in [NOON - HOUR, NOON - YEAR, 0] {
        let world = World::new();
        // An empty history would believe the first reading, and the first update, if kept, keeps the
        // others too.
        world.set(NOON - 2 * AGE);
        append(&world.open(), None);
        world.set(NOON);
        let history = world.open();
        world.set(wrong);
        append(&history, None);
        append(&history, None);
        drop(history);
        world.set(NOON + 1_000);
        let history = world.open();
        looks(&history);
        keeps(&history, 2);
        // The monotonic clock counts meanwhile, although it hardly advances in this test.
        world.set(NOON + 3 * AGE);
        world.wait_until_over(&history);
    }
}

/// An update has a time years ahead, and no update follows it.
#[test]
fn the_newest_update_may_have_the_wrong_time() {
    let world = World::new();
    let history = world.open();
    append(&history, None);
    world.set(NOON + 10 * YEAR);
    append(&history, None);
    world.set(NOON + 1_000);
    // The log checks once a second, so all readings until then count as in time.
    std::thread::sleep(Duration::from_millis(1_500));
    keeps(&history, 1);
    world.set(NOON + 2_000 + AGE);
    world.wait_until_over(&history);
}

/// A start while the clock is wrong neither deletes updates nor keeps them for ever.
#[test]
fn a_wrong_reading_at_the_opening_changes_nothing() {
    for wrong in [0, NOON - HOUR, NOON + HOUR, NOON + 10 * YEAR] {
        let world = World::new();
        let history = world.open();
        (0..3).for_each(|_| drop(append(&history, None)));
        drop(history);
        world.set(wrong);
        // Repeatedly, as on a machine that loses its time at each start.
        for _ in 0..3 {
            let history = world.open();
            keeps(&history, 1);
            append(&history, None);
            keeps(&history, 1);
        }
        world.set(NOON + 1_000);
        let history = world.open();
        append(&history, None);
        keeps(&history, 1);
        world.set(NOON + 1_000 + AGE);
        world.wait_until_over(&history);
    }
}

/// A clock that is set back by hours does not delete updates, and ages count from then on.
#[test]
fn a_step_back_delays_nothing() {
    for back in [10_000, HOUR, 3 * HOUR, YEAR] {
        let world = World::new();
        let history = world.open();
        append(&history, None);
        world.set(NOON - back);
        looks(&history);
        keeps(&history, 1);
        world.set(NOON - back + AGE + 10_000);
        world.wait_until_over(&history);
        let next = append(&history, None);
        assert_eq!(
            look_up(&history, &next.event_id),
            Lookup::Found(next.position)
        );
    }
}

/// A clock that was far behind for a moment changes nothing.
#[test]
fn a_reading_far_behind_changes_nothing() {
    for wrong in [0, 1_000, NOON - YEAR, NOON - HOUR] {
        let world = World::new();
        let history = world.open();
        (0..3).for_each(|_| drop(append(&history, None)));
        world.set(wrong);
        append(&history, None);
        keeps(&history, 1);
        world.set(NOON + AGE - 1);
        append(&history, None);
        keeps(&history, 1);
        world.set(NOON + AGE);
        while history.bounds().floor < Position(3) {
            std::thread::yield_now();
        }
        world.set(NOON + 2 * AGE);
        world.wait_until_over(&history);
    }
}

/// Time has passed while the hub was stopped: updates that are too old are deleted once the reading has
/// lasted for some seconds.
#[test]
fn time_passes_while_the_hub_is_stopped() {
    for passed in [AGE, HOUR, 4 * HOUR] {
        let world = World::new();
        let history = world.open();
        (0..3).for_each(|_| drop(append(&history, None)));
        drop(history);
        world.set(NOON + passed);
        let history = world.open();
        world.wait_until_over(&history);
    }
}

/// The hub runs once a day, for less time than it takes to believe a jump of several days. The time of the
/// update of the day before is believed earlier, so that the waits do not add up.
#[test]
fn short_runs_do_not_add_their_waits_up() {
    const DAY: u64 = 24 * HOUR;
    let world = World::new();
    for day in 0..3 {
        world.set(NOON + day * DAY);
        let history = world.open();
        append(&history, None);
        keeps(&history, 1);
    }
    world.set(NOON + 3 * DAY);
    let history = world.open();
    while history.bounds().floor < Position(1) {
        std::thread::yield_now();
    }
    // The last update counts as new until the jump of a day is believed.
    keeps(&history, 3);
}

/// The time of the newest update is known after starts that stored nothing. If it is in the future, the
/// update is as old as the log has known it.
#[test]
fn a_lone_update_of_a_future_time_expires_after_restarts() {
    for starts in 0..3 {
        let world = World::new();
        let history = world.open();
        world.set(NOON + 10 * YEAR);
        append(&history, None);
        drop(history);
        world.set(NOON);
        for _ in 0..starts {
            drop(world.open());
        }
        let history = world.open();
        world.set(NOON + AGE);
        world.wait_until_over(&history);
    }
}
