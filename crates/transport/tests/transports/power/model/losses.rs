//! Losses of power: which part of a change that was not synced remains.

use super::Change;
use crate::power::random::Random;

/// The bytes that a disk writes at once.
const SECTOR: usize = 512;

/// The part of a change that remains: all, nothing, or some sectors. The others keep their old bytes, or
/// zeros if the file was shorter.
pub(super) fn survivors(change: Change, random: &mut Random) -> Vec<Change> {
    match (random.below(4), change) {
        (0, _) => Vec::new(),
        (1, change) | (_, change @ Change::Length(_)) => vec![change],
        (_, Change::Write(at, mut bytes)) if random.below(2) == 0 => {
            bytes.truncate(random.below(bytes.len() as u64 + 1) as usize);
            vec![Change::Write(at, bytes)]
        }
        (_, Change::Write(at, bytes)) => {
            let sectors = bytes.chunks(SECTOR).enumerate();
            let extended = Change::Write(at + bytes.len(), Vec::new());
            let kept = sectors.filter(|_| random.below(3) > 0);
            let kept = kept.map(|(n, sector)| Change::Write(at + n * SECTOR, sector.to_vec()));
            [extended].into_iter().chain(kept).collect()
        }
    }
}
