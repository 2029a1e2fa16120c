//! A history of many segments: what an id costs that a client makes up.

use std::process;

use talaria_transport::history::SyncMode;
use talaria_transport::{Lookup, Transport};

use super::{Scratch, ms, open, options, start, stored, topic, update};
use crate::args::HistoryArgs;
use crate::clock::now_ns;
use crate::process::Usage;

/// Updates of each segment, all with ids that their publisher chose.
const UPDATES: u64 = 100;

pub async fn measure(segments: u64, args: &HistoryArgs, scratch: &Scratch) -> Result<(), String> {
    let path = scratch.directory("segments");
    for segment in 0..segments {
        let mut filling = options();
        filling.sync = SyncMode::Never;
        // Each opening begins a segment.
        let history = open(&path, filling)?;
        start(&history);
        let updates = (0..UPDATES).map(|number| {
            let id = format!("urn:example:{segment}:{number}");
            update(topic(number), args.payload, Some(id))
        });
        let appended = history.append_all(updates.collect()).await;
        appended.map_err(|error| error.to_string())?;
    }
    let history = open(&path, options())?;
    let resident = || Usage::of(process::id()).map(|usage| usage.resident);
    let before = resident()?;
    let begun = now_ns();
    let first = history.position_of("urn:example:unknown").await;
    first.map_err(|error| error.to_string())?;
    println!(
        "first look-up of an unknown id among {segments} segments of {UPDATES} chosen ids: {:.1} ms, memory grown by {} KiB",
        ms(now_ns() - begun),
        resident()?.saturating_sub(before) >> 10
    );
    let unknown = |number| format!("urn:example:unknown:{number}");
    stored::time(&history, "unknown", unknown, |lookup| {
        *lookup == Lookup::Unknown
    })
    .await
}
