//! What a history occupies that has deleted most of its updates.

use talaria_transport::{Lookup, Transport};

use super::args::HistoryArgs;
use super::lookups;
use super::scratch::{Scratch, segment_bytes};
use super::store::{fill, filling, open, options, start, topic, update};
use crate::error::Problem;
use crate::print;

/// How many updates the history keeps.
const KEPT: u64 = 10_000;

/// Compares a history with a bound with one that has only ever stored as many updates.
///
/// # Errors
/// When the history fails.
pub(crate) async fn measure(args: &HistoryArgs, scratch: &Scratch) -> Result<(), Problem> {
    let path = scratch.join("retained");
    let mut keeping = filling();
    keeping.size = Some(KEPT);
    let history = open(&path, keeping)?;
    start(&history);
    let first = history.append(update(topic(0), args.payload, None)).await;
    let first = first.map_err(Problem::history)?.event_id;
    fill(&history, args.updates, args.payload, args.topics).await?;
    let is_deleted = |lookup: &Lookup| *lookup == Lookup::Deleted;
    lookups::time(&history, "deleted", |_| first.clone(), is_deleted).await?;
    drop(history);
    let occupied = segment_bytes(&path);

    let path = scratch.join("live");
    let history = open(&path, options())?;
    start(&history);
    fill(&history, KEPT, args.payload, args.topics).await?;
    drop(history);
    let live = segment_bytes(&path);
    print::line(format_args!(
        "with size {KEPT} after {} updates: {:.2} times the live bytes",
        args.updates,
        occupied as f64 / live.max(1) as f64
    ))?;
    Ok(())
}
