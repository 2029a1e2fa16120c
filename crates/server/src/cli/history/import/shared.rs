//! Imports into a log that several nodes share.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use talaria_boltdb::Source;
use talaria_config::settings::unix_milliseconds;
use talaria_config::{Error, options};
use talaria_postgres::Rules;
use talaria_protocol::event;
use talaria_transport::history::inspect::{self, Exported, Fault};
use talaria_transport::shared::backend::BackendError;
use talaria_transport::shared::{Backend, Import, Imported};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use super::database::left_out;
use super::lines::{self, Line};
use crate::cli::environment::environment;
use crate::cli::output;
use crate::cli::runtime::block_on;
use crate::serve::progress::{Progress, Watched};
use crate::serve::storage;
use crate::serve::storage::postgres::PostgresLog;
use crate::serve::storage::shared::Log;

/// The most updates of a batch, and the bytes after which it takes no more.
const BATCH: (usize, usize) = (500, 512 << 10);
/// The updates that are read ahead.
const AHEAD: usize = 1_000;

/// Takes each update, or says why there are no more.
type Sender = mpsc::Sender<Result<Line, Error>>;

/// The log that takes the updates, by its URL.
#[derive(Debug, Clone, Copy)]
pub(super) enum Target<'a> {
    /// On Redis.
    Redis(&'a str),
    /// On PostgreSQL.
    Postgres(&'a str),
}

/// Imports an export.
///
/// # Errors
/// The file cannot be read, or the server does not take it.
pub(super) fn of_lines(target: Target<'_>, path: &Path) -> Result<ExitCode, Error> {
    let lines = lines::read(path)?;
    let (done, ()) = run(target, move |updates| {
        for line in lines {
            if updates.blocking_send(line.map_err(Error::new)).is_err() {
                return;
            }
        }
    })?;
    Ok(say(done, ""))
}

/// Imports a database of the existing hub.
///
/// # Errors
/// The database cannot be read, or the server does not take it.
pub(super) fn of_database(target: Target<'_>, source: Option<Source>) -> Result<ExitCode, Error> {
    let progress = Progress::of_time("importing", true);
    progress.show_later();
    let (done, source) = run(target, move |updates| {
        for entry in source.iter().flat_map(|source| source.entries(0)) {
            let update = entry.map(|entry| (entry.update, None));
            if updates
                .blocking_send(update.map_err(Error::from_cause))
                .is_err()
            {
                break;
            }
        }
        source
    })?;
    progress.end();
    Ok(say(done, &left_out(source.as_ref())))
}

/// Imports a history, also one that a hub uses.
///
/// # Errors
/// The history cannot be read, or the server does not take it.
pub(super) fn of_history(target: Target<'_>, directory: &Path) -> Result<ExitCode, Error> {
    let directory = storage::open_directory(directory)?;
    let (disk, progress) = Watched::new(directory, "importing", 2, true);
    let (done, faults) = run(target, move |updates| {
        let exported = inspect::export(&*disk, &mut |exported| {
            let sent = updates.blocking_send(line(&exported));
            sent.map_err(|_| std::io::ErrorKind::Interrupted.into())
        });
        match exported {
            Ok(faults) => faults,
            Err(error) => {
                // The import has ended, if this is not read.
                _ = updates.blocking_send(Err(Error::from_cause(error)));
                Vec::new()
            }
        }
    })?;
    progress.end();
    let is_complete = faults.iter().all(|fault| fault.lost.is_none());
    for Fault {
        path, offset, what, ..
    } in &faults
    {
        output::say(&format!("warning: {path}: at offset {offset}: {what}"));
    }
    let code = say(done, "");
    Ok(if is_complete { code } else { ExitCode::FAILURE })
}

fn line(exported: &Exported<'_>) -> Result<Line, Error> {
    let Some((mut update, _)) = event::decode_update(exported.event) else {
        let problem = format!(
            "the update at position {} is not an event",
            exported.position
        );
        return Err(Error::new(problem).remedy("see `talaria history verify`"));
    };
    update.id = Some(exported.event_id.to_owned());
    update.topics = exported
        .topics
        .iter()
        .map(|topic| (*topic).to_owned())
        .collect();
    update.private = exported.private;
    Ok((update, Some(exported.time)))
}

/// Imports what `feed` sends from a thread; returns what it returns too.
fn run<T: Send + 'static>(
    target: Target<'_>,
    feed: impl FnOnce(&Sender) -> T + Send + 'static,
) -> Result<(Imported, T), Error> {
    let environment = environment()?;
    let environment = |name: &str| environment.get(name).cloned();
    match target {
        Target::Redis(url) => {
            let (settings, notices) = options::redis_of_flag("--redis", url, &environment)?;
            output::warn(&notices);
            into(&settings, feed)
        }
        Target::Postgres(url) => {
            let (settings, notices) = options::postgres_of_flag("--postgres", url, &environment)?;
            output::warn(&notices);
            // An import leaves to the nodes what is published by SQL.
            into(&PostgresLog::new(settings, Rules::default()), feed)
        }
    }
}

fn into<L: Log, T: Send + 'static>(
    log: &L,
    feed: impl FnOnce(&Sender) -> T + Send + 'static,
) -> Result<(Imported, T), Error> {
    let place = log.place();
    block_on(async {
        let backend = storage::shared::backend(log).await?;
        let import = Import::begin(Arc::new(backend)).await;
        let import = import.map_err(|error| failed(&place, &error))?;
        if import.nodes() > 0 {
            output::say(&format!(
                "warning: {} nodes use this log, or were not stopped in an orderly way: subscribers of a running node receive what is imported as new",
                import.nodes()
            ));
        }
        let (sender, updates) = mpsc::channel(AHEAD);
        let feeding = spawn_blocking(move || feed(&sender));
        let done = append_all(import, updates, &place).await?;
        let fed = feeding.await.map_err(Error::from_cause)?;
        Ok((done, fed))
    })
}

async fn append_all<B: Backend>(
    mut import: Import<B>,
    mut updates: mpsc::Receiver<Result<Line, Error>>,
    place: &str,
) -> Result<Imported, Error> {
    let mut batch = Vec::new();
    let mut bytes = 0;
    while let Some(update) = updates.recv().await {
        let (update, time) = update?;
        bytes += update.data.len();
        batch.push((update, time.unwrap_or_else(unix_milliseconds)));
        if batch.len() >= BATCH.0 || bytes >= BATCH.1 {
            bytes = 0;
            let appended = import.append(std::mem::take(&mut batch)).await;
            appended.map_err(|error| failed(place, &error))?;
        }
    }
    if !batch.is_empty() {
        let appended = import.append(batch).await;
        appended.map_err(|error| failed(place, &error))?;
    }
    let done = import.end().await;
    done.map_err(|error| failed(place, &error))
}

fn failed(place: &str, error: &BackendError) -> Error {
    let problem = format!("the server {place} does not take the updates: {error}");
    let said = Error::new(problem);
    match error {
        BackendError::Fatal { remedy, .. } => said.remedy(remedy.as_str()),
        _ => said.remedy("run the same command again: what is imported is not imported twice"),
    }
}

fn say(done: Imported, more: &str) -> ExitCode {
    let Imported {
        stored,
        known,
        was_interrupted,
    } = done;
    let code = output::print(&format!(
        "imported: {stored}, left out because the log has their ids: {known}{more}\n"
    ));
    if !was_interrupted {
        return code;
    }
    output::say(
        "warning: the server was restarted or replaced meanwhile, and may have lost some of them\n  run the same command again: what is imported is not imported twice",
    );
    ExitCode::FAILURE
}
