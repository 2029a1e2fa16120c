//! Makes a damaged history usable: what cannot be read is given up, positions never move.

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

/// One thing that a repair does.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Step {
    /// What, in a sentence.
    pub what: String,
    /// The positions that it gives up.
    pub lost: Option<(Position, Position)>,
}

/// Says what a repair would do, and does it if told to. No hub may be running on it.
///
/// # Errors
/// When it is in use, or files cannot be read or written.
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
                "forget that there were segments after number {newest}; how many updates they had is not known"
            ),
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
    // First, so that a repair that is interrupted is not taken for loss without a trace.
    manifest
        .write(disk)
        .map_err(failed(disk, "manifest", "writing it"))?;
    for segment in &survey.segments {
        mend(disk, segment, &survey, &manifest)?;
    }
    fill_holes(disk, &survey, &manifest)?;
    add_successor(disk, &survey, &manifest)?;
    for name in orphans {
        disk.remove(&name)
            .map_err(failed(disk, &name, "removing it"))?;
    }
    disk.sync().map_err(failed(disk, "", "syncing it"))?;
    Ok(steps)
}

/// What is lost and not yet recorded, with the steps that record it.
fn gaps(survey: &Survey, steps: &mut Vec<Step>) -> Vec<Gap> {
    let mut gaps = Vec::new();
    for segment in &survey.segments {
        if !segment.header_is_readable {
            steps.push(Step {
                what: format!("write the header of segment {} anew", segment.number),
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
            what: format!("go on without the missing segment {}", hole.number),
            lost: Some((hole.lost.first, hole.lost.last)),
        });
        gaps.push(hole.lost);
    }
    gaps
}

/// Writes over what is not readable in a segment.
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
                what: "too few bytes to give up; put the file back from a copy".to_owned(),
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
    // An index of what was there before finds what is no longer there.
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

/// A header as the manifest and the segment's neighbours have it.
fn header(segment: &Surveyed, survey: &Survey, manifest: &Manifest) -> SegmentHeader {
    let mut runs = manifest.runs.iter().rev();
    // A run may begin behind events that no segment tells of yet.
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

/// Puts segments without updates where some are missing, so that their numbers are dense.
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

/// Puts a segment behind the newest one if that is damaged: only the newest must be whole.
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
