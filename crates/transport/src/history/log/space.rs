//! The room on the disk: publishing is refused before it is full.

use super::writer::Log;
use crate::{AppendError, Health};

const ALMOST_FULL: &str =
    "the disk is almost full; free space, or let the history keep less (size, max_bytes, max_age)";
/// The disk's free space is checked again after this time, or after this many bytes.
const SPACE_SEEN_MS: u128 = 100;
const SPACE_SEEN_BYTES: u64 = 1 << 20;
/// Publishing is refused below this much free space, or [`FREE_SHARE`] of the disk if that is less.
const FREE_BYTES: u64 = 1 << 30;
/// One twentieth of the disk.
const FREE_SHARE: u64 = 20;

impl Log {
    /// Looks now and then whether the disk has room. On a full disk it first deletes what is over, since
    /// refused publishes may leave no time to do so later.
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
        let is_full = match self.shared.files.disk.space() {
            Ok(space) => space.available < FREE_BYTES.min(space.total / FREE_SHARE),
            // Writing will tell.
            Err(_) => false,
        };
        if is_full {
            self.shared.set_health(Health::Refusing(ALMOST_FULL));
            return Err(AppendError::Refused(ALMOST_FULL));
        }
        Ok(())
    }
}
