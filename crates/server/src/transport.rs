//! Opens what the configuration names as transport.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use talaria_boltdb::Source;
use talaria_hub::clock::{Clock as _, SystemClock};
use talaria_transport::history::{Directory, History, HistoryOptions, Imported, Imports};
use talaria_transport::{Memory, MemoryOptions, Transport};

use crate::config::settings::{HistorySettings, TransportSettings};

/// Opens a transport. Blocks: the history waits for another process to let go of it, recovers, and
/// imports.
///
/// # Errors
///
/// What is wrong, and the remedy.
pub fn open(settings: &TransportSettings) -> Result<Arc<dyn Transport>, String> {
    let (max_bytes, mut options) = match settings {
        TransportSettings::History(settings) => return open_history(settings),
        TransportSettings::Memory {
            size, max_bytes, ..
        } => {
            let mut options = MemoryOptions::default();
            options.size = *size;
            (*max_bytes, options)
        }
        TransportSettings::Local { max_bytes } => (*max_bytes, MemoryOptions::local()),
    };
    options.max_bytes = usize::try_from(max_bytes).unwrap_or(usize::MAX);
    let memory = Memory::open(options).map_err(|error| error.to_string())?;
    Ok(Arc::new(memory))
}

/// How long closing may take: a disk that does not answer must not keep the process alive.
const CLOSING: Duration = Duration::from_secs(1);

/// Closes a transport once nobody else holds it, so that the next opening need not recover it. Gives
/// up after a second: what was acknowledged is as durable as `sync` says without it.
pub async fn close<T: ?Sized + Send + Sync + 'static>(transport: Arc<T>) {
    const LOOK: Duration = Duration::from_millis(5);
    let closed = async {
        // Tasks that were cancelled let go of it when the runtime comes by for them.
        while Arc::strong_count(&transport) > 1 {
            tokio::time::sleep(LOOK).await;
        }
        let closing = tokio::task::spawn_blocking(move || drop(transport));
        if let Err(error) = closing.await {
            tracing::error!(%error, "closing the history panicked");
        }
    };
    if tokio::time::timeout(CLOSING, closed).await.is_err() {
        tracing::warn!(
            seconds = CLOSING.as_secs(),
            "the history could not be closed in time; the next start reads its newest segment"
        );
    }
}

/// The directory that holds the history of a `path` (B-250).
pub fn directory_of(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".talaria");
    PathBuf::from(name)
}

fn open_history(settings: &HistorySettings) -> Result<Arc<dyn Transport>, String> {
    let disk = open_directory(&directory_of(&settings.path))?;
    let source = Source::open(&settings.path, &settings.bucket_name);
    let source = source.map_err(|error| error.to_string())?;
    let history = import(disk, options(settings), source.as_ref())?;
    Ok(Arc::new(history))
}

/// Opens or creates the directory of a history.
///
/// # Errors
///
/// When it cannot be created.
pub fn open_directory(path: &Path) -> Result<Arc<Directory>, String> {
    let directory = Directory::open(path).map_err(|error| {
        format!(
            "{}: {error}\n  let the hub write there, or give `transport bolt` another `path`",
            path.display()
        )
    });
    directory.map(Arc::new)
}

/// Opens a history and appends what a database of the existing hub has that is new; one log line
/// says so.
///
/// # Errors
///
/// When the history is in use or damaged, or the database is.
pub fn import(
    disk: Arc<Directory>,
    options: HistoryOptions,
    source: Option<&Source>,
) -> Result<History, String> {
    let Some(source) = source else {
        return History::open(disk, options).map_err(|error| error.to_string());
    };
    let mut imported_before = 0;
    let mut entries = |after| {
        imported_before = after;
        let entries = source.entries(after).map(|entry| {
            let entry = entry?;
            Ok(Imported {
                sequence: entry.sequence,
                time: None,
                update: entry.update,
            })
        });
        Ok(Box::new(entries) as Imports)
    };
    let history = History::open_importing(disk, options, Some(&mut entries));
    let history = history.map_err(|error| error.to_string())?;
    if source.has_bucket() && source.last_sequence() < imported_before {
        tracing::warn!(
            database = %source.path().display(),
            last_sequence = source.last_sequence(),
            imported_up_to = imported_before,
            "this is another database than the one that was imported before, so nothing of it is imported; give it a `path` of its own"
        );
    }
    if !source.has_bucket() {
        tracing::warn!(
            database = %source.path().display(),
            "the database has no such bucket, so nothing is imported; see `bucket_name`"
        );
    }
    let summary = source.summary();
    tracing::info!(
        database = %source.path().display(),
        imported = history.imported(),
        fields_dropped = summary.dropped_fields,
        entries_unreadable = summary.skipped,
        first_unreadable = ?summary.first_skipped,
        "updates of the existing hub's database are in the history; the database is left as it is"
    );
    Ok(history)
}

fn options(settings: &HistorySettings) -> HistoryOptions {
    let mut options = HistoryOptions::new(Arc::new(unix_milliseconds));
    options.size = settings.size;
    options.max_bytes = settings.max_bytes;
    options.max_age = settings.max_age;
    options.sync = settings.sync;
    options.ring_bytes = usize::try_from(settings.ring_bytes).unwrap_or(usize::MAX);
    options
}

/// The time of day as the history wants it.
pub fn unix_milliseconds() -> u64 {
    (SystemClock.unix_time().seconds() * 1_000.0) as u64
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::mpsc::{Receiver, channel};

    use super::*;

    /// Closing it returns once something is sent.
    struct Stalled(Mutex<Receiver<()>>);

    impl Drop for Stalled {
        fn drop(&mut self) {
            _ = self.0.get_mut().unwrap().recv();
        }
    }

    /// The end of a hub does not wait for a disk that does not answer.
    #[tokio::test]
    async fn what_cannot_be_closed_is_not_waited_for() {
        let (answer, answers) = channel();
        close(Arc::new(Stalled(Mutex::new(answers)))).await;
        // The runtime of the test waits for the thread that closes.
        answer.send(()).unwrap();
    }
}
