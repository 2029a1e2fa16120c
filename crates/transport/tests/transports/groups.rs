//! Groups that are prepared while the one before them is being stored.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use talaria_transport::history::{History, HistoryOptions};
use talaria_transport::{AppendError, Position, Transport};

use crate::power::model::{Crash, Model};
use crate::suite::{Everything, append, block_on, eventually, places, read, start, update};

/// A refused group takes no positions, so the group that was prepared after it is refused too: no position
/// is left out, and no update is acknowledged that is not found.
#[test]
fn what_was_prepared_behind_a_refused_group_is_not_stored_at_its_place() {
    let model = Model::new(1);
    let written = Arc::new(AtomicU64::new(u64::MAX));
    let is_prepared = Arc::new(AtomicBool::new(false));
    let time = {
        let (model, written, is_prepared) = (
            model.clone(),
            Arc::clone(&written),
            Arc::clone(&is_prepared),
        );
        // The writer reads the clock when it prepares a group; while the sync is held up, that is the
        // next group.
        move || {
            if model.writes() > written.load(Ordering::SeqCst) {
                is_prepared.store(true, Ordering::SeqCst);
            }
            1_000
        }
    };
    let mut options = HistoryOptions::new(Arc::new(time));
    options.ring_bytes = 64 << 10;
    let history = History::open(model.mount(), options.clone()).expect("it opens");
    let transport: Arc<dyn Transport> = Arc::new(history);
    let recorder = start(&transport);
    recorder.shut();
    let first = transport.append(update(None, "first"));
    recorder.wait_until_entered(1);
    // Enough updates that another thread syncs them, and no room in their group for another one.
    let together = (0..64).map(|_| update(None, &"x".repeat(600)));
    let together = transport.append_all(together.collect());
    let behind = transport.append(update(Some("behind"), "behind"));
    model.hold_next_sync();
    written.store(model.writes(), Ordering::SeqCst);
    recorder.open();
    eventually("the group behind is prepared", || {
        is_prepared.load(Ordering::SeqCst)
    });
    model.fail_held_sync();
    block_on(first).expect("it was stored before");
    let together = block_on(together);
    assert!(
        matches!(together, Err(AppendError::Refused(_))),
        "{together:?}"
    );
    let expected: &[u64] = match block_on(behind) {
        Err(AppendError::Refused(_)) => &[1, 2],
        Ok(appended) => {
            assert_eq!(appended.position, Position(2));
            &[1, 2, 3]
        }
        Err(AppendError::Unknown) => panic!("the disk works again"),
    };
    append(&transport, None);
    let check = |transport: &Arc<dyn Transport>| {
        let head = transport.bounds().head.0;
        let page = read(transport, 0, head, 1 << 20, Everything).expect("a page");
        assert_eq!(places(&page.frames), expected);
    };
    check(&transport);
    model.crash(Crash::PowerLoss);
    drop(transport);
    check(&(Arc::new(History::open(model.mount(), options).expect("it opens")) as _));
}

/// A large batch that waits is overtaken by what others publish, and every second group is one of the batches, so
/// that it does not wait for ever either.
#[test]
fn large_batches_are_overtaken() {
    let options = HistoryOptions::new(Arc::new(|| 1_000));
    let history = History::open(Model::new(1).mount(), options).expect("it opens");
    let transport: Arc<dyn Transport> = Arc::new(history);
    let recorder = start(&transport);
    recorder.shut();
    let first = transport.append(update(None, "first"));
    recorder.wait_until_entered(1);
    let batch = || (0..100).map(|_| update(None, "of many")).collect();
    let batches = [(); 2].map(|()| transport.append_all(batch()));
    let single = transport.append(update(None, "single"));
    recorder.open();
    block_on(first).expect("stored");
    let single = block_on(single).expect("stored").position;
    let ends = batches.map(|batch| {
        let stored = block_on(batch).expect("stored");
        stored.last().expect("some").position
    });
    assert!(
        single < ends[1],
        "{single:?} came after both batches, at {ends:?}"
    );
}
