//! `talaria history import`: appends the updates of a file, to a history or to a log that several nodes share.

mod database;
mod lines;
mod shared;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use talaria_config::Error;
use talaria_config::settings::{directory_of, unix_milliseconds};
use talaria_transport::history::{Directory, History, HistoryOptions, Imported, Imports};

use self::shared::Target;
use super::place::{Place, is_history};
use crate::cli::output;
use crate::serve::progress::Progress;
use crate::serve::storage;

/// The flags of `history import`.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    place: Place,
    /// Import into the log that hubs with `transport redis` and this `url` share, instead of a history on disk.
    /// {file.PATH} and {env.NAME} are replaced.
    #[arg(long, value_name = "URL", conflicts_with = "path")]
    redis: Option<String>,
    /// The same for hubs with `transport postgres`: a URL or `host=…` pairs, as its `url`, with `schema` as a parameter
    /// if it is another one.
    #[arg(long, value_name = "URL", conflicts_with_all = ["path", "redis"])]
    postgres: Option<String>,
    /// The bucket, if the file is a database [default: updates].
    #[arg(long, value_name = "NAME")]
    bucket_name: Option<String>,
    /// An export, `-` for standard input; or a database; or, with --redis or --postgres, the `path` of
    /// `transport bolt`.
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Imports it.
///
/// # Errors
/// The file or the history cannot be read.
pub(super) fn import(args: &Args) -> Result<ExitCode, Error> {
    if let Some(target) = target(args) {
        return match source(args)? {
            Contents::History(directory) => shared::of_history(target, &directory),
            Contents::Database => shared::of_database(
                target,
                database::open(&args.file, args.bucket_name.as_deref())?,
            ),
            Contents::Lines => {
                lines::check(&args.file)?;
                shared::of_lines(target, &args.file)
            }
        };
    }
    let directory = args.place.directory()?;
    let is_database = database::is_one(&args.file);
    if !is_database {
        refuse_bucket(args)?;
        lines::check(&args.file)?;
    }
    let disk = storage::open_directory(&directory)?;
    let options = HistoryOptions::new(Arc::new(unix_milliseconds));
    if is_database {
        import_database(args, disk, options)
    } else {
        import_lines(&args.file, disk, options)
    }
}

/// The shared log that takes the updates, if one is named.
fn target(args: &Args) -> Option<Target<'_>> {
    let redis = args.redis.as_deref().map(Target::Redis);
    redis.or(args.postgres.as_deref().map(Target::Postgres))
}

/// What is imported.
enum Contents {
    History(PathBuf),
    Database,
    Lines,
}

fn source(args: &Args) -> Result<Contents, Error> {
    let file = &args.file;
    let beside = directory_of(file);
    if file.is_dir() && is_history(file) {
        refuse_bucket(args)?;
        return Ok(Contents::History(file.clone()));
    }
    // The hub has imported the database into the history beside it, and has gone on there.
    if !lines::is_standard_input(file) && args.bucket_name.is_none() && beside.is_dir() {
        output::say(&format!("importing the history {}", beside.display()));
        return Ok(Contents::History(beside));
    }
    if database::is_one(file) {
        return Ok(Contents::Database);
    }
    refuse_bucket(args)?;
    Ok(Contents::Lines)
}

fn refuse_bucket(args: &Args) -> Result<(), Error> {
    match args.bucket_name {
        None => Ok(()),
        Some(_) => Err(Error::new(format!(
            "--bucket-name: {} is not a database, and only a database has buckets",
            args.file.display()
        ))
        .remedy("leave it out")),
    }
}

fn import_database(
    args: &Args,
    disk: Arc<Directory>,
    options: HistoryOptions,
) -> Result<ExitCode, Error> {
    let source = database::open(&args.file, args.bucket_name.as_deref())?;
    let progress = Progress::of_time("importing", true);
    progress.show_later();
    let history = storage::import(disk, options, source.as_ref())?;
    progress.end();
    Ok(output::print(&format!(
        "imported: {}{}\n",
        history.imported(),
        database::left_out(source.as_ref())
    )))
}

fn import_lines(
    path: &Path,
    disk: Arc<Directory>,
    options: HistoryOptions,
) -> Result<ExitCode, Error> {
    let mut input = Some(lines::read(path)?);
    let mut lines = |after| {
        let lines = input.take().into_iter().flatten().map(move |line| {
            // The last sequence number of a database stays what it was.
            line.map(|(update, time)| Imported {
                sequence: after,
                time,
                update,
            })
            .map_err(Into::into)
        });
        Ok(Box::new(lines) as Imports)
    };
    let history = History::open_importing(disk, options, Some(&mut lines));
    let history = history.map_err(Error::from_cause)?;
    Ok(output::print(&format!(
        "imported: {}\n",
        history.imported()
    )))
}
