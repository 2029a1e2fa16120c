//! `talaria history`: what operators do with a history.

mod ndjson;

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Read as _, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Subcommand;
use talaria_boltdb::{DEFAULT_BUCKET, Source};
use talaria_config::settings::{directory_of, unix_milliseconds};
use talaria_config::{Error, options};
use talaria_transport::history::inspect::{self, Fault, Stat, Step};
use talaria_transport::history::{Directory, History, HistoryOptions, Imported, Imports};

use super::environment::environment;
use super::output;
use crate::serve::storage;

/// What `talaria history --help` adds.
const HELP: &str = "\
`stat`, `export` and `verify` only read and may be used while the hub runs; stop it before `import` and
`repair`.

Examples:
  talaria history stat
  talaria history export --path /data/mercure.db > updates.ndjson
  talaria history import --path /data/mercure.db updates.ndjson";

/// The flags of `history`.
#[derive(clap::Args)]
#[command(after_help = HELP)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Say what the history holds.
    Stat(Place),
    /// Print every kept update, oldest first, one JSON object a line.
    #[command(after_help = "\
Exit code 1 if damage has cost updates; standard error says where. Each line has `position`, `time` (milliseconds since 1970), `id`, `topics`, `private`, `data`, and
`type` and `retry` where the update has them. `talaria history import` reads the same.")]
    Export(Place),
    /// Append the updates of a file, with their ids.
    #[command(after_help = "\
The file is what `export` prints, or the database of the existing hub (BoltDB). Of a database, what was
imported before is not imported again; of an export, everything is. An update keeps the time of its line,
unless the history has a newer update already. Updates without a time, and those of a database, are as old as
their import.")]
    Import(Import),
    /// Read the whole history and report damage.
    #[command(after_help = "Exit code 0 if nothing is damaged, else 1.")]
    Verify(Place),
    /// Make a damaged history usable by giving up the updates that cannot be read.
    #[command(after_help = "\
Without --yes it only lists what it would give up. The positions and ids of the other updates do not
change; a client that has not received what was given up continues behind it.")]
    Repair(Repair),
}

#[derive(clap::Args)]
struct Place {
    /// The `path` of `transport bolt`, or the history's directory itself; without it the default of
    /// `talaria run`.
    #[arg(short, long, value_name = "PATH")]
    path: Option<PathBuf>,
}

#[derive(clap::Args)]
struct Import {
    #[command(flatten)]
    place: Place,
    /// The bucket, if the file is a database [default: updates].
    #[arg(long, value_name = "NAME")]
    bucket_name: Option<String>,
    /// The file; `-` for standard input.
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

#[derive(clap::Args)]
struct Repair {
    #[command(flatten)]
    place: Place,
    /// Make the changes instead of only listing them.
    #[arg(long)]
    yes: bool,
}

/// Runs a verb of `history`.
pub(super) fn main(args: &Args) -> ExitCode {
    let done = match &args.action {
        Action::Stat(place) => stat(place),
        Action::Export(place) => export(place),
        Action::Import(args) => import(args),
        Action::Verify(place) => verify(place),
        Action::Repair(args) => repair(args),
    };
    done.unwrap_or_else(output::failure)
}

impl Place {
    fn directory(&self) -> Result<PathBuf, Error> {
        let environment = environment()?;
        let path = self
            .path
            .clone()
            .unwrap_or_else(|| options::default_path(&|name| environment.get(name).cloned()));
        if !path.is_dir() {
            return Ok(directory_of(&path));
        }
        let is_history = path.join("manifest").is_file()
            || path
                .extension()
                .is_some_and(|extension| extension == "talaria");
        if is_history {
            return Ok(path);
        }
        Err(Error::new(format!(
            "--path {}: this directory holds no history",
            path.display()
        ))
        .remedy("name the `path` of `transport bolt`, or a directory that ends in .talaria"))
    }

