//! Subscription events: they have positions in the log, but are stored in the journal (ADR 0017).

use std::io;
use std::sync::Arc;

use super::group::{Begun, Prepared, RECORDS};
use super::writer::{LOOK_AGAIN, Log, NOT_WRITTEN};
use crate::events::Event;
use crate::history::journal::{self, Given};
use crate::history::options::SyncMode;
use crate::history::shared::Newest;
use crate::{AppendError, Frame, Health};

/// A journal with fewer bytes of events is rewritten on this thread, because waking another costs more.
const WRITTEN_IN_PLACE: usize = 256 << 10;

impl Log {
    /// Appends a group of events to the journal.
    pub(super) fn write_events(&mut self, group: Prepared) -> Result<Begun, AppendError> {
        if !self.journal.is_open()
            && let Err(error) = self.rewrite_journal()
        {
            tracing::error!(name: "events_not_written", %error, "the file of subscription events could not be written");
            return Err(AppendError::Refused(NOT_WRITTEN));
        }
        if let Err(error) = self.journal.append(&group.bytes[RECORDS..]) {
            return Err(self.events_failed(&error));
        }
        Ok(Begun {
            end: self.end,
            start: 0,
            facts: self.facts,
            group,
            aside: false,
        })
    }

    /// Waits until events are as durable as the mode promises, and makes them visible to readers.
    pub(super) fn finish_events(
        &mut self,
        group: Prepared,
    ) -> Result<Vec<Arc<Frame>>, AppendError> {
        if self.shared.options.sync == SyncMode::Always {
            if let Err(error) = self.journal.sync() {
                return Err(self.events_failed(&error));
            }
        } else if self.unsynced_since.is_none() {
            self.unsynced_since = Some(self.clock.moment());
        }
        self.head = group.head;
        let Prepared {
            frames,
            bytes,
            time,
            ..
        } = group;
        self.buffers.push(bytes);
        let events = frames
            .iter()
            .map(|frame| Event::new(Arc::clone(frame), time));
        let events: Vec<Event> = events.collect();
        let mut kept = self.shared.events.write();
        events.into_iter().for_each(|event| kept.add(event));
        drop(kept);
        if let (Some(first), Some(last)) = (frames.first(), frames.last()) {
            self.retention.add_events(first.position, last.position);
            self.shared.set_newest(Newest {
                head: self.head,
                event_id: Some(last.event_id.clone()),
            });
        }
        Ok(frames)
    }

    /// Removes the events that exceed the bounds, from the ring too, and shortens the journal.
    pub(super) fn forget_events(&mut self) {
        let gone = self.shared.events.write().evict();
        if !gone.is_empty() {
            self.ring.forget(&gone);
        }
        self.shorten_journal();
    }

    /// Rewrites the journal if most of it is no longer kept; another thread writes a long one.
    pub(super) fn shorten_journal(&mut self) {
        let kept = self.shared.events.read();
        let (is_long, bytes) = (self.journal.is_long(&kept), kept.bytes());
        drop(kept);
        let shortened = if self.journal.is_shortening() {
            self.journal.end_shortening(&*self.shared.files.disk)
        } else if !is_long {
            Ok(())
        } else if bytes <= WRITTEN_IN_PLACE {
            self.rewrite_journal()
        } else {
            let (given, events) = self.kept_events();
            let shared = Arc::clone(&self.shared);
            self.journal.begin_shortening(move || {
                journal::write_new(&*shared.files.disk, given, &shared.manifest, &events)
            })
        };
        if let Err(error) = shortened {
            tracing::warn!(name: "events_not_shortened", %error, "the file of subscription events could not be shortened");
        }
    }

    /// Handles a failed append or sync: it is unknown what the file holds, so it is rewritten without these
    /// events.
    fn events_failed(&mut self, error: &io::Error) -> AppendError {
        let file = self.shared.files.disk.path(journal::NAME);
        tracing::error!(name: "events_not_written", %error, file, "subscription events could not be written");
        self.journal.abandon();
        self.shared.set_health(Health::Refusing(NOT_WRITTEN));
        match self.rewrite_journal() {
            Ok(()) => {
                self.shared.set_health(Health::Ready);
                AppendError::Refused(NOT_WRITTEN)
            }
            Err(error) => {
                tracing::error!(name: "history_refuses", %error, file, "updates are refused until the disk works again");
                self.journal_in_doubt = Some(self.clock.moment());
                AppendError::Unknown
            }
        }
    }

    /// Removes refused events from the journal, if it may hold some, so that their positions can be given
    /// out again.
    pub(super) fn settle_journal(&mut self) -> Result<(), AppendError> {
        let Some(tried) = self.journal_in_doubt else {
            return Ok(());
        };
        if !self.clock.is_over(tried, LOOK_AGAIN.as_millis()) {
            return Err(AppendError::Refused(NOT_WRITTEN));
        }
        self.journal_in_doubt = Some(self.clock.moment());
        self.rewrite_journal().map_err(|error| {
            tracing::debug!(%error, "the disk still fails");
            AppendError::Refused(NOT_WRITTEN)
        })?;
        self.journal_in_doubt = None;
        Ok(())
    }

    /// Makes events durable. If that fails, the journal is rewritten with all that are kept.
    pub(super) fn sync_events(&mut self) -> io::Result<()> {
        if let Err(error) = self.journal.sync() {
            tracing::error!(name: "events_not_synced", %error, "subscription events could not be synced");
            self.journal.abandon();
        }
        let has_events = self.shared.events.read().iter().next().is_some();
        if has_events && !self.journal.is_open() {
            self.rewrite_journal()?;
        }
        Ok(())
    }

    fn rewrite_journal(&mut self) -> io::Result<()> {
        let (given, events) = self.kept_events();
        let (disk, manifest) = (&*self.shared.files.disk, &self.shared.manifest);
        self.journal.rewrite(disk, given, manifest, &events)
    }

    /// The contents that the journal should have now.
    fn kept_events(&self) -> (Given, Vec<Event>) {
        let given = Given {
            run: self.run.tag,
            first: self.active.last().next(),
            last: self.head,
        };
        (given, self.shared.events.read().iter().cloned().collect())
    }
}
