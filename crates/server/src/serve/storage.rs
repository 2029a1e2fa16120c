//! Opens and closes what the configuration names as transport.

mod durability;
pub(crate) mod postgres;
mod redis;
pub(crate) mod shared;

use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use talaria_boltdb::Source;
use talaria_config::Error;
use talaria_config::settings::{HistorySettings, TransportSettings, directory_of};
use talaria_postgres::Rules;
use talaria_transport::history::{Directory, Disk, History, HistoryOptions, Imported, Imports};
use talaria_transport::shared::backend::BackendError;
use talaria_transport::shared::{Backend, Shared};
use talaria_transport::{Memory, Transport};
use tokio::sync::watch;
use tokio::task::spawn_blocking;

use self::postgres::PostgresLog;
use super::progress::Watched;

/// How long closing may take: a disk that does not answer must not keep the process alive.
const CLOSING: Duration = Duration::from_secs(1);

/// Where updates are kept, and how it is closed.
pub(crate) struct Storage {
    /// The transport, for the hub.
    pub transport: Arc<dyn Transport>,
    /// How it is left, if other nodes share it.
    leaving: Option<Leaving>,
    /// By which rules it takes what is published by SQL, if it does.
    rules: Option<watch::Sender<Rules>>,
    closed: Closed,
}

/// Removes the node from the members of a shared log.
type Leaving = Box<dyn FnOnce() -> Left + Send + Sync>;

/// Ends once the node is removed, or why it is not.
type Left = Pin<Box<dyn Future<Output = Result<(), BackendError>> + Send>>;

/// Disconnects when the log is closed, which is after the last holder has let go of the transport. What has no file
/// is closed from the beginning.
struct Closed(Receiver<()>);

impl Storage {
    /// Has what is published by SQL judged by these rules from now on.
    pub(crate) fn judge_by(&self, rules: Rules) {
        if let Some(of_log) = &self.rules {
            of_log.send_replace(rules);
        }
    }

    /// Closes the log, so that the next opening need not recover it. Gives up after a second: what was
    /// acknowledged is as durable as `sync` says without it. A shared log is left, so that the other nodes need not
    /// wait for the end of a lease.
    pub(crate) async fn close(self) {
        if let Some(leaving) = self.leaving {
            shared::leave(leaving(), CLOSING).await;
        }
        close(self.transport, self.closed).await;
    }
}

async fn close<T: Send + 'static>(transport: T, Closed(closed): Closed) {
    // A task that was cancelled may let go of the transport last, on a worker of the runtime, and then block it.
    // So a separate thread measures the time.
    spawn_blocking(move || drop(transport));
    let waiting = spawn_blocking(move || closed.recv_timeout(CLOSING));
    if matches!(waiting.await, Ok(Err(RecvTimeoutError::Timeout))) {
        tracing::warn!(
            name: "history_not_closed",
            seconds = CLOSING.as_secs(),
            "the history could not be closed in time; the next start reads its newest segment"
        );
    }
}

/// Opens the storage. The history waits for another process to let go of it, recovers, and imports; a shared log
/// waits for its server, at most for `patience` if it is given. What is published by SQL is judged by `rules`.
///
/// # Errors
///
/// The history or the database cannot be opened, or the server cannot be used.
pub(crate) async fn open(
    settings: TransportSettings,
    rules: Rules,
    patience: Option<Duration>,
) -> Result<Storage, Error> {
    let (held, closed) = channel();
    let mut leaving: Option<Leaving> = None;
    let mut of_log = None;
    let transport: Arc<dyn Transport> = match settings {
        TransportSettings::History(settings) => {
            let opening = spawn_blocking(move || open_history(&settings, held));
            Arc::new(opening.await.map_err(Error::from_cause)??)
        }
        TransportSettings::Memory(options) | TransportSettings::Local(options) => {
            Arc::new(Memory::open(options).map_err(Error::from_cause)?)
        }
        TransportSettings::Redis(settings) => {
            let opened = Arc::new(shared::open(&*settings, patience).await?);
            leaving = Some(left(&opened));
            opened
        }
        TransportSettings::Postgres(settings) => {
            let log = PostgresLog::new(*settings, rules);
            let opened = Arc::new(shared::open(&log, patience).await?);
            of_log = Some(log.rules());
            leaving = Some(left(&opened));
            opened
        }
    };
    Ok(Storage {
        transport,
        leaving,
        rules: of_log,
        closed: Closed(closed),
    })
}

