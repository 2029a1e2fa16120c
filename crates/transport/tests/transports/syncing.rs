//! The modes of `sync`: when an acknowledged update is durable, and what never waits for the disk.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use talaria_protocol::Update;
use talaria_transport::history::{History, HistoryOptions, SyncMode};
use talaria_transport::{Position, Transport};

use crate::power::model::{Call, Crash, Model};
use crate::suite::{Everything, append, block_on, eventually, places, read, start, update};

/// A history with this mode, and the clock that it reads, in milliseconds.
fn open(model: &Model, sync: SyncMode, clock: &Arc<AtomicU64>) -> Arc<dyn Transport> {
    let clock = Arc::clone(clock);
    let time = move || clock.load(Ordering::Relaxed);
    let mut options = HistoryOptions::new(Arc::new(time));
    options.sync = sync;
    Arc::new(History::open(model.mount(), options).expect("it opens"))
}

/// The head that the next process finds after a loss of power.
fn head_after_power_loss(model: &Model, clock: &Arc<AtomicU64>) -> Position {
    model.crash(Crash::PowerLoss);
    open(model, SyncMode::Always, clock).bounds().head
}

/// Only `always` waits for the disk. In the other modes publishers are answered although syncs fail, until
/// the interval is over.
#[test]
fn only_sync_always_waits_for_the_disk() {
    for (sync, waits) in [
        (SyncMode::Always, true),
        (SyncMode::Interval(Duration::from_secs(3_600)), false),
        (SyncMode::Never, false),
    ] {
        let model = Model::new(1);
        let transport = open(&model, sync, &Arc::new(AtomicU64::new(1_000)));
        let _recorder = start(&transport);
        model.set_failing(Some(Call::Sync));
        for _ in 0..3 {
            let appended = block_on(transport.append(update(None, "x")));
            assert_eq!(appended.is_err(), waits, "{sync:?}");
        }
        model.set_failing(None);
    }
}

/// Under steady traffic the log is never idle, so the publish that finds the interval over is answered
/// only after the older updates are durable.
#[test]
fn the_next_publish_syncs_when_the_interval_is_over() {
    for seed in 0..10 {
        let model = Model::new(seed);
        let clock = Arc::new(AtomicU64::new(1_000));
        let interval = SyncMode::Interval(Duration::from_secs(3_600));
        let transport = open(&model, interval, &clock);
        let recorder = start(&transport);
        // Each publish comes within an interval of the one before, which does not matter: the interval
        // counts from the oldest update that is not durable.
        for _ in 0..4 {
            append(&transport, None);
            clock.fetch_add(1_000_000, Ordering::Relaxed);
        }
        // A sync after the update was routed comes too late for this check.
        recorder.shut();
        let entered = recorder.entered();
        let pending = transport.append(update(None, "x"));
        recorder.wait_until_entered(entered + 1);
        model.crash(Crash::PowerLoss);
        recorder.open();
        block_on(pending).expect("it was stored");
        let found = open(&model, SyncMode::Always, &clock).bounds().head;
        // The thread of the log may have synced between the last two; then the newest update need not wait.
        assert!(found >= Position(4), "seed {seed}: {found}");
    }
}

/// After the last publish the thread of the log syncs what is due.
#[test]
fn the_log_syncs_without_a_publish_when_the_interval_is_over() {
    let model = Model::new(1);
    let clock = Arc::new(AtomicU64::new(1_000));
    let interval = SyncMode::Interval(Duration::from_millis(1));
    let transport = open(&model, interval, &clock);
    let _recorder = start(&transport);
    append(&transport, None);
    assert!(!model.is_durable(), "the interval is not over");
    clock.fetch_add(1, Ordering::Relaxed);
    eventually("it is synced", || model.is_durable());
    assert_eq!(head_after_power_loss(&model, &clock), Position(1));
}

