//! The history: a durable ordered log in segment files (design, "Transports").

mod disk;
mod error;
mod options;

use std::sync::Arc;

use talaria_protocol::Update;

pub use self::disk::{Directory, Disk, File, Space};
pub use self::error::OpenError;
pub use self::options::{HistoryOptions, SyncMode, UnixMillis};

/// The embedded default transport: what it acknowledged is on the disk.
pub struct History {}

/// An update of another store, to be appended once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// Its sequence number there; never decreasing.
    pub sequence: u64,
    /// The update, with its id.
    pub update: Update,
}

/// Updates of another store, in order, up to the first one that cannot be read, whose reason and
/// remedy come instead.
pub type Importing = Box<dyn Iterator<Item = Result<Imported, String>>>;

/// Reads another store: called with the sequence number of the last update that was imported.
pub type ImportFrom<'a> = &'a mut dyn FnMut(u64) -> Result<Importing, String>;

impl History {
    /// Opens a history, or creates it. Whatever is torn is cut and on the disk when this returns.
    ///
    /// Blocks; waits up to five seconds for another process to let go of it.
    ///
    /// # Errors
    /// When it is in use, damaged or unreadable.
    pub fn open(disk: Arc<dyn Disk>, options: HistoryOptions) -> Result<Self, OpenError> {
        Self::open_importing(disk, options, None)
    }

    /// The same, and appends what another store has that was not imported before.
    ///
    /// # Errors
    /// The same, and when the other store cannot be read.
    pub fn open_importing(
        disk: Arc<dyn Disk>,
        options: HistoryOptions,
        import: Option<ImportFrom<'_>>,
    ) -> Result<Self, OpenError> {
        drop((disk, options, import));
        Err(OpenError::Import("not yet".to_owned()))
    }

    /// How many updates the opening imported.
    pub fn imported(&self) -> u64 {
        0
    }
}
