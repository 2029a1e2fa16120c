//! Repairs a damaged history. Unreadable updates are given up; the positions of others stay.

use super::survey::{Survey, Surveyed, survey};
use crate::Position;
use crate::history::disk::Disk;
use crate::history::error::OpenError;
use crate::history::format::{SegmentHeader, VOID, encode_void};
use crate::history::manifest::{Gap, Manifest};
use crate::history::names;
use crate::history::recovery::{failed, find, lock, read_header, read_manifest};
use crate::history::run::Run;
use crate::history::segment::create_segment;

/// A step of a repair.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Step {
    /// What it does, for people to read.
    pub what: String,
    /// The first and last position that it gives up, if any.
    pub lost: Option<(Position, Position)>,
}

/// Lists the steps of a repair, and takes them if `apply` is true. No hub may be using the history.
///
/// # Errors
/// If the history is in use, or files cannot be read or written.
pub fn repair(disk: &dyn Disk, apply: bool) -> Result<Vec<Step>, OpenError> {
    let _lock = lock(disk)?;
    let survey = survey(disk)?;
    let found = find(disk)?;
    let mut steps = Vec::new();
    let gaps = gaps(&survey, &mut steps);
    let newest = survey.segments.last().map_or(0, |newest| newest.number);
    let orphans: Vec<String> = found
        .indexes
        .range(newest..)
        .map(|(number, first)| names::index(*number, *first))
        .collect();
    if !orphans.is_empty() {
        steps.push(Step {
            what: format!(
                "forget the segments after number {newest}; how many updates they had is unknown"
            ),
            lost: None,
        });
    }
    for (first, last) in &survey.bad_tiers {
        steps.push(Step {
            what: format!("make the index over segments {first} to {last} again"),
            lost: None,
        });
    }
    if !apply || steps.is_empty() {
        return Ok(steps);
    }
    let mut manifest = match &survey.manifest {
        Some(manifest) => manifest.clone(),
        None => read_manifest(disk, &found)?,
    };
    manifest.gaps.extend(gaps);
    // First, so that an interrupted repair does not leave a loss that is not recorded.
    manifest
        .write(disk)
        .map_err(failed(disk, "manifest", "writing it"))?;
    for segment in &survey.segments {
        mend(disk, segment, &survey, &manifest)?;
    }
    fill_holes(disk, &survey, &manifest)?;
    add_successor(disk, &survey, &manifest)?;
    // They may say of segments what is no longer true.
    let tiers = found.tiers.iter();
    let tiers = tiers.map(|(first, last)| names::tier(*first, *last));
    for name in orphans.into_iter().chain(tiers) {
        disk.remove(&name)
            .map_err(failed(disk, &name, "removing it"))?;
    }
    disk.sync().map_err(failed(disk, "", "syncing it"))?;
    Ok(steps)
}

/// The losses that are not recorded yet. Adds the steps that record them.
fn gaps(survey: &Survey, steps: &mut Vec<Step>) -> Vec<Gap> {
    let mut gaps = Vec::new();
    for segment in &survey.segments {
        if !segment.header_is_readable {
            steps.push(Step {
                what: format!("write the header of segment {} again", segment.number),
                lost: None,
            });
        }
        for damage in &segment.damage {
            let lost = damage.lost.filter(|lost| !survey.gaps.contains(lost));
            if lost.is_none() && damage.at == damage.until {
                continue;
            }
            steps.push(Step {
                what: format!(
                    "give up bytes {} to {} of segment {}",
                    damage.at, damage.until, segment.number
                ),
                lost: lost.map(|lost| (lost.first, lost.last)),
            });
            gaps.extend(lost);
        }
    }
    for hole in &survey.missing {
        steps.push(Step {
            what: format!("continue without the missing segment {}", hole.number),
            lost: Some((hole.lost.first, hole.lost.last)),
        });
        gaps.push(hole.lost);
    }
    gaps
}

