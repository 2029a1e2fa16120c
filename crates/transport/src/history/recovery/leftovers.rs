//! The files that an opening replaces or removes.

use std::io;
use std::sync::Arc;

use super::found::{Found, failed};
use super::newest::Recovered;
use crate::Position;
use crate::history::disk::{Disk, File};
use crate::history::error::OpenError;
use crate::history::format::SegmentHeader;
use crate::history::index::Subject;
use crate::history::names;
use crate::history::segment::create_segment;

/// Creates the active segment. If the disk is full, removes the indexes, whose room may suffice, and tries
/// again.
pub(super) fn create_active(
    disk: &dyn Disk,
    found: &Found,
    header: &SegmentHeader,
) -> Result<Arc<dyn File>, OpenError> {
    let name = names::segment(header.number, header.first);
    let file = create_segment(disk, header).or_else(|error| match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            tracing::warn!(name: "disk_full", "the disk is full; indexes are removed and rebuilt when needed");
            let indexes = found.indexes.iter();
            remove(
                disk,
                indexes.map(|(number, first)| names::index(*number, *first)),
            );
            create_segment(disk, header)
        }
        _ => Err(error),
    });
    file.map_err(failed(disk, &name, "creating it"))
}

/// Writes the index of the segment that was the newest, since it has a successor now.
pub(super) fn seal(disk: &dyn Disk, newest: &Recovered, number: u64, first: Position) {
    let index = names::index(number, first);
    let written = match &newest.index {
        _ if newest.head < first => Ok(()),
        Some(built) => {
            let subject = Subject {
                number,
                first,
                last: newest.head,
                length: newest.length,
            };
            built.write(disk, &index, subject, newest.facts)
        }
        None => disk.rename(&names::closed(number, first), &index),
    };
    if let Err(error) = written {
        tracing::warn!(name: "index_not_written", %error, index = disk.path(&index), "an index could not be written and is rebuilt when it is needed");
    }
}

/// Removes the files below the floor, which is durable, and unfinished files.
pub(super) fn remove_leftovers(disk: &dyn Disk, found: &Found, oldest: u64) {
    let old = |number: &u64| *number < oldest;
    let segments = found.segments.iter().filter(|(number, _)| old(number));
    let segments = segments.map(|(number, first)| names::segment(*number, *first));
    let indexes = found.indexes.iter().filter(|(number, _)| old(number));
    let indexes = indexes.map(|(number, first)| names::index(*number, *first));
    let leftovers = found.leftovers.iter().cloned();
    remove(disk, segments.chain(indexes).chain(leftovers));
}

/// Removes files. The next start tries again if that fails.
pub(super) fn remove(disk: &dyn Disk, names: impl Iterator<Item = String>) {
    for name in names {
        match disk.remove(&name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(name: "file_not_removed", %error, file = disk.path(&name), "a file that is no longer needed could not be removed");
            }
            _ => {}
        }
    }
}