/// An interval begins with the first update that is not durable: an update right after a sync waits for the
/// next one.
#[test]
fn an_interval_begins_anew_after_a_sync() {
    let model = Model::new(1);
    let clock = Arc::new(AtomicU64::new(1_000));
    let interval = SyncMode::Interval(Duration::from_secs(3_600));
    let transport = open(&model, interval, &clock);
    let _recorder = start(&transport);
    append(&transport, None);
    clock.fetch_add(3_600_000, Ordering::Relaxed);
    append(&transport, None);
    assert!(model.is_durable(), "the interval is over");
    append(&transport, None);
    clock.fetch_add(3_599_999, Ordering::Relaxed);
    append(&transport, None);
    assert!(!model.is_durable(), "it is a millisecond too early");
    clock.fetch_add(1, Ordering::Relaxed);
    append(&transport, None);
    assert!(model.is_durable(), "the next interval is over");
}

/// A sync fails that deletes a segment, the file cannot be opened again, and the interval is over: the next sync
/// of the same file would succeed, although the system has given up what the first one lost.
#[test]
fn a_failed_sync_is_not_made_good_by_the_next_one() {
    for seed in 0..20 {
        let model = Model::new(seed);
        let clock = Arc::new(AtomicU64::new(1_000));
        let reading = Arc::clone(&clock);
        let mut options = HistoryOptions::new(Arc::new(move || reading.load(Ordering::Relaxed)));
        options.sync = SyncMode::Interval(Duration::from_secs(10));
        options.size = Some(3);
        let history = History::open(model.mount(), options.clone()).expect("it opens");
        let transport: Arc<dyn Transport> = Arc::new(history);
        let recorder = start(&transport);
        let publish = || {
            transport.append(Update {
                data: "x".repeat(10_000),
                ..update(None, "")
            })
        };
        let segments = || {
            let names = model.names().into_iter();
            names.filter(|name| name.ends_with(".segment")).count()
        };
        while segments() == 1 {
            block_on(publish()).expect("it is stored");
        }
        // The next update but one makes the first segment too many. It waits while the one before it is being
        // routed, so that the log does nothing else in between.
        recorder.shut();
        let entered = recorder.entered();
        let before = publish();
        recorder.wait_until_entered(entered + 1);
        clock.fetch_add(20_000, Ordering::Relaxed);
        model.set_read_faults(1_000);
        model.hold_next_sync();
        let last = publish();
        recorder.open();
        model.fail_held_sync();
        block_on(before).expect("it was stored before");
        let last = block_on(last).expect("it is stored").position;
        model.set_read_faults(0);
        clock.fetch_add(1_000, Ordering::Relaxed);
        let later = block_on(publish()).expect("the disk works again");
        assert_eq!(later.position, last.next());
        model.crash(Crash::PowerLoss);
        drop(transport);
        let history = History::open(model.mount(), options).expect("it opens");
        // What stands before the segment that was begun after the failure was durable by then.
        let page = read(
            &(Arc::new(history) as _),
            last.0 - 1,
            last.0,
            1 << 20,
            Everything,
        );
        let found = page.map(|page| places(&page.frames));
        assert_eq!(found.ok(), Some(vec![last.0]), "seed {seed}");
    }
}

/// In every mode, all updates are durable after a clean stop and at the beginning of a segment.
#[test]
fn a_clean_stop_and_a_new_segment_leave_nothing_to_lose() {
    for sync in [
        SyncMode::Always,
        SyncMode::Interval(Duration::from_secs(3_600)),
        SyncMode::Never,
    ] {
        for seed in 0..10 {
            let model = Model::new(seed);
            let clock = Arc::new(AtomicU64::new(1_000));
            let transport = open(&model, sync, &clock);
            let _recorder = start(&transport);
            append(&transport, None);
            drop(transport);
            assert_eq!(head_after_power_loss(&model, &clock), Position(1));
            let transport = open(&model, sync, &clock);
            let _recorder = start(&transport);
            let segments = || {
                let names = model.names().into_iter();
                names.filter(|name| name.ends_with(".segment")).count()
            };
            let before = segments();
            while segments() == before {
                let update = Update {
                    data: "x".repeat(40_000),
                    ..update(None, "")
                };
                block_on(transport.append(update)).expect("it is stored");
            }
            // Only the newest update is in the new segment.
            let durable = transport.bounds().head.back(1);
            let found = head_after_power_loss(&model, &clock);
            assert!(found >= durable, "{sync:?}, seed {seed}");
        }
    }
}
