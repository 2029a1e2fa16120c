//! A history of many segments: what the look-up of an unknown id costs.

use talaria_transport::Transport;

use super::args::HistoryArgs;
use super::lookups;
use super::scratch::Scratch;
use super::store::{filling, open, options, start, topic, update};
use crate::clock::{ms, now_ns};
use crate::error::Problem;
use crate::print;
use crate::process::Usage;

/// Updates of each segment, all with ids that their publisher chose.
const UPDATES: u64 = 100;

/// Fills the segments, and times the first look-up and later ones.
///
/// # Errors
/// When the history fails.
pub(crate) async fn measure(
    segments: u64,
    args: &HistoryArgs,
    scratch: &Scratch,
) -> Result<(), Problem> {
    let path = scratch.join("segments");
    for segment in 0..segments {
        // Each opening begins a segment.
        let history = open(&path, filling())?;
        start(&history);
        let updates = (0..UPDATES).map(|number| {
            let id = format!("urn:example:{segment}:{number}");
            update(topic(number), args.payload, Some(id))
        });
        let appended = history.append_all(updates.collect()).await;
        appended.map_err(Problem::history)?;
    }
    let history = open(&path, options())?;
    let before = Usage::own()?.resident;
    let begun = now_ns();
    let first = history.position_of("urn:example:unknown").await;
    first.map_err(Problem::history)?;
    print::line(format_args!(
        "first look-up of an unknown id among {segments} segments of {UPDATES} chosen ids: {:.1} ms, memory grown by {} KiB",
        ms(now_ns() - begun),
        Usage::own()?.resident.saturating_sub(before) >> 10
    ))?;
    lookups::time_unknown(&history).await
}
