//! The durable log: updates in segment files, in a directory.
//!
//! [`History`] opens a [`Directory`] and appends to it; `docs/history-format.md` describes the files
//! byte by byte. [`inspect`] reads and repairs a history without a hub (ADR 0011).
//!
//! ```no_run
//! use std::path::Path;
//! use std::sync::Arc;
//! use std::time::{SystemTime, UNIX_EPOCH};
//!
//! use talaria_transport::history::{Directory, History, HistoryOptions};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let clock = || {
//!     let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH);
//!     since_1970.map_or(0, |time| time.as_millis() as u64)
//! };
//! let mut options = HistoryOptions::new(Arc::new(clock));
//! options.size = Some(100_000);
//!
//! let directory = Directory::open(Path::new("/var/lib/hub/history"))?;
//! let history = History::open(Arc::new(directory), options)?;
//! # drop(history);
//! # Ok(())
//! # }
//! ```

mod clock;
mod damage;
mod disk;
mod error;
mod format;
mod import;
mod index;
pub mod inspect;
mod journal;
mod log;
mod lookup;
mod manifest;
mod names;
mod options;
mod read;
mod readers;
mod recovery;
mod retention;
mod run;
mod scan;
mod segment;
mod shared;
mod simulated;
mod summaries;
mod tier;
mod unreadable;
mod walk;

use std::fmt;
use std::sync::Arc;

use talaria_protocol::Update;

pub use self::disk::{Directory, Disk, File, Space};
pub use self::error::{ImportError, OpenError};
#[doc(hidden)]
pub use self::format::decode_sealed;
pub use self::import::{ImportFrom, Imported, Imports};
use self::log::Log;
use self::lookup::Decoded;
pub use self::options::{HistoryOptions, SyncMode, UnixMillis};
use self::readers::{Kind, Readers};
use self::shared::Shared;
#[doc(hidden)]
pub use self::simulated::Simulated;
use self::summaries::Summaries;
use self::tier::Keeper;
use crate::committer::{Committer, pipeline};
use crate::measures::Figures;
use crate::{
    Admit, AppendError, Appended, Bounds, Health, Lookup, Page, Pending, Position, ReadError, Ring,
    Route, Transport, Unavailable,
};

/// The log on a disk. What it acknowledged is as durable as its [`SyncMode`] says.
///
/// Dropping it commits what waits and closes the log, which can take as long as the disk does.
pub struct History {
    ring: Arc<Ring>,
    shared: Arc<Shared>,
    summaries: Arc<Summaries>,
    // Dropped in this order: what reads and writes beside the log ends before that is closed.
    readers: Readers,
    _keeper: Keeper,
    committer: Committer<Log>,
    imported: u64,
}

impl History {
    /// Opens a history, or creates it. An incomplete end, as a crash leaves it, is cut off and the rest
    /// is durable when this returns.
    ///
    /// Blocks. Waits up to five seconds for another process to close the history.
    ///
    /// # Errors
    /// If the history is in use, damaged or unreadable.
    pub fn open(disk: Arc<dyn Disk>, options: HistoryOptions) -> Result<Self, OpenError> {
        Self::open_importing(disk, options, None)
    }

