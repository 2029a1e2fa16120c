//! What is done when a tier cannot be read: the indexes of its segments are used instead.

use std::io;
use std::sync::Arc;

use super::file::Tier;
use crate::history::segment::Cover;
use crate::history::shared::Shared;

/// Uses a tier no longer.
pub(in crate::history) fn give_up(shared: &Shared, tier: &Arc<Tier>, error: &io::Error) {
    if !shared.tiers.take_out(tier) {
        return;
    }
    shared.each_of(tier.first(), tier.last(), |segment| {
        segment.cover(Cover::NONE);
    });
    let disk = &*shared.files.disk;
    tracing::warn!(
        name: "tier_given_up",
        %error,
        tier = disk.path(&tier.name()),
        "an index over many segments is not readable; the indexes of its segments are used until it is made again"
    );
    if error.kind() == io::ErrorKind::InvalidData {
        // The next start need not find that out again; if this fails, it does.
        drop(disk.remove(&tier.name()));
    }
}
