//! `talaria history import`: appends the updates of a file.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use talaria_boltdb::{DEFAULT_BUCKET, Source};
use talaria_config::Error;
use talaria_config::settings::unix_milliseconds;
use talaria_transport::history::{Directory, History, HistoryOptions, Imported, Imports};

use super::ndjson;
use super::place::Place;
use crate::cli::output;
use crate::serve::progress::Progress;
use crate::serve::storage;

/// The flags of `history import`.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    place: Place,
    /// The bucket, if the file is a database [default: updates].
    #[arg(long, value_name = "NAME")]
    bucket_name: Option<String>,
    /// The file; `-` for standard input.
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Imports it.
///
/// # Errors
/// The file or the history cannot be read.
pub(super) fn import(args: &Args) -> Result<ExitCode, Error> {
    let directory = args.place.directory()?;
    if args.bucket_name.is_some() && !is_database(&args.file) {
        return Err(Error::new(format!(
            "--bucket-name: {} is not a database, and only a database has buckets",
            args.file.display()
        ))
        .remedy("leave it out"));
    }
    check_lines(&args.file)?;
    let disk = storage::open_directory(&directory)?;
    let options = HistoryOptions::new(Arc::new(unix_milliseconds));
    if is_database(&args.file) {
        import_database(args, disk, options)
    } else {
        import_lines(&args.file, disk, options)
    }
}

fn import_database(
    args: &Args,
    disk: Arc<Directory>,
    options: HistoryOptions,
) -> Result<ExitCode, Error> {
    let bucket = args.bucket_name.as_deref().unwrap_or(DEFAULT_BUCKET);
    let source = Source::open(&args.file, bucket).map_err(Error::from_cause)?;
    if source.as_ref().is_some_and(|source| !source.has_bucket()) {
        return Err(Error::new(format!(
            "{}: there is no bucket {bucket:?}",
            args.file.display()
        ))
        .remedy("name it with --bucket-name"));
    }
    let progress = Progress::of_time("importing", true);
    progress.show_later();
    let history = storage::import(disk, options, source.as_ref())?;
    progress.end();
    let (dropped, unreadable) = source.map_or((0, 0), |source| {
        let summary = source.summary();
        (summary.dropped_fields, summary.skipped)
    });
    Ok(output::print(&format!(
        "imported: {}, fields dropped: {dropped}, entries unreadable: {unreadable}\n",
        history.imported()
    )))
}

fn import_lines(
    path: &Path,
    disk: Arc<Directory>,
    options: HistoryOptions,
) -> Result<ExitCode, Error> {
    let mut input: Option<Box<dyn BufRead>> = Some(if path == Path::new("-") {
        Box::new(BufReader::new(std::io::stdin()))
    } else {
        Box::new(BufReader::new(Counted::open(path, "importing")?))
    });
    let name = path.display().to_string();
    let mut lines = |after| {
        let name = name.clone();
        let lines = input.take().into_iter().flat_map(BufRead::lines);
        let lines = lines.zip(1_u64..).filter_map(move |(line, number)| {
            let at = |problem: String| format!("{name}:{number}: {problem}");
            let line = match line {
                Ok(line) if line.trim().is_empty() => return None,
                Ok(line) => line,
                Err(error) => return Some(Err(at(error.to_string()).into())),
            };
            // The last sequence number of a database stays what it was.
            let imported = ndjson::decode(&line).map(|(update, time)| Imported {
                sequence: after,
                time,
                update,
            });
            Some(imported.map_err(|problem| at(problem.to_string()).into()))
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

/// Reads a file of lines to its end before any of it is appended, so that a wrong line does not leave half of
/// the file in the history.
fn check_lines(path: &Path) -> Result<(), Error> {
    if path == Path::new("-") || is_database(path) {
        return Ok(());
    }
    let failed = |error| unreadable(path, error);
    let file = BufReader::new(Counted::open(path, "checking")?);
    for (line, number) in file.lines().zip(1_u64..) {
        let line = line.map_err(failed)?;
        if !line.trim().is_empty() {
            ndjson::decode(&line).map_err(|problem| {
                Error::new(format!("{}:{number}", path.display())).caused_by(problem)
            })?;
        }
    }
    Ok(())
}

/// Whether a file is a BoltDB: its first meta page has the magic number.
fn is_database(path: &Path) -> bool {
    let mut start = [0; 20];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut start));
    read.is_ok() && start[16..] == 0xED0C_DAED_u32.to_le_bytes()
}

/// A file whose reads move a bar.
struct Counted {
    file: File,
    progress: Arc<Progress>,
}

impl Counted {
    fn open(path: &Path, what: &'static str) -> Result<Self, Error> {
        let file = File::open(path).map_err(|error| unreadable(path, error))?;
        // A pipe has no length, and then the bar has none.
        let bytes = file.metadata().map_or(0, |about| about.len());
        let progress = Progress::of_bytes(what, bytes, true);
        Ok(Self { file, progress })
    }
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.progress.advance(read as u64);
        Ok(read)
    }
}

fn unreadable(path: &Path, error: io::Error) -> Error {
    Error::new(path.display().to_string())
        .caused_by(error)
        .remedy("name a readable file, or `-` for standard input")
}
