//! Random losses of power, kills, failures of the disk and wrong clocks. Acknowledged updates are kept as
//! the mode of `sync` promises, refused ones do not appear, and no id or position changes its meaning.
//!
//! 40 seeds in each mode, 10,000 with `TALARIA_FULL=1`; `TALARIA_SEED=n` runs one.

mod answers;
mod clock;
mod life;
pub mod model;
mod oracle;
pub mod random;
mod verdict;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use talaria_transport::history::SyncMode;

use self::life::{INTERVAL, Life};
use self::model::Barrier;
use self::verdict::{Verdict, judge};

/// Seeds that broke a promise once.
const FOUND: [u64; 3] = [4477, 6250, 7265];
/// Lives that are led beside each other, because each waits for its threads most of the time.
const AT_A_TIME: usize = 8;

fn count(ordinary: u64, full: u64) -> u64 {
    match std::env::var("TALARIA_FULL") {
        Ok(value) if value == "1" => full,
        _ => ordinary,
    }
}

/// Every life of a history keeps the promises of its mode.
fn keeps_its_promises(mode: SyncMode) {
    let one = std::env::var("TALARIA_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let (found, seeds) = match one {
        Some(seed) => (&[][..], seed..seed + 1),
        None => (&FOUND[..], 0..count(40, 10_000)),
    };
    let seeds: Vec<u64> = found.iter().copied().chain(seeds).collect();
    let next = AtomicUsize::new(0);
    let work = || {
        while let Some(seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed)) {
            live(*seed, mode);
        }
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..AT_A_TIME).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            worker
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        }
    });
}

fn live(seed: u64, mode: SyncMode) {
    let rerun = format!("seed {seed} of {mode:?}; rerun it with TALARIA_SEED={seed}");
    match judge(|| Life::new(seed, mode).live()) {
        Verdict::Kept => {}
        Verdict::Violated(why) => panic!("a promise is broken: {why}; {rerun}"),
        Verdict::Panicked(what) => panic!("the log or its model panicked: {what}; {rerun}"),
    }
}

/// No acknowledged update is lost, no refused one appears, no visible one gets another position, and every
/// start succeeds.
#[test]
fn sync_always_loses_nothing_acknowledged() {
    keeps_its_promises(SyncMode::Always);
}

/// The same holds, except that a loss of power may lose the updates that were acknowledged within the
/// interval.
#[test]
fn sync_interval_loses_an_interval_at_most() {
    keeps_its_promises(INTERVAL);
}

/// The same holds, except that a loss of power may lose the updates that were acknowledged since the newest
/// segment began.
#[test]
fn sync_never_loses_a_segment_at_most() {
    keeps_its_promises(SyncMode::Never);
}

/// Every barrier is needed: without it some seed breaks a promise. A panic does not count as one.
#[test]
fn every_barrier_is_needed() {
    let modes = [SyncMode::Always, INTERVAL, SyncMode::Never];
    let barriers = [
        (Barrier::SyncHeader, &modes[..]),
        (Barrier::SyncGroups, &modes[..1]),
        (Barrier::SyncGroups, &modes[1..2]),
        (Barrier::SyncGroups, &modes[2..]),
        (Barrier::SyncCut, &modes),
        (Barrier::SyncFound, &modes[1..]),
        (Barrier::SyncManifest, &modes),
        (Barrier::RenameSegment, &modes),
        (Barrier::RenameManifest, &modes),
        (Barrier::DirectoryOfSegment, &modes),
        (Barrier::DirectoryOfManifest, &modes),
        (Barrier::SyncEventsFile, &modes),
        (Barrier::SyncEvents, &modes[..1]),
        (Barrier::SyncEvents, &modes[1..2]),
        (Barrier::SyncEvents, &modes[2..]),
        (Barrier::RenameEvents, &modes),
        (Barrier::DirectoryOfEvents, &modes),
    ];
    for (barrier, modes) in barriers {
        let violated = (0..20_000_u64).find_map(|seed| {
            let mode = modes[(seed % modes.len() as u64) as usize];
            let mut life = Life::new(seed, mode);
            life.model.remove_barrier(barrier);
            match judge(|| life.live()) {
                Verdict::Kept => None,
                Verdict::Violated(why) => Some((seed, mode, why)),
                Verdict::Panicked(what) => panic!(
                    "without {barrier:?} the log or its model panicked, at seed {seed} of {mode:?}: {what}"
                ),
            }
        });
        let Some((seed, mode, why)) = violated else {
            panic!("without {barrier:?} no promise is broken in {modes:?}");
        };
        println!("without {barrier:?}: seed {seed} of {mode:?}: {why}");
    }
}
