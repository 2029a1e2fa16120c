//! Failures of the disk. No refused update ever appears, and no acknowledged update is lost.

use std::io;

use super::writer::{LOOK_AGAIN, Log, NOT_WRITTEN, Trouble};
use crate::history::names;
use crate::history::segment::rewrite;
use crate::history::walk::{Met, walk};
use crate::{AppendError, Health};

impl Log {
    /// Handles a failed write: cuts off what it left. The updates are refused once the cut is durable.
    pub(super) fn write_failed(&mut self, error: &io::Error) -> AppendError {
        tracing::error!(name: "history_not_written", %error, file = self.path(), "a group could not be written");
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

    /// Handles a failed sync: the file must be opened again, and it is unknown whether what was not synced
    /// is on the disk.
    pub(super) fn sync_failed(&mut self, error: &io::Error) -> AppendError {
        tracing::error!(name: "history_not_synced", %error, file = self.path(), "what was written could not be synced");
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
                tracing::error!(name: "history_refuses", %error, file = self.path(), "updates are refused until the disk works again");
                AppendError::Unknown
            }
        }
    }

    /// Handles the failure to create a segment. It may exist all the same, so nothing is written to the old
    /// one any more.
    pub(super) fn roll_failed(&mut self, error: &io::Error) -> AppendError {
        tracing::error!(name: "segment_not_created", %error, file = self.path(), "a new segment could not be created");
        self.shared.set_health(Health::Refusing(NOT_WRITTEN));
        self.enter_trouble();
        // Nothing of the group was written.
        AppendError::Refused(NOT_WRITTEN)
    }

    /// Tries to repair the end of the log, if it is in doubt, so that the log can be written again.
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

    /// Checks whether the disk works again, without waiting for a publish.
    pub(super) fn probe(&mut self) {
        if self.recover_from_trouble().is_err() {
            return;
        }
        if self.shared.health() == Health::Ready || self.check_space().is_err() {
            return;
        }
        // Only a write shows whether the disk works.
        if self.write_nothing() {
            self.shared.set_health(Health::Ready);
        }
    }

    /// Writes a group without updates, which records the floor; returns whether that succeeded.
    pub(super) fn write_nothing(&mut self) -> bool {
        let nothing = self.new_group(self.head, self.facts.time);
        let time = self.facts.time;
        let written = self.write_group(nothing);
        let is_written = written.is_ok_and(|begun| self.complete(begun).is_ok());
        // The time of the facts stays that of the newest update.
        self.facts.time = time;
        is_written
    }

    fn enter_trouble(&mut self) {
        let tried = self.clock.moment();
        self.trouble = Some(Trouble { tried });
    }

    /// Brings the disk to the state that readers know: opens the active segment again, cuts it after its
    /// last committed group, and makes it durable.
    fn mend(&mut self) -> io::Result<()> {
        let files = &self.shared.files;
        let (number, first) = (self.active.number, self.active.first);
        let name = names::segment(number, first);
        let file = files.retry(usize::MAX, || files.disk.open(&name))?;
        // After a failed sync the system may consider cached pages as written that never were.
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
                "committed updates are no longer readable; restart the hub to see what to do",
            ));
        }
        self.file = file;
        self.durable = self.end;
        self.allocated = self.end;
        Ok(())
    }

    /// Continues in a new segment.
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
