//! The newest update of a log that is being opened.

use std::io;
use std::sync::Arc;

use super::found::failed;
use super::newest::Recovered;
use crate::history::clock::Clock;
use crate::history::disk::Disk;
use crate::history::error::OpenError;
use crate::history::format::{Content, Record};
use crate::history::index::{Hashes, Index, IndexFile};
use crate::history::manifest::Manifest;
use crate::history::names;
use crate::history::segment::{Segment, read_record};
use crate::history::walk::{Met, walk};
use crate::{EventIds, Position};

/// Finds the id and the time of the newest update, and the id of the newest position, which may be that
/// of an event.
pub(super) fn learn(
    newest: &mut Recovered,
    disk: &dyn Disk,
    sealed: &[Arc<Segment>],
    manifest: &Manifest,
    clock: &mut Clock,
    head: Position,
) -> Result<(), OpenError> {
    if newest.event_id.is_none()
        && let Some((event_id, time)) = newest_update(disk, sealed, manifest)?
    {
        newest.event_id = Some(event_id);
        // A segment without updates has only the time of its creation.
        newest.facts.time = time;
    }
    if newest.event_id.is_some() {
        clock.committed(newest.facts.time);
    }
    if head > newest.head {
        // The newest position is that of an event, whose id the log made.
        let ids = EventIds::new(&manifest.key);
        let run = manifest.run_of(head);
        newest.event_id = run.map(|run| ids.encode(run.tag, head).into());
    }
    Ok(())
}

/// The id and the time of the newest update of the sealed segments; `None` if there is none, or if
/// it is damaged.
fn newest_update(
    disk: &dyn Disk,
    sealed: &[Arc<Segment>],
    manifest: &Manifest,
) -> Result<Option<(Box<str>, u64)>, OpenError> {
    let segment = sealed
        .iter()
        .rev()
        .find(|segment| segment.last() >= segment.first);
    let Some(segment) = segment else {
        return Ok(None);
    };
    let name = names::segment(segment.number, segment.first);
    read_last(disk, segment, &name, manifest).map_err(failed(disk, &name, "reading it"))
}

fn read_last(
    disk: &dyn Disk,
    segment: &Segment,
    name: &str,
    manifest: &Manifest,
) -> io::Result<Option<(Box<str>, u64)>> {
    let file = disk.open(name)?;
    let index = names::index(segment.number, segment.first);
    let index = IndexFile::open(disk, &index, |subject| {
        subject.number == segment.number && subject.last == segment.last()
    })?;
    let at = match index {
        Some(index) => index.place(segment.last())?,
        None => {
            let hashes = Hashes::new(&manifest.key);
            let mut index = Index::new(segment.first);
            walk(
                &*file,
                segment.number,
                segment.end(),
                &mut |met| match met {
                    Met::Update(stored, at) => {
                        index.add_stored(&stored, at, &hashes);
                    }
                    Met::Events(first, last, _) => index.add_events(first, last),
                    _ => {}
                },
            )?;
            index.place(segment.last())
        }
    };
    let Some((_, at)) = at else { return Ok(None) };
    let bytes = read_record(&*file, at.into(), segment.end())?;
    Ok(
        bytes.and_then(|bytes| match Record::parse(&bytes)?.content {
            Content::Update(stored) => Some((stored.event_id.into(), stored.time)),
            Content::Snapshot | Content::Void | Content::Events(..) => None,
        }),
    )
}
