//! Updates older than `max_age` leave the disk, and commit times keep the order of the log.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use talaria_transport::history::{History, HistoryOptions, inspect};
use talaria_transport::{Lookup, Position, Transport};

use crate::power::model::Model;
use crate::suite::{append, eventually, look_up, start};
use crate::watched::Watched;

fn open(model: &Model, clock: &Arc<AtomicU64>, max_age: Duration) -> Arc<dyn Transport> {
    let clock = Arc::clone(clock);
    let time = move || clock.load(Ordering::Relaxed);
    let mut options = HistoryOptions::new(Arc::new(time));
    options.max_age = Some(max_age);
    Arc::new(History::open(model.mount(), options).expect("it opens"))
}

fn segments(model: &Model) -> Vec<String> {
    let names = model.names().into_iter();
    names.filter(|name| name.ends_with(".segment")).collect()
}

/// The bytes of updates that are too old are removed without a publish, also those of the newest
/// segment; other updates stay.
#[test]
fn what_is_too_old_leaves_the_disk() {
    let model = Model::new(1);
    let clock = Arc::new(AtomicU64::new(1_000_000));
    let minute = Duration::from_secs(60);
    for _ in 0..3 {
        let transport = open(&model, &clock, minute);
        let _recorder = start(&transport);
        (0..3).for_each(|_| drop(append(&transport, None)));
        clock.fetch_add(1_000, Ordering::Relaxed);
    }
    let transport = open(&model, &clock, minute);
    let _recorder = start(&transport);
    let newest = append(&transport, Some("newest"));
    let stored = segments(&model);
    assert_eq!(stored.len(), 4);
    clock.fetch_add(60_000 - 1_000, Ordering::Relaxed);
    eventually("three segments are removed", || segments(&model).len() <= 2);
    let kept = segments(&model);
    assert!(
        kept.contains(&stored[3]),
        "the newest update is not too old"
    );
    assert_eq!(
        look_up(&transport, "newest"),
        Lookup::Found(newest.position)
    );
    clock.fetch_add(1_000, Ordering::Relaxed);
    eventually("the newest one is removed", || {
        let left = segments(&model);
        left.len() == 1 && left[0] > stored[3]
    });
    assert_eq!(look_up(&transport, "newest"), Lookup::Unknown);
    let disk = model.mount();
    assert_eq!(inspect::stat(&*disk).expect("it is readable").updates, 0);
    assert!(
        !model
            .names()
            .iter()
            .any(|name| name.ends_with(".index") && *name < segments(&model)[0]),
        "nor do indexes stay"
    );
}

/// When a time server sets the clock back a little, no update gets a time before that of an earlier one,
/// so that later updates are not deleted first.
#[test]
fn stored_times_keep_the_order_of_the_log() {
    let model = Model::new(1);
    let clock = Arc::new(AtomicU64::new(1_000_000));
    for back in [300, 2_000, 0] {
        // In the last case the clock is behind at the start.
        let transport = open(&model, &clock, Duration::from_secs(86_400));
        let _recorder = start(&transport);
        append(&transport, None);
        clock.fetch_sub(back, Ordering::Relaxed);
        append(&transport, None);
        append(&transport, None);
    }
    let mut times = Vec::new();
    let disk = model.mount();
    let faults = inspect::export(&*disk, &mut |update| {
        times.push(update.time);
        Ok(())
    });
    assert_eq!(faults.expect("it is readable"), []);
    assert_eq!(times.len(), 9);
    assert!(times.is_sorted(), "{times:?}");
}

/// A segment that cannot be read, wherever it is, does not keep others from being deleted. It is deleted
/// once the updates after it are too old.
#[test]
fn an_unreadable_segment_stops_nothing() {
    for unreadable in 0..3 {
        let model = Model::new(1);
        let clock = Arc::new(AtomicU64::new(1_000_000));
        let minute = Duration::from_secs(60);
        for _ in 0..4 {
            let transport = open(&model, &clock, minute);
            let _recorder = start(&transport);
            (0..3).for_each(|_| drop(append(&transport, None)));
        }
        let stored = segments(&model);
        let disk = Watched::new(model.mount());
        let failing = stored[unreadable].clone();
        disk.watch.fail(move |name, offset| {
            const EIO: i32 = 5;
            let fails = name == failing && offset.is_some();
            fails.then(|| std::io::Error::from_raw_os_error(EIO))
        });
        let time = Arc::clone(&clock);
        let mut options = HistoryOptions::new(Arc::new(move || time.load(Ordering::Relaxed)));
        options.max_age = Some(minute);
        let history = History::open(Arc::new(disk), options).expect("it opens");
        let transport: Arc<dyn Transport> = Arc::new(history);
        let _recorder = start(&transport);
        clock.fetch_add(30_000, Ordering::Relaxed);
        append(&transport, None);
        clock.fetch_add(30_000, Ordering::Relaxed);
        eventually("what is too old is removed", || segments(&model).len() == 1);
        assert_eq!(transport.bounds().floor, Position(12));
    }
}

/// A segment that cannot be read is kept while no later update is too old, and judged once it can be
/// read.
#[test]
fn an_unreadable_segment_is_judged_later() {
    let model = Model::new(1);
    let clock = Arc::new(AtomicU64::new(1_000_000));
    let minute = Duration::from_secs(60);
    let transport = open(&model, &clock, minute);
    let recorder = start(&transport);
    append(&transport, None);
    drop((transport, recorder));
    let disk = Watched::new(model.mount());
    let time = Arc::clone(&clock);
    let mut options = HistoryOptions::new(Arc::new(move || time.load(Ordering::Relaxed)));
    options.max_age = Some(minute);
    let history = History::open(Arc::new(disk.clone()), options).expect("it opens");
    let transport: Arc<dyn Transport> = Arc::new(history);
    let _recorder = start(&transport);
    let failing = segments(&model)[0].clone();
    disk.watch.fail(move |name, offset| {
        let fails = name == failing && offset.is_some();
        fails.then(|| std::io::Error::other("the disk fails"))
    });
    clock.fetch_add(60_000, Ordering::Relaxed);
    append(&transport, None);
    assert_eq!(transport.bounds().floor, Position::ORIGIN);
    disk.watch.heal();
    eventually("the old one is removed", || segments(&model).len() == 1);
    assert_eq!(transport.bounds().floor, Position(1));
}

/// A group without updates, which records that segments were deleted, is not reported as damage.
#[test]
fn a_clean_stop_after_deletion_is_whole() {
    let model = Model::new(1);
    let clock = Arc::new(AtomicU64::new(1_000_000));
    let minute = Duration::from_secs(60);
    for _ in 0..3 {
        let transport = open(&model, &clock, minute);
        let _recorder = start(&transport);
        append(&transport, None);
    }
    let transport = open(&model, &clock, minute);
    let recorder = start(&transport);
    clock.fetch_add(30_000, Ordering::Relaxed);
    append(&transport, None);
    clock.fetch_add(30_000, Ordering::Relaxed);
    eventually("three segments are removed", || segments(&model).len() == 1);
    drop((transport, recorder));
    let disk = model.mount();
    assert_eq!(inspect::verify(&*disk).expect("it is readable"), []);
    assert_eq!(inspect::stat(&*disk).expect("it is readable").updates, 1);
    assert!(
        inspect::repair(&*disk, true)
            .expect("it is readable")
            .is_empty()
    );
    // Also once a later segment follows.
    drop(open(&model, &clock, minute));
    assert_eq!(inspect::verify(&*disk).expect("it is readable"), []);
}
