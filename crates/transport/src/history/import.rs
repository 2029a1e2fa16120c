//! Imports the updates of another store.

use talaria_protocol::Update;

use super::error::{ImportError, OpenError};
use super::log::{GROUP_BYTES, Log};
use crate::committer::pipeline::Pipeline as _;
use crate::{AppendError, Position};

/// The most updates that an import appends at once.
const IMPORT_GROUP: usize = 1_024;

/// An update of another store, to be appended once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// Its sequence number there. Sequence numbers increase.
    pub sequence: u64,
    /// When it was committed there, in milliseconds since 1970; `None` if the store does not say.
    ///
    /// Its age counts from then, but from no earlier than the update before it and no later than now,
    /// because the times of a log never decrease.
    pub time: Option<u64>,
    /// The update, with its id.
    pub update: Update,
}

/// Opens another store: called with the sequence number of the last update that was imported from it.
pub type ImportFrom<'a> = &'a mut dyn FnMut(u64) -> Result<Imports, ImportError>;

/// The updates of another store, in order; an error ends the import.
pub type Imports = Box<dyn Iterator<Item = Result<Imported, ImportError>>>;

/// Appends the updates of another store; returns how many.
pub(super) fn import(log: &mut Log, from: ImportFrom<'_>) -> Result<u64, OpenError> {
    let mut entries = from(log.facts.imported).map_err(OpenError::Import)?;
    let mut count = 0;
    loop {
        let mut group: Vec<Imported> = Vec::new();
        let mut bytes = 0;
        // Bounded in bytes too, because updates of the other store may be large.
        while group.len() < IMPORT_GROUP && bytes < GROUP_BYTES {
            let Some(entry) = entries.next() else { break };
            let entry = entry.map_err(OpenError::Import)?;
            bytes += entry.update.data.len();
            group.push(entry);
        }
        if group.is_empty() {
            return Ok(count);
        }
        count += group.len() as u64;
        log.import(group)
            .map_err(|error| OpenError::Import(error.into()))?;
    }
}

impl Log {
    /// Appends a group of another store's updates.
    pub(super) fn import(&mut self, entries: Vec<Imported>) -> Result<(), AppendError> {
        let mut group = self.new_group(self.head, self.facts.time);
        let now = group.time;
        // The time of an empty log is that of its opening and not that of an update. A time in the
        // future comes from a clock that was wrong.
        group.time = if self.head == Position::ORIGIN {
            0
        } else {
            self.facts.time.min(now)
        };
        for entry in entries {
            group.imported = entry.sequence;
            group.time = entry.time.unwrap_or(now).clamp(group.time, now);
            self.add_to(&mut group, vec![entry.update]);
        }
        let begun = self.begin(group)?;
        self.finish(begun)?;
        Ok(())
    }
}