fn left<B: Backend>(shared: &Arc<Shared<B>>) -> Leaving {
    let shared = Arc::clone(shared);
    Box::new(|| Box::pin(async move { shared.leave().await }))
}

/// Opens the history; `held` is dropped when its log is closed.
fn open_history(settings: &HistorySettings, held: Sender<()>) -> Result<History, Error> {
    let disk = open_directory(&directory_of(&settings.path))?;
    let source = Source::open(&settings.path, &settings.bucket_name);
    let source = source.map_err(Error::from_cause)?;
    let mut options = settings.options.clone();
    // The log owns its clock, and drops it when it is closed.
    let clock = options.clock;
    options.clock = Arc::new(move || {
        _ = &held;
        clock()
    });
    let (disk, progress) = Watched::new(disk, "opening the history", 1, true);
    let history = import(disk, options, source.as_ref());
    progress.end();
    history
}

/// Opens or creates the directory of a history.
///
/// # Errors
///
/// It cannot be created.
pub(crate) fn open_directory(path: &Path) -> Result<Arc<Directory>, Error> {
    let directory = Directory::open(path).map_err(|error| {
        Error::new(path.display().to_string())
            .caused_by(error)
            .remedy("let the hub write there, or give `transport bolt` another `path`")
    });
    directory.map(Arc::new)
}

/// Opens a history and appends the new updates of a database of the existing hub; one log line says so.
///
/// # Errors
///
/// The history or the database is in use or damaged.
pub(crate) fn import(
    disk: Arc<dyn Disk>,
    options: HistoryOptions,
    source: Option<&Source>,
) -> Result<History, Error> {
    let Some(source) = source else {
        return History::open(disk, options).map_err(Error::from_cause);
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
    let history = history.map_err(Error::from_cause)?;
    if source.has_bucket() && source.last_sequence() < imported_before {
        tracing::warn!(
            name: "import_refused",
            database = %source.path().display(),
            last_sequence = source.last_sequence(),
            imported_up_to = imported_before,
            "this is not the database that was imported before, so nothing of it is imported; give it a separate `path`"
        );
    }
    if !source.has_bucket() {
        tracing::warn!(
            name: "import_empty",
            database = %source.path().display(),
            "the database has no such bucket, so nothing is imported; see `bucket_name`"
        );
    }
    let summary = source.summary();
    tracing::info!(
        name: "imported",
        database = %source.path().display(),
        imported = history.imported(),
        fields_dropped = summary.dropped_fields,
        entries_unreadable = summary.skipped,
        first_unreadable = ?summary.first_skipped,
        "updates of the existing hub's database are in the history; the database is left as it is"
    );
    Ok(history)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A transport that is closed only once something is sent.
    struct Stalled {
        answers: Receiver<()>,
        _held: Sender<()>,
    }

    impl Drop for Stalled {
        fn drop(&mut self) {
            _ = self.answers.recv();
        }
    }

    /// The end of a hub does not wait for a disk that does not answer.
    #[tokio::test]
    async fn what_cannot_be_closed_is_not_waited_for() {
        let (answer, answers) = channel();
        let (held, closed) = channel();
        let stalled = Stalled {
            answers,
            _held: held,
        };
        close(stalled, Closed(closed)).await;
        // The runtime of the test waits for the thread that closes.
        answer.send(()).unwrap();
    }
}
