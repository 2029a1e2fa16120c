//! `talaria history`: what operators do with a history.

mod import;
mod ndjson;
mod place;
mod stat;

use std::io::{self, BufWriter, IsTerminal as _, Write};
use std::process::ExitCode;

use clap::Subcommand;
use talaria_config::Error;
use talaria_transport::history::inspect::{self, Fault, Step};

use self::place::Place;
use super::output;
use crate::serve::progress::Watched;

/// What `talaria history --help` adds.
const HELP: &str = "\
`stat`, `export` and `verify` only read and may be used while the hub runs; stop it before `repair` and an
`import` into its history.

Examples:
  talaria history stat
  talaria history export --path /data/mercure.db > updates.ndjson
  talaria history import --path /data/mercure.db updates.ndjson
  talaria history import --redis redis://cache:6379 /data/mercure.db
  talaria history import --postgres postgres://hub@db.example/app /data/mercure.db";

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
    #[command(after_help = stat::HELP)]
    Stat(stat::Args),
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
their import.

With --redis or --postgres it may be a history too, also one that a hub uses. An update whose id the log has is left out, so
the same import can be repeated, and goes on where an earlier one ended. Import before nodes use the log: their
subscribers receive what is imported as new.")]
    Import(import::Args),
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
        Action::Stat(args) => stat::stat(args),
        Action::Export(place) => export(place),
        Action::Import(args) => import::import(args),
        Action::Verify(place) => verify(place),
        Action::Repair(args) => repair(args),
    };
    done.unwrap_or_else(output::failure)
}

fn export(place: &Place) -> Result<ExitCode, Error> {
    // Lines and a bar would mix on one terminal; damage is found in a first pass.
    let is_alone = !io::stdout().is_terminal();
    let (disk, progress) = Watched::new(place.existing()?, "exporting", 2, is_alone);
    let mut out = BufWriter::new(io::stdout().lock());
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
    progress.end();
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
    let (disk, progress) = Watched::new(place.existing()?, "verifying", 1, true);
    let faults = inspect::verify(&*disk).map_err(Error::from_cause)?;
    progress.end();
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
    let (disk, progress) = Watched::new(args.place.existing()?, "repairing", 1, true);
    let steps = inspect::repair(&*disk, args.yes).map_err(Error::from_cause)?;
    progress.end();
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
