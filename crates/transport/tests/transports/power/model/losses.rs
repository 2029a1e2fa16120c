//! What a loss of power leaves of a change that was not synced.

use super::Change;
use crate::power::random::Random;

/// What a disk writes at once, in bytes.
const SECTOR: usize = 512;

/// What is left of a change: all, nothing, or some sectors. What was at the others stays: zeros if
/// the file had ended before, else what was written there earlier.
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
