//! A disk that is full or fails: publishers are refused with a reason, readers continue, acknowledged
//! updates are kept, and writing resumes without a restart.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use talaria_transport::history::{History, HistoryOptions, OpenError};
use talaria_transport::{AppendError, Health, Position, Transport};

use crate::power::model::{Call, Crash, Model};
use crate::suite::{Everything, append, block_on, places, read, start, update};

fn open(model: &Model, clock: &Arc<AtomicU64>) -> Arc<dyn Transport> {
    let clock = Arc::clone(clock);
    // Time passes with each reading, so that the next attempt is due at once.
    let time = move || clock.fetch_add(1_000, Ordering::Relaxed);
    let options = HistoryOptions::new(Arc::new(time));
    Arc::new(History::open(model.mount(), options).expect("it opens"))
}

fn refused(transport: &Arc<dyn Transport>) -> &'static str {
    match block_on(transport.append(update(None, "refused"))) {
        Err(AppendError::Refused(reason)) => reason,
        other => panic!("{other:?}"),
    }
}

/// Publishers are refused before the disk is full, at 1 GiB or a twentieth of it.
#[test]
fn an_almost_full_disk_refuses() {
    let model = Model::new(1);
    let clock = Arc::new(AtomicU64::new(0));
    let transport = open(&model, &clock);
    let _recorder = start(&transport);
    append(&transport, None);
    model.set_room((1 << 30) - 1);
    let reason = refused(&transport);
    assert!(reason.contains("the disk is almost full"), "{reason}");
    assert_eq!(transport.health(), Health::Refusing(reason));
    let page = read(&transport, 0, 1, 1_000, Everything).expect("readers go on");
    assert_eq!(places(&page.frames), [1]);
    model.set_room(1 << 30);
    while transport.health() != Health::Ready {
        std::thread::yield_now();
    }
    assert_eq!(append(&transport, None).position, Position(2));
}

/// A small disk may be filled to a twentieth, since a gibibyte would be most of it.
#[test]
fn a_small_disk_may_be_filled_further() {
    let model = Model::new(1);
    model.set_total(10 << 30);
    let clock = Arc::new(AtomicU64::new(0));
    let transport = open(&model, &clock);
    let _recorder = start(&transport);
    model.set_room((10 << 30) / 20);
    append(&transport, None);
    model.set_room((10 << 30) / 20 - 1);
    let reason = refused(&transport);
    assert!(reason.contains("the disk is almost full"), "{reason}");
}

/// Every call fails for a while: acknowledged updates are there later, refused ones are not.
#[test]
fn a_failing_disk_refuses_and_recovers() {
    for seed in 0..5 {
        let model = Model::new(seed);
        let clock = Arc::new(AtomicU64::new(0));
        let transport = open(&model, &clock);
        let _recorder = start(&transport);
        (0..3).for_each(|_| drop(append(&transport, None)));
        model.set_faults(1_000);
        let outcome = block_on(transport.append(update(None, "refused")));
        assert!(outcome.is_err(), "seed {seed}");
        assert!(
            matches!(transport.health(), Health::Refusing(_)),
            "seed {seed}"
        );
        refused(&transport);
        let page = read(&transport, 0, 3, 1_000, Everything).expect("readers go on");
        assert_eq!(places(&page.frames), [1, 2, 3]);
        model.set_faults(0);
        while transport.health() != Health::Ready {
            std::thread::yield_now();
        }
        assert_eq!(append(&transport, None).position, Position(4));
        model.crash(Crash::PowerLoss);
        drop(transport);
        let transport = open(&model, &clock);
        let page = read(&transport, 0, 4, 1_000, Everything).expect("all of it");
        assert_eq!(places(&page.frames), [1, 2, 3, 4], "seed {seed}");
        let texts = page.frames.iter().map(|frame| frame.bytes.as_ref());
        for text in texts {
            assert!(!text.ends_with(b"data: refused\n\n"), "seed {seed}");
        }
    }
}

/// If writes or syncs fail, publishers get no acknowledgement, readers continue, and writing resumes without
/// a restart. Exactly the acknowledged updates survive a loss of power.
#[test]
fn writing_resumes_when_a_kind_of_call_works_again() {
    for failing in [Call::Write, Call::Sync] {
        let model = Model::new(7);
        let clock = Arc::new(AtomicU64::new(0));
        let transport = open(&model, &clock);
        let _recorder = start(&transport);
        append(&transport, None);
        model.set_failing(Some(failing));
        let outcome = block_on(transport.append(update(None, "refused")));
        match (failing, outcome) {
            (_, Err(AppendError::Refused(_))) | (Call::Sync, Err(AppendError::Unknown)) => {}
            other => panic!("{other:?}"),
        }
        assert!(matches!(transport.health(), Health::Refusing(_)));
        let page = read(&transport, 0, 1, 1_000, Everything).expect("readers go on");
        assert_eq!(places(&page.frames), [1]);
        model.set_failing(None);
        while transport.health() != Health::Ready {
            std::thread::yield_now();
        }
        assert_eq!(append(&transport, None).position, Position(2));
        model.crash(Crash::PowerLoss);
        drop(transport);
        let transport = open(&model, &clock);
        assert_eq!(transport.bounds().head, Position(2));
        let page = read(&transport, 0, 2, 1_000, Everything).expect("both");
        assert_eq!(places(&page.frames), [1, 2]);
        let is_refused = |bytes: &[u8]| bytes.ends_with(b"data: refused\n\n");
        assert!(!page.frames.iter().any(|frame| is_refused(&frame.bytes)));
    }
}

/// A second process cannot open the history and is told why, until the first one has closed it.
#[test]
fn a_second_process_is_kept_out() {
    let model = Model::new(1);
    let clock = Arc::new(AtomicU64::new(0));
    let first = open(&model, &clock);
    let options = || HistoryOptions::new(Arc::new(|| 0));
    let error = History::open(model.mount(), options()).err();
    let error = error.expect("it is in use");
    assert!(matches!(error, OpenError::Locked { .. }), "{error}");
    assert!(error.to_string().contains("another process"), "{error}");
    drop(first);
    History::open(model.mount(), options()).expect("no other process has it open");
}
