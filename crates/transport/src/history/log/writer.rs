//! The state of the writer, and how it closes the log.

use std::sync::Arc;
use std::time::Duration;

use super::syncer::Syncer;
use crate::history::clock::{Clock, Moment};
use crate::history::disk::File;
use crate::history::index::Facts;
use crate::history::journal::Journal;
use crate::history::retention::Retention;
use crate::history::run::Run;
use crate::history::segment::Segment;
use crate::history::shared::Shared;
use crate::{Position, Ring};

/// Why updates are refused that could not be written.
pub(super) const NOT_WRITTEN: &str = "the history could not be written; the hub's log says why";
/// How often to check for expired updates, and whether a failed disk works again.
pub(super) const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// What is written at once at most, unless a single update is larger. In bytes.
pub(in crate::history) const GROUP_BYTES: usize = 1 << 20;

/// The writer of a log; nothing else writes to it.
pub(in crate::history) struct Log {
    pub(in crate::history) shared: Arc<Shared>,
    pub(in crate::history) run: Run,
    pub(in crate::history) active: Arc<Segment>,
    pub(in crate::history) file: Arc<dyn File>,
    /// Where the last committed group of the active segment ends.
    pub(in crate::history) end: u64,
    /// How many bytes of the active segment are known to be durable.
    pub(in crate::history) durable: u64,
    /// Up to which offset the file of the active segment was written ahead.
    pub(in crate::history) allocated: u64,
    /// The next segment begins when the active one has this many bytes.
    pub(in crate::history) target: u64,
    /// When the free space of the disk was last checked, and how many bytes the log had then.
    pub(in crate::history) space_seen: Option<(Moment, u64)>,
    /// The newest position. The positions between the last one of the active segment and this one are
    /// those of events.
    pub(in crate::history) head: Position,
    pub(in crate::history) journal: Journal,
    /// If the journal may hold events that were refused: when the last attempt to rewrite it was made.
    pub(in crate::history) journal_in_doubt: Option<Moment>,
    pub(in crate::history) ring: Arc<Ring>,
    pub(in crate::history) clock: Clock,
    pub(in crate::history) retention: Retention,
    /// When the floor was last recorded without a publish.
    pub(in crate::history) floor_recorded: Moment,
    /// Files that could not be removed yet.
    pub(in crate::history) unremoved: Vec<String>,
    /// The facts of the last committed group.
    pub(in crate::history) facts: Facts,
    /// The retention floor that is known to be durable. No file with updates above it is removed.
    pub(in crate::history) durable_floor: Position,
    /// When the oldest update that is not durable was committed.
    pub(in crate::history) unsynced_since: Option<Moment>,
    pub(in crate::history) trouble: Option<Trouble>,
    /// Buffers that groups use again.
    pub(in crate::history) buffers: Vec<Vec<u8>>,
    pub(in crate::history) syncer: Syncer,
    /// Locks out other processes; dropped last.
    pub(in crate::history) _lock: Box<dyn Send + Sync>,
}

/// The end of the active segment may be wrong; nothing is written until it is known to be right.
#[derive(Debug, Clone, Copy)]
pub(in crate::history) struct Trouble {
    /// When the last attempt to repair it was made.
    pub(super) tried: Moment,
}

impl Drop for Log {
    /// Closes the log, so that the next opening need not read a segment.
    fn drop(&mut self) {
        if let Err(error) = self.sync_events() {
            tracing::warn!(name: "events_not_written", %error, "the file of subscription events could not be written");
        }
        let is_empty = self.active.last() < self.active.first;
        if self.trouble.is_some() || is_empty {
            return;
        }
        match self.finish_segment() {
            Ok(()) => self.write_closed_index(),
            Err(error) => tracing::warn!(
                name: "history_not_closed",
                %error,
                "the history was not closed cleanly; the next start reads its newest segment"
            ),
        }
    }
}
