//! The thread that makes tiers, so that neither publishers nor readers wait for them.

use std::collections::HashSet;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;

use super::file::{Row, Tier};
use super::give_up::give_up;
use super::plan::Missing;
use crate::history::log::is_almost_full;
use crate::history::segment::Cover;
use crate::history::shared::Shared;

/// The thread. It ends when this is dropped.
pub(in crate::history) struct Keeper {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Keeper {
    pub(in crate::history) fn start(shared: &Arc<Shared>) -> io::Result<Self> {
        let of_thread = Arc::clone(shared);
        // What an earlier process left undone.
        shared.tiers.ring();
        let thread = std::thread::Builder::new()
            .name("talaria-tiers".to_owned())
            .spawn(move || {
                while of_thread.tiers.wait() {
                    // The panic hook has reported a panic; the segments have their indexes.
                    _ = catch_unwind(AssertUnwindSafe(|| make_all(&of_thread)));
                }
            })?;
        Ok(Self {
            shared: Arc::clone(shared),
            thread: Some(thread),
        })
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.shared.tiers.end();
        if let Some(thread) = self.thread.take() {
            // The panic hook has reported a panic of the thread.
            _ = thread.join();
        }
    }
}

/// Makes the tiers that are missing. What fails is tried again when the next segment is sealed.
fn make_all(shared: &Shared) {
    let mut failed = HashSet::new();
    while let Some(missing) = Missing::find(shared, &failed) {
        if shared.tiers.is_ended() || is_almost_full(&*shared.files.disk) {
            return;
        }
        match missing.make(shared) {
            Ok(Some((tier, rows))) => take(shared, tier, &rows),
            Ok(None) => return,
            Err(error) => {
                failed.insert(missing.first());
                report(shared, &missing, &error);
            }
        }
    }
}

/// Uses a tier from now on.
fn take(shared: &Shared, tier: Tier, rows: &[Row]) {
    let tier = Arc::new(tier);
    let replaced = shared.tiers.add(Arc::clone(&tier));
    let mut rows = rows.iter();
    let mut number = tier.first();
    shared.each_of(tier.first(), tier.last(), |segment| {
        let skipped = usize::try_from(segment.number - number).unwrap_or(usize::MAX);
        number = segment.number + 1;
        if let Some(row) = rows.nth(skipped) {
            segment.cover(Cover::of(row));
        }
    });
    let mut gone: Vec<_> = replaced.iter().map(|tier| tier.name()).collect();
    gone.retain(|name| *name != tier.name());
    // Retention may have deleted the segments meanwhile.
    let segments = shared.segments();
    let oldest = segments.first().map_or(0, |oldest| oldest.number);
    gone.extend(shared.tiers.remove_before(oldest));
    for name in gone {
        if let Err(error) = shared.files.disk.remove(&name) {
            tracing::debug!(%error, name, "a tier that is no longer needed could not be removed; the next start does");
        }
    }
}

fn report(shared: &Shared, missing: &Missing, error: &io::Error) {
    if let Missing::Large(tiers) = missing
        && error.kind() == io::ErrorKind::InvalidData
    {
        // It is not known which one is damaged; all are made again from the indexes.
        for tier in tiers {
            give_up(shared, tier, error);
        }
        return;
    }
    if error.kind() == io::ErrorKind::NotFound {
        tracing::debug!(%error, "a segment was deleted before its tier was made");
        return;
    }
    tracing::warn!(
        name: "tier_not_written",
        %error,
        first = missing.first(),
        "an index over many segments could not be written; the indexes of the segments are used, and it is tried again when the next segment is sealed"
    );
}
