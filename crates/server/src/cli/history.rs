//! `talaria history`: what operators do to a history.

mod ndjson;

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Read as _, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Subcommand;
use talaria_boltdb::{DEFAULT_BUCKET, Source};
use talaria_transport::history::inspect::{self, Fault, Stat, Step};
use talaria_transport::history::{Directory, History, HistoryOptions, Imported, Imports};

use crate::{options, transport};

/// What `talaria history --help` adds.
const HELP: &str = "\
`stat`, `export` and `verify` only read and may be used while the hub runs; `import` and `repair` want
it stopped.

Examples:
  talaria history stat
  talaria history export --path /data/mercure.db > updates.ndjson
  talaria history import --path /data/mercure.db updates.ndjson";

/// The flags of `history`.
#[derive(clap::Args)]
#[command(after_help = HELP)]
pub struct Args {
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
unless the history has a newer one already; without a time, and in a database, it is as old as its import.")]
    Import(Import),
    /// Read everything and report what is not as it was written.
    #[command(after_help = "Exit code 0 when everything is whole, else 1.")]
    Verify(Place),
    /// Make a damaged history usable by giving up what cannot be read.
    #[command(after_help = "\
Without --yes it only says what it would give up. Positions and ids of what is left do not change; a
client that has not received what was given up starts behind it.")]
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
    /// Do it.
    #[arg(long)]
    yes: bool,
}

/// Runs a verb of `history`.
pub fn main(args: &Args) -> ExitCode {
    let done = match &args.action {
        Action::Stat(place) => stat(place),
        Action::Export(place) => export(place),
        Action::Import(args) => import(args),
        Action::Verify(place) => verify(place),
        Action::Repair(args) => repair(args),
    };
    done.unwrap_or_else(super::failure)
}

impl Place {
    fn directory(&self) -> Result<PathBuf, String> {
        let environment = super::environment()?;
        let path = self
            .path
            .clone()
            .unwrap_or_else(|| options::default_path(&|name| environment.get(name).cloned()));
        if !path.is_dir() {
            return Ok(transport::directory_of(&path));
        }
        let is_history = path.join("manifest").is_file()
            || path
                .extension()
                .is_some_and(|extension| extension == "talaria");
        if is_history {
            return Ok(path);
        }
        Err(format!(
            "--path {}: this directory holds no history\n  name the `path` of `transport bolt`, or a directory that ends in .talaria",
            path.display()
        ))
    }

    /// The history's directory, which must be there.
    fn existing(&self) -> Result<Arc<Directory>, String> {
        let directory = self.directory()?;
        if !directory.is_dir() {
            return Err(format!(
                "{}: there is no history\n  name it with --path, as `path` of `transport bolt` does",
                directory.display()
            ));
        }
        transport::open_directory(&directory)
    }
}

fn stat(place: &Place) -> Result<ExitCode, String> {
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
    } = inspect::stat(&*disk).map_err(|error| error.to_string())?;
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
    Ok(super::print(&text))
}

fn export(place: &Place) -> Result<ExitCode, String> {
    let disk = place.existing()?;
    let mut out = BufWriter::new(std::io::stdout().lock());
    let mut unwritten = None;
    let exported = inspect::export(&*disk, &mut |update| {
        let line = ndjson::encode(&update)?;
        out.write_all(line.as_bytes()).inspect_err(|error| {
            unwritten = Some(format!("standard output: {error}"));
        })
    });
    if let Some(unwritten) = unwritten {
        return Err(unwritten);
    }
    let faults = exported.map_err(|error| error.to_string())?;
    out.flush()
        .map_err(|error| format!("standard output: {error}"))?;
    for Fault {
        path, offset, what, ..
    } in &faults
    {
        super::say(&format!("warning: {path}: at offset {offset}: {what}"));
    }
    // What is lost is not in the export.
    let is_complete = faults.iter().all(|fault| fault.lost.is_none());
    Ok(if is_complete {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn verify(place: &Place) -> Result<ExitCode, String> {
    let disk = place.existing()?;
    let faults = inspect::verify(&*disk).map_err(|error| error.to_string())?;
    if faults.is_empty() {
        return Ok(super::print("everything is as it was written\n"));
    }
    let mut text = String::new();
    for Fault {
        path, offset, what, ..
    } in faults
    {
        text += &format!("{path}: at offset {offset}: {what}\n");
    }
    super::print(&text);
    Ok(ExitCode::FAILURE)
}

fn repair(args: &Repair) -> Result<ExitCode, String> {
    let disk = args.place.existing()?;
    let steps = inspect::repair(&*disk, args.yes).map_err(|error| error.to_string())?;
    if steps.is_empty() {
        return Ok(super::print("nothing is to be repaired\n"));
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
    Ok(super::print(&text))
}

fn import(args: &Import) -> Result<ExitCode, String> {
    let directory = args.place.directory()?;
    if args.bucket_name.is_some() && !is_database(&args.file) {
        return Err(format!(
            "--bucket-name: {} is not a database, and only a database has buckets\n  leave it out",
            args.file.display()
        ));
    }
    check_lines(&args.file)?;
    let disk = transport::open_directory(&directory)?;
    let options = HistoryOptions::new(Arc::new(transport::unix_milliseconds));
    if is_database(&args.file) {
        let bucket = args.bucket_name.as_deref().unwrap_or(DEFAULT_BUCKET);
        let source = Source::open(&args.file, bucket);
        let source = source.map_err(|error| error.to_string())?;
        if source.as_ref().is_some_and(|source| !source.has_bucket()) {
            return Err(format!(
                "{}: there is no bucket {:?}\n  name it with --bucket-name",
                args.file.display(),
                bucket
            ));
        }
        let history = transport::import(disk, options, source.as_ref())?;
        let dropped = source.map_or((0, 0), |source| {
            let summary = source.summary();
            (summary.dropped_fields, summary.skipped)
        });
        return Ok(super::print(&format!(
            "imported: {}, fields dropped: {}, entries unreadable: {}\n",
            history.imported(),
            dropped.0,
            dropped.1
        )));
    }
    let mut input: Option<Box<dyn BufRead>> = Some(if args.file == Path::new("-") {
        Box::new(BufReader::new(std::io::stdin()))
    } else {
        let file = File::open(&args.file);
        let file = file.map_err(|error| format!("{}: {error}", args.file.display()))?;
        Box::new(BufReader::new(file))
    });
    let name = args.file.display().to_string();
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
            // The last sequence number stays: it is that of a database.
            let imported = ndjson::decode(&line).map(|(update, time)| Imported {
                sequence: after,
                time,
                update,
            });
            Some(imported.map_err(|problem| at(problem).into()))
        });
        Ok(Box::new(lines) as Imports)
    };
    let history = History::open_importing(disk, options, Some(&mut lines));
    let history = history.map_err(|error| error.to_string())?;
    Ok(super::print(&format!("imported: {}\n", history.imported())))
}

/// Reads a file of lines to its end before any of it is appended: one that is wrong must not leave a
/// part behind.
fn check_lines(path: &Path) -> Result<(), String> {
    if path == Path::new("-") || is_database(path) {
        return Ok(());
    }
    let failed = |error: std::io::Error| format!("{}: {error}", path.display());
    let file = BufReader::new(File::open(path).map_err(failed)?);
    for (line, number) in file.lines().zip(1_u64..) {
        let line = line.map_err(failed)?;
        if !line.trim().is_empty() {
            ndjson::decode(&line)
                .map_err(|problem| format!("{}:{number}: {problem}", path.display()))?;
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