    /// The history's directory, which must exist.
    fn existing(&self) -> Result<Arc<Directory>, Error> {
        let directory = self.directory()?;
        if !directory.is_dir() {
            return Err(
                Error::new(format!("{}: there is no history", directory.display()))
                    .remedy("name it with --path, as `path` of `transport bolt` does"),
            );
        }
        storage::open_directory(&directory)
    }
}

fn stat(place: &Place) -> Result<ExitCode, Error> {
    let disk = place.existing()?;
    let Stat {
        format,
        segments,
        bytes,
        runs,
        floor,
        head,
        updates,
        times,
        imported,
        gaps,
        faults,
    } = inspect::stat(&*disk).map_err(Error::from_cause)?;
    let mut text = format!(
        "format: {format}\nsegments: {segments}\nbytes: {bytes}\nruns: {runs}\ndeleted up to position: {floor}\nnewest position: {head}\nupdates: {updates}\n"
    );
    if let Some((oldest, newest)) = times {
        text += &format!("oldest (ms since 1970): {oldest}\nnewest (ms since 1970): {newest}\n");
    }
    text += &format!("last imported sequence number: {imported}\n");
    for (first, last) in gaps {
        text += &format!("given up by a repair: positions {first} to {last}\n");
    }
    if faults > 0 {
        text += &format!("damaged places: {faults}; `talaria history verify` shows them\n");
    }
    Ok(output::print(&text))
}

fn export(place: &Place) -> Result<ExitCode, Error> {
    let disk = place.existing()?;
    let mut out = BufWriter::new(std::io::stdout().lock());
    let mut unwritten = None;
    let exported = inspect::export(&*disk, &mut |update| {
        let line = ndjson::encode(&update)?;
        out.write_all(line.as_bytes()).map_err(|error| {
            let kind = error.kind();
            unwritten = Some(output::not_written(error));
            kind.into()
        })
    });
    if let Some(unwritten) = unwritten {
        return Err(unwritten);
    }
    let faults = exported.map_err(Error::from_cause)?;
    out.flush().map_err(output::not_written)?;
    for Fault {
        path, offset, what, ..
    } in &faults
    {
        output::say(&format!("warning: {path}: at offset {offset}: {what}"));
    }
    // The export lacks what is lost.
    let is_complete = faults.iter().all(|fault| fault.lost.is_none());
    Ok(if is_complete {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn verify(place: &Place) -> Result<ExitCode, Error> {
    let disk = place.existing()?;
    let faults = inspect::verify(&*disk).map_err(Error::from_cause)?;
    if faults.is_empty() {
        return Ok(output::print("everything is as it was written\n"));
    }
    let mut text = String::new();
    for Fault {
        path, offset, what, ..
    } in faults
    {
        text += &format!("{path}: at offset {offset}: {what}\n");
    }
    output::print(&text);
    Ok(ExitCode::FAILURE)
}

fn repair(args: &Repair) -> Result<ExitCode, Error> {
    let disk = args.place.existing()?;
    let steps = inspect::repair(&*disk, args.yes).map_err(Error::from_cause)?;
    if steps.is_empty() {
        return Ok(output::print("nothing is to be repaired\n"));
    }
    let mut text = String::new();
    for Step { what, lost, .. } in steps {
        let lost = match lost {
            Some((first, last)) => format!("; positions {first} to {last} are lost"),
            None => String::new(),
        };
        let tense = if args.yes { "did" } else { "would" };
        text += &format!("{tense} {what}{lost}\n");
    }
    if !args.yes {
        text += "nothing was changed; copy the directory, then do it with --yes\n";
    }
    Ok(output::print(&text))
}

fn import(args: &Import) -> Result<ExitCode, Error> {
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
    args: &Import,
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
    let history = storage::import(disk, options, source.as_ref())?;
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
        let file = File::open(path);
        let file = file.map_err(|error| Error::new(path.display().to_string()).caused_by(error))?;
        Box::new(BufReader::new(file))
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
    let failed = |error: std::io::Error| Error::new(path.display().to_string()).caused_by(error);
    let file = BufReader::new(File::open(path).map_err(failed)?);
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
