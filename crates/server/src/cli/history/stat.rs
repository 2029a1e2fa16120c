//! `talaria history stat`: what a history holds.

use std::process::ExitCode;

use serde_json::json;
use talaria_config::Error;
use talaria_transport::history::inspect::{self, Stat};

use crate::cli::{output, when};
use crate::serve::clock;
use crate::serve::progress::Watched;

use super::place::Place;

/// What `talaria history stat --help` adds.
pub(super) const HELP: &str = "\
With --json, one object with exact numbers, whose names stay: `format`, `segments`, `bytes`, `runs`, `updates`,
`deleted_up_to`, `newest_position`, `oldest_time` and `newest_time` (milliseconds since 1970, `null` without updates),
`last_imported`, `given_up` (a list of `[first, last]` positions) and `damaged_places`.";

/// The flags of `history stat`.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    place: Place,
    /// Print one JSON object with exact numbers.
    #[arg(long)]
    json: bool,
}

/// Prints it.
pub(super) fn stat(args: &Args) -> Result<ExitCode, Error> {
    // The numbers need two passes.
    let (disk, progress) = Watched::new(args.place.existing()?, "reading", 2, true);
    let stat = inspect::stat(&*disk).map_err(Error::from_cause)?;
    progress.end();
    Ok(output::print(&match args.json {
        true => format!("{}\n", exact(&stat)),
        false => shown(&stat, clock::unix_now()),
    }))
}

fn exact(stat: &Stat) -> serde_json::Value {
    let given_up: Vec<_> = stat
        .gaps
        .iter()
        .map(|(first, last)| [first.0, last.0])
        .collect();
    json!({
        "format": stat.format,
        "segments": stat.segments,
        "bytes": stat.bytes,
        "runs": stat.runs,
        "updates": stat.updates,
        "deleted_up_to": stat.floor.0,
        "newest_position": stat.head.0,
        "oldest_time": stat.times.map(|(oldest, _)| oldest),
        "newest_time": stat.times.map(|(_, newest)| newest),
        "last_imported": stat.imported,
        "given_up": given_up,
        "damaged_places": stat.faults,
    })
}

fn shown(stat: &Stat, now: f64) -> String {
    let number = when::number;
    let mut text = format!("updates: {}\n", number(stat.updates));
    if let Some((oldest, newest)) = stat.times {
        #[expect(clippy::cast_precision_loss, reason = "times are shown in seconds")]
        let moment = |milliseconds: u64| when::moment(milliseconds as f64 / 1_000.0, now);
        text += &format!("oldest: {}\nnewest: {}\n", moment(oldest), moment(newest));
    }
    text += &format!(
        "size: {} in {} segments\nformat: {}\nopened for writing: {} times\ndeleted up to position: {}\nnewest position: {}\n",
        when::bytes(stat.bytes),
        number(stat.segments),
        stat.format,
        number(stat.runs),
        number(stat.floor.0),
        number(stat.head.0),
    );
    if stat.imported > 0 {
        text += &format!(
            "imported from a database: up to its sequence number {}\n",
            number(stat.imported)
        );
    }
    for (first, last) in &stat.gaps {
        text += &format!(
            "given up by a repair: positions {} to {}\n",
            number(first.0),
            number(last.0)
        );
    }
    if stat.faults > 0 {
        text += &format!(
            "damaged places: {}; `talaria history verify` shows them\n",
            number(stat.faults)
        );
    }
    text
}
