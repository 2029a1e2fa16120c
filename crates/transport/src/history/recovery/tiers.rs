//! The tiers of a log that is being opened. They say the lengths of their segments, so that an opening asks
//! the disk only for those of the others.

use std::sync::Arc;

use super::found::Found;
use crate::history::disk::Disk;
use crate::history::index::Hashes;
use crate::history::names;
use crate::history::segment::{Cover, Segment};
use crate::history::tier::{Row, Tier, Tiers};

/// The tiers that fit the segments.
pub(super) struct Usable {
    /// In order; no two of them have a segment in common.
    tiers: Vec<(Arc<Tier>, Vec<Row>)>,
    /// The names of the others.
    pub(super) unfit: Vec<String>,
}

impl Usable {
    /// Reads the headers of the tiers. One that cannot be read is not used, and made again.
    pub(super) fn find(disk: &dyn Disk, found: &Found, newest: u64, key: &[u8; 16]) -> Self {
        let log = Hashes::new(key).log();
        let mut usable = Self {
            tiers: Vec::new(),
            unfit: Vec::new(),
        };
        let mut ranges = found.tiers.clone();
        // Of those that begin together the largest: a crash may leave the ones that it replaced.
        ranges.sort_unstable_by_key(|(first, last)| (*first, u64::MAX - last));
        let oldest = found.segments.keys().next().copied().unwrap_or_default();
        for (first, last) in ranges {
            let is_replaced = usable
                .tiers
                .last()
                .is_some_and(|(tier, _)| first <= tier.last());
            let is_over = last < oldest;
            if is_replaced || is_over || first > last {
                usable.unfit.push(names::tier(first, last));
                continue;
            }
            match Tier::open(disk, (first, last), log) {
                Ok(Some((tier, rows))) if last < newest && fits(&tier, &rows, found) => {
                    usable.tiers.push((Arc::new(tier), rows));
                }
                Ok(_) => {
                    let name = names::tier(first, last);
                    tracing::warn!(
                        name: "tier_unfit",
                        tier = disk.path(&name),
                        "an index over many segments is damaged or does not fit them; it is removed and made again"
                    );
                    usable.unfit.push(name);
                }
                Err(error) => {
                    let tier = disk.path(&names::tier(first, last));
                    tracing::debug!(%error, tier, "a tier cannot be read now");
                }
            }
        }
        usable
    }

    /// The length of a segment, as its tier says.
    pub(super) fn length_of(&self, number: u64) -> Option<u64> {
        let place = self.tiers.partition_point(|(tier, _)| tier.last() < number);
        let (tier, rows) = self.tiers.get(place)?;
        let row = usize::try_from(number.checked_sub(tier.first())?).ok()?;
        Some(rows.get(row)?.length)
    }

    /// The list of the tiers. The segments know from now on what it says of them.
    pub(super) fn take(self, segments: &[Arc<Segment>]) -> Tiers {
        let mut next = segments.iter().peekable();
        for (tier, rows) in &self.tiers {
            for (number, row) in (tier.first()..).zip(rows) {
                while next.next_if(|segment| segment.number < number).is_some() {}
                if let Some(segment) = next.next_if(|segment| segment.number == number) {
                    segment.cover(Cover::of(row));
                }
            }
        }
        Tiers::new(self.tiers.into_iter().map(|(tier, _)| tier).collect())
    }
}

/// Whether a tier says of the segments what their names say.
fn fits(tier: &Tier, rows: &[Row], found: &Found) -> bool {
    let mut listed = found.segments.range(tier.first()..=tier.last() + 1);
    let Some((&oldest, _)) = listed.clone().next() else {
        return false;
    };
    // The oldest ones may be deleted.
    let skipped = usize::try_from(oldest - tier.first()).unwrap_or(usize::MAX);
    let firsts = rows.iter().map(|row| row.first);
    let firsts = firsts.chain([tier.last_position().next()]).skip(skipped);
    (oldest..=tier.last() + 1).zip(firsts).all(|expected| {
        let segment = listed.next();
        segment.map(|(number, first)| (*number, *first)) == Some(expected)
    })
}
