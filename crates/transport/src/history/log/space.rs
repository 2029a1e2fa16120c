//! The free space of the disk. Updates are refused before the disk is full.

use super::writer::Log;
use crate::history::disk::Disk;
use crate::{AppendError, Health};

const ALMOST_FULL: &str =
    "the disk is almost full; free space, or let the history keep less (size, max_bytes, max_age)";
/// The free space is checked again after this time, in milliseconds, or after this many bytes.
const SPACE_SEEN_MS: u128 = 100;
const SPACE_SEEN_BYTES: u64 = 1 << 20;
/// Updates are refused if less than this is free, in bytes, or less than [`FREE_SHARE`] of the disk if
/// that is smaller.
const FREE_BYTES: u64 = 1 << 30;
/// The divisor of the disk's size: one twentieth.
const FREE_SHARE: u64 = 20;

/// Whether the disk has so little room that updates are refused.
pub(in crate::history) fn is_almost_full(disk: &dyn Disk) -> bool {
    match disk.space() {
        Ok(space) => space.available < FREE_BYTES.min(space.total / FREE_SHARE),
        // The next write shows whether there is room.
        Err(_) => false,
    }
}

impl Log {
    /// Checks from time to time whether the disk has room. On a full disk it first deletes what retention
    /// no longer keeps, since refused publishes may leave no time to do so later.
    pub(super) fn look_for_room(&mut self) -> Result<(), AppendError> {
        let bytes = self.active.base + self.end;
        let is_due = self.space_seen.is_none_or(|(since, at)| {
            bytes.abs_diff(at) >= SPACE_SEEN_BYTES || self.clock.is_over(since, SPACE_SEEN_MS)
        });
        if is_due {
            if self.check_space().is_err() {
                self.retain();
                self.recover_from_trouble()?;
                self.check_space()?;
            }
            self.space_seen = Some((self.clock.moment(), bytes));
        }
        Ok(())
    }

    pub(super) fn check_space(&mut self) -> Result<(), AppendError> {
        if is_almost_full(&*self.shared.files.disk) {
            self.shared.set_health(Health::Refusing(ALMOST_FULL));
            return Err(AppendError::Refused(ALMOST_FULL));
        }
        Ok(())
    }
}
