//! When the disk fails: nothing that was refused appears, nothing acknowledged is lost.

use std::io;

use super::writer::{LOOK_AGAIN, Log, NOT_WRITTEN, Trouble};
use crate::history::names;
use crate::history::segment::rewrite;
use crate::history::walk::{Met, walk};
use crate::{AppendError, Health};

impl Log {
    /// A write failed: cuts what it left. The update is refused once the cut is durable.
    pub(super) fn write_failed(&mut self, error: &io::Error) -> AppendError {
        tracing::error!(%error, file = self.path(), "a group could not be written");
        self.shared.set_health(Health::Refusing(NOT_WRITTEN));
        let cut = self.file.set_len(self.end);
        match cut.and_then(|()| self.file.sync_data()) {
            Ok(()) => {
                self.durable = self.end;
                self.allocated = self.end;
                self.unsynced_since = None;
                AppendError::Refused(NOT_WRITTEN)
            }
            Err(error) => self.sync_failed(&error),
        }
    }

    /// A sync failed: that file handle is finished, and what it had not synced is in doubt.
    pub(super) fn sync_failed(&mut self, error: &io::Error) -> AppendError {
        tracing::error!(%error, file = self.path(), "the disk did not take what was written");
        self.shared.set_health(Health::Refusing(NOT_WRITTEN));
        self.enter_trouble();
        match self.mend() {
            Ok(()) => {
                if let Err(error) = self.resume() {
                    self.roll_failed(&error);
                }
                AppendError::Refused(NOT_WRITTEN)
            }
            Err(error) => {
                tracing::error!(%error, file = self.path(), "publishing stays off until the disk works again");
                AppendError::Unknown
            }
        }
    }

    /// A new segment could not be begun. It may be there all the same, so nothing is written to the
    /// old one any more.
    pub(super) fn roll_failed(&mut self, error: &io::Error) -> AppendError {
        tracing::error!(%error, file = self.path(), "no new segment could be begun");
        self.shared.set_health(Health::Refusing(NOT_WRITTEN));
        self.enter_trouble();
        // Nothing of the group was written.
        AppendError::Refused(NOT_WRITTEN)
    }

    /// Tries to get out of trouble, so that something can be written.
    pub(super) fn recover_from_trouble(&mut self) -> Result<(), AppendError> {
        self.settle_journal()?;
        let Some(Trouble { tried }) = self.trouble else {
            return Ok(());
        };
        if !self.clock.is_over(tried, LOOK_AGAIN.as_millis()) {
            return Err(AppendError::Refused(NOT_WRITTEN));
        }
        self.enter_trouble();
        self.mend().and_then(|()| self.resume()).map_err(|error| {
            tracing::debug!(%error, "the disk still fails");
            AppendError::Refused(NOT_WRITTEN)
        })
    }

    /// Looks whether the disk works again, though nobody publishes.
    pub(super) fn probe(&mut self) {
        if self.recover_from_trouble().is_err() {
            return;
        }
        if self.shared.health() == Health::Ready || self.check_space().is_err() {
            return;
        }
        // Only writing shows whether it works.
        if self.write_nothing() {
            self.shared.set_health(Health::Ready);
        }
    }

    /// Writes a group of no updates, which records the floor; whether that succeeded.
    pub(super) fn write_nothing(&mut self) -> bool {
        let nothing = self.new_group(self.head, self.facts.time);
        let time = self.facts.time;
        let written = self.write_group(nothing);
        let is_written = written.is_ok_and(|begun| self.complete(begun).is_ok());
        // That of the newest update.
        self.facts.time = time;
        is_written
    }

    fn enter_trouble(&mut self) {
        let tried = self.clock.moment();
        self.trouble = Some(Trouble { tried });
    }

    /// Brings the disk to the state that readers know: the active segment, opened anew, ends with
    /// its last committed group, and is durable.
    fn mend(&mut self) -> io::Result<()> {
        let files = &self.shared.files;
        let (number, first) = (self.active.number, self.active.first);
        let name = names::segment(number, first);
        let file = files.retry(usize::MAX, || files.disk.open(&name))?;
        // What a failed sync left in the cache may pass for written and never be.
        rewrite(&*file, self.durable.min(self.end), self.end)?;
        file.set_len(self.end)?;
        file.sync_data()?;
        let mut count = 0;
        let mut is_whole = true;
        walk(&*file, number, self.end, &mut |met| match met {
            Met::Update(..) => count += 1,
            Met::Events(first, last, _) => count += last.0 + 1 - first.0,
            Met::Damage(..) => is_whole = false,
            Met::Group(_) => {}
        })?;
        if !is_whole || count != (self.active.last().0 + 1).saturating_sub(first.0) {
            return Err(io::Error::other(
                "committed updates are no longer readable; restart the hub, which says what to do",
            ));
        }
        self.file = file;
        self.durable = self.end;
        self.allocated = self.end;
        Ok(())
    }

    /// Goes on in a new segment.
    fn resume(&mut self) -> io::Result<()> {
        self.roll()?;
        self.trouble = None;
        Ok(())
    }

    fn path(&self) -> String {
        let name = names::segment(self.active.number, self.active.first);
        self.shared.files.disk.path(&name)
    }
}