    /// Opens a history as [`open`](Self::open) does, and appends the updates of another store that were
    /// not imported before.
    ///
    /// # Errors
    /// If the history is in use, damaged or unreadable, or if the other store cannot be read.
    pub fn open_importing(
        disk: Arc<dyn Disk>,
        options: HistoryOptions,
        from: Option<ImportFrom<'_>>,
    ) -> Result<Self, OpenError> {
        let path = disk.path("");
        let failed = |action| {
            let path = path.clone();
            move |source| OpenError::Io {
                path,
                action,
                source,
            }
        };
        let ring_bytes = options.ring_bytes;
        let mut log = recovery::open(disk, options)?;
        // The bounds may be narrower than at the last opening, and the import may need the room.
        log.settle();
        let mut imported = 0;
        if let Some(from) = from {
            imported = import::import(&mut log, from)?;
            log.settle();
        }
        let shared = Arc::clone(&log.shared);
        // The ring begins after what was imported.
        let ring = Arc::new(Ring::new(ring_bytes, shared.head()));
        log.ring = Arc::clone(&ring);
        let readers = Readers::start().map_err(failed("starting threads that read"))?;
        let keeper = Keeper::start(&shared).map_err(failed("starting the thread of tiers"))?;
        // A group is at most a quarter of the ring, so that readers find it there, and small compared to
        // a segment.
        let group_bytes = (ring_bytes / 4).min(log::GROUP_BYTES);
        let committer = pipeline::start(log, group_bytes);
        let committer = committer.map_err(failed("starting the thread that writes"))?;
        Ok(Self {
            ring,
            shared,
            summaries: Arc::default(),
            readers,
            _keeper: keeper,
            committer,
            imported,
        })
    }

    /// The number of updates that were imported when the history was opened.
    pub fn imported(&self) -> u64 {
        self.imported
    }
}

impl fmt::Debug for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("History")
            .field("directory", &self.shared.files.disk.path(""))
            .field("bounds", &self.bounds())
            .finish_non_exhaustive()
    }
}

impl Transport for History {
    fn name(&self) -> &'static str {
        "bolt"
    }

    fn ring(&self) -> &Arc<Ring> {
        &self.ring
    }

    fn start(&self, route: Arc<dyn Route>) {
        self.committer.route(route);
    }

    fn append(&self, update: Update) -> Pending<'static, Result<Appended, AppendError>> {
        self.committer.append(update)
    }

    fn append_all(
        &self,
        updates: Vec<Update>,
    ) -> Pending<'static, Result<Vec<Appended>, AppendError>> {
        self.committer.append_all(updates)
    }

    fn read(
        &self,
        from: Position,
        up_to: Position,
        limit: usize,
        filter: Arc<dyn Admit>,
    ) -> Pending<'_, Result<Page, ReadError>> {
        let shared = Arc::clone(&self.shared);
        let kind = Kind::Page(filter.client());
        let page = self.readers.run(kind, move |is_gone| {
            read::page(&shared, from, up_to, limit, &*filter, is_gone)
        });
        Box::pin(async move { page.await? })
    }

    fn position_of<'a>(&'a self, event_id: &'a str) -> Pending<'a, Result<Lookup, Unavailable>> {
        let otherwise = match lookup::decode(&self.shared, event_id) {
            Decoded::Kept(position) => {
                return Box::pin(std::future::ready(Ok(Lookup::Found(position))));
            }
            Decoded::Otherwise(otherwise) => otherwise,
        };
        Box::pin(async move {
            loop {
                let (shared, event_id) = (Arc::clone(&self.shared), event_id.to_owned());
                let found = self.readers.run(Kind::LookUp, move |_| {
                    lookup::find(&shared, &event_id, otherwise)
                });
                if let Some(lookup) = found.await?? {
                    return Ok(lookup);
                }
                self.summaries.complete(&self.shared, &self.readers).await?;
            }
        })
    }

    fn bounds(&self) -> Bounds {
        let floor = self.shared.cursor_floor();
        let head = self.shared.head();
        Bounds {
            floor: floor.min(head),
            head,
        }
    }

    fn figures(&self) -> Figures {
        let segments = self.shared.segments();
        let bytes = match (segments.first(), segments.last()) {
            (Some(first), Some(last)) => (last.base + last.end()).saturating_sub(first.base),
            _ => 0,
        };
        Figures {
            bytes: Some(bytes),
            segments: Some(segments.len() as u64),
            syncs: Some(self.shared.syncs.read()),
            ..self.committer.figures()
        }
    }

    fn newest_id(&self) -> Option<String> {
        self.shared.newest().event_id.map(Into::into)
    }

    fn health(&self) -> Health {
        let failure = self.committer.failure().map(Health::Refusing);
        failure.unwrap_or_else(|| self.shared.health())
    }
}
