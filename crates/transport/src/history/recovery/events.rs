//! The subscription events of a log that is being opened.

use std::io;

use super::found::failed;
use super::newest::Recovered;
use crate::events::{EventRanges, Events};
use crate::history::disk::Disk;
use crate::history::error::OpenError;
use crate::history::journal::{self, Given, Journal, Recalled};
use crate::history::manifest::Manifest;
use crate::history::shared::Shared;
use crate::{EventBounds, Position};

/// Keeps the events within the bounds; returns them, and the journal that has them.
pub(super) fn keep_events(
    recalled: Recalled,
    bounds: EventBounds,
    disk: &dyn Disk,
    newest: &Recovered,
    manifest: &Manifest,
) -> Result<(Events, Journal), OpenError> {
    let mut events = Events::new(bounds);
    recalled
        .events
        .into_iter()
        .for_each(|event| events.add(event));
    events.evict();
    let mut journal = Journal::default();
    if recalled.exists {
        let given = Given {
            run: newest.run.tag,
            first: newest.head.next(),
            last: recalled.head,
        };
        write_journal(&mut journal, disk, given, manifest, &events)?;
    }
    Ok((events, journal))
}

/// Rewrites the journal. A killed process may leave events that are readable but not durable, and
/// everything before a new segment must be durable.
fn write_journal(
    journal: &mut Journal,
    disk: &dyn Disk,
    given: Given,
    manifest: &Manifest,
    events: &Events,
) -> Result<(), OpenError> {
    let kept: Vec<_> = events.iter().cloned().collect();
    match journal.rewrite(disk, given, manifest, &kept) {
        // The file stays as it is, and is rewritten before the next event.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
            ) =>
        {
            tracing::warn!(name: "events_no_room", "the disk has no room for the file of subscription events");
            Ok(())
        }
        written => written.map_err(failed(disk, journal::NAME, "writing it")),
    }
}

/// The positions of the events of a log, as far back as the bound on its count of updates reaches.
pub(super) fn event_ranges(shared: &Shared, floor: Position) -> io::Result<EventRanges> {
    let mut ranges = EventRanges::default();
    let Some(size) = shared.options.size else {
        return Ok(ranges);
    };
    let segments = shared.segments();
    let recorded = segments.last().map_or(floor, |newest| newest.last());
    ranges.push(recorded.max(floor).next(), shared.head());
    let mut updates = 0;
    for segment in segments.iter().rev() {
        if segment.last() <= floor || updates >= size || segment.last() < segment.first {
            continue;
        }
        let events = segment.events(&shared.files)?;
        updates += segment.last().0 + 1 - segment.first.0;
        for (first, last) in events.into_iter().rev() {
            updates -= last.0 + 1 - first.0;
            if last > floor {
                ranges.push_front(first.max(floor.next()), last);
            }
        }
    }
    Ok(ranges)
}