/// Overwrites the unreadable parts of a segment.
fn mend(
    disk: &dyn Disk,
    segment: &Surveyed,
    survey: &Survey,
    manifest: &Manifest,
) -> Result<(), OpenError> {
    let name = names::segment(segment.number, segment.first);
    let damaged = segment
        .damage
        .iter()
        .filter(|damage| damage.until > damage.at);
    let damaged: Vec<_> = damaged.collect();
    if segment.header_is_readable && damaged.is_empty() {
        return Ok(());
    }
    let file = disk
        .open(&name)
        .map_err(failed(disk, &name, "opening it"))?;
    let write = |bytes: &[u8], at| {
        file.write_at(bytes, at)
            .map_err(failed(disk, &name, "writing it"))
    };
    if !segment.header_is_readable {
        write(&header(segment, survey, manifest).encode(), 0)?;
    }
    for damage in damaged {
        let length = u32::try_from(damage.until - damage.at).unwrap_or(u32::MAX);
        if (length as usize) < VOID {
            return Err(OpenError::Damaged {
                path: disk.path(&name),
                offset: damage.at,
                what: "there are too few damaged bytes to mark as given up; restore the file from a copy".to_owned(),
            });
        }
        write(&encode_void(length), damage.at)?;
    }
    if let Some(torn_at) = segment.torn_at {
        file.set_len(torn_at)
            .map_err(failed(disk, &name, "cutting it"))?;
    }
    file.sync_data()
        .map_err(failed(disk, &name, "syncing it"))?;
    // The old index would find updates that are gone.
    let index = names::index(segment.number, segment.first);
    let closed = names::closed(segment.number, segment.first);
    for name in [index, closed] {
        match disk.remove(&name) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(failed(disk, &name, "removing it")(error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// The header of a segment, made from the manifest and the other segments.
fn header(segment: &Surveyed, survey: &Survey, manifest: &Manifest) -> SegmentHeader {
    let mut runs = manifest.runs.iter().rev();
    // A run may begin after events that no segment mentions yet.
    let of_groups = runs.clone().find(|run| Some(run.tag) == segment.run);
    let run = of_groups.or_else(|| runs.find(|run| run.first <= segment.first));
    SegmentHeader {
        number: segment.number,
        first: segment.first,
        run: run.copied().unwrap_or(Run {
            tag: crate::RunTag::from_u64(0),
            first: segment.first,
        }),
        floor: survey.facts.floor,
        imported: survey.facts.imported,
        created: survey.facts.time,
        key: manifest.key,
    }
}

/// Creates empty segments in place of missing ones, so that the numbers have no gaps.
fn fill_holes(disk: &dyn Disk, survey: &Survey, manifest: &Manifest) -> Result<(), OpenError> {
    for hole in &survey.missing {
        for number in hole.number..hole.number + hole.count {
            let like = survey
                .segments
                .iter()
                .rev()
                .find(|segment| segment.number < number);
            let Some(like) = like else { continue };
            let mut header = match read_header(disk, like.number, like.first) {
                Ok(header) => header,
                Err(OpenError::Damaged { .. }) => header(like, survey, manifest),
                Err(error) => return Err(error),
            };
            header.number = number;
            header.first = hole.lost.first;
            let name = names::segment(header.number, header.first);
            create_segment(disk, &header).map_err(failed(disk, &name, "creating it"))?;
        }
    }
    Ok(())
}

/// Creates a segment after the newest one if that is damaged, since an opening requires the newest to be
/// undamaged.
fn add_successor(disk: &dyn Disk, survey: &Survey, manifest: &Manifest) -> Result<(), OpenError> {
    let Some(newest) = survey.segments.last() else {
        return Ok(());
    };
    if newest.damage.is_empty() {
        return Ok(());
    }
    let mut header = header(newest, survey, manifest);
    header.number += 1;
    header.first = survey.head.next();
    let name = names::segment(header.number, header.first);
    create_segment(disk, &header).map_err(failed(disk, &name, "creating it"))?;
    Ok(())
}
