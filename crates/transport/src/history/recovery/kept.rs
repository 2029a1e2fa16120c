//! The segments of a log that is being opened.

use std::sync::Arc;

use super::found::{Found, failed, missing};
use super::newest::Recovered;
use super::tiers::Usable;
use crate::Position;
use crate::history::disk::Disk;
use crate::history::error::OpenError;
use crate::history::index::Subject;
use crate::history::manifest::{Gap, Manifest};
use crate::history::names;
use crate::history::segment::Segment;

/// The segments with updates above the floor; an error if one of them is missing.
pub(super) fn keep(
    disk: &dyn Disk,
    found: &Found,
    newest: &Recovered,
    manifest: &Manifest,
    tiers: &Usable,
) -> Result<Vec<Subject>, OpenError> {
    let floor = newest.facts.floor;
    let mut kept: Vec<Subject> = Vec::new();
    let mut last = newest.head;
    let mut next: Option<(u64, Position)> = None;
    for (&number, &first) in found.segments.iter().rev() {
        if let Some((next, position)) = next {
            if last <= floor {
                break;
            }
            if next != number + 1 {
                return Err(missing(disk, next - 1, position));
            }
            if first > position {
                return Err(OpenError::Damaged {
                    path: disk.path(&names::segment(number, first)),
                    offset: 0,
                    what: format!("it should begin before position {position}"),
                });
            }
        }
        let length = match tiers.length_of(number) {
            _ if next.is_none() => newest.length,
            Some(length) => length,
            None => length_of(disk, number, first)?,
        };
        kept.push(Subject {
            number,
            first,
            last,
            length,
        });
        last = first.back(1);
        next = Some((number, first));
    }
    kept.reverse();
    let needed = floor.next();
    if let Some(oldest) = kept.first().filter(|oldest| oldest.first > needed)
        && !is_gap(&manifest.gaps, needed, oldest.first.back(1))
    {
        return Err(missing(disk, oldest.number.saturating_sub(1), oldest.first));
    }
    Ok(kept)
}

/// The length of a segment, as the disk says.
pub(super) fn length_of(disk: &dyn Disk, number: u64, first: Position) -> Result<u64, OpenError> {
    let name = names::segment(number, first);
    let length = disk.length(&name);
    length.map_err(failed(disk, &name, "reading its length"))
}

fn is_gap(gaps: &[Gap], first: Position, last: Position) -> bool {
    gaps.iter()
        .any(|gap| gap.first <= first && last <= gap.last)
}

/// The segments before the active one, and their bytes.
pub(super) fn sealed(subjects: &[Subject], active: u64) -> (Vec<Arc<Segment>>, u64) {
    let mut base = 0;
    let mut kept: Vec<Arc<Segment>> = Vec::new();
    for subject in subjects.iter().filter(|subject| subject.number < active) {
        kept.push(Arc::new(Segment::sealed(*subject, base)));
        base += subject.length;
    }
    (kept, base)
}
