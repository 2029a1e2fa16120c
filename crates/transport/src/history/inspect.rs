//! Inspects and repairs a history: what it holds, whether it is damaged, and what a repair gives up.

mod fault;
mod pass;
mod repair;
mod survey;

use std::io;

pub use self::fault::Fault;
pub use self::repair::{Step, repair};
use self::survey::{Survey, length_of, survey};
use super::disk::Disk;
use super::error::OpenError;
use super::format::SEGMENT_HEADER;
use super::names;
use super::recovery::{failed, find};
use super::walk::{Met, walk};
use crate::Position;

/// What a history holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stat {
    /// The version of the format.
    pub format: u32,
    /// The number of segments.
    pub segments: u64,
    /// The bytes of the segments.
    pub bytes: u64,
    /// How often the history was opened for writing.
    pub runs: u64,
    /// The position up to which everything is deleted.
    pub floor: Position,
    /// The newest position.
    pub head: Position,
    /// The number of readable updates after the floor.
    pub updates: u64,
    /// The commit times of the oldest and the newest of these updates, in milliseconds since 1970.
    pub times: Option<(u64, u64)>,
    /// The sequence number of the last update that was imported from a database.
    pub imported: u64,
    /// The first and last positions of what repairs gave up.
    pub gaps: Vec<(Position, Position)>,
    /// The number of faults that [`verify`] reports.
    pub faults: u64,
}

/// An update that is exported.
#[derive(Debug)]
pub struct Exported<'a> {
    /// Its position.
    pub position: Position,
    /// When it was committed, in milliseconds since 1970.
    pub time: u64,
    /// Its id.
    pub event_id: &'a str,
    /// Its topics.
    pub topics: Vec<&'a str>,
    /// Whether only authorized subscribers may receive it.
    pub private: bool,
    /// Its event stream bytes.
    pub event: &'a [u8],
}

/// Reads a whole history and counts what it holds. A hub may be using it.
///
/// # Errors
/// If files cannot be read. Damage is counted and is not an error.
pub fn stat(disk: &dyn Disk) -> Result<Stat, OpenError> {
    let survey = survey(disk)?;
    let mut stat = Stat {
        format: super::format::VERSION,
        segments: survey.segments.len() as u64,
        bytes: survey.segments.iter().map(|segment| segment.length).sum(),
        runs: survey.runs,
        floor: survey.facts.floor,
        head: survey.head,
        updates: 0,
        times: None,
        imported: survey.facts.imported,
        gaps: survey
            .gaps
            .iter()
            .map(|gap| (gap.first, gap.last))
            .collect(),
        faults: survey.faults.len() as u64,
    };
    export(disk, &mut |update| {
        stat.updates += 1;
        let first = stat.times.map_or(update.time, |(first, _)| first);
        stat.times = Some((first, update.time));
        Ok(())
    })?;
    Ok(stat)
}

/// Reads a whole history and reports all damage. A hub may be using it.
///
/// # Errors
/// If files cannot be read.
pub fn verify(disk: &dyn Disk) -> Result<Vec<Fault>, OpenError> {
    let Survey { faults, .. } = survey(disk)?;
    Ok(faults)
}

/// Passes every kept and readable update to `each`, in order, without subscription events. Returns the
/// damage, which says what is missing. A hub may be using the history.
///
/// # Errors
/// If files cannot be read, and the error of `each`.
pub fn export(
    disk: &dyn Disk,
    each: &mut dyn FnMut(Exported<'_>) -> io::Result<()>,
) -> Result<Vec<Fault>, OpenError> {
    let survey = survey(disk)?;
    let segments = find(disk)?.segments;
    for (&number, &first) in &segments {
        let Some(length) = length_of(disk, number, first)? else {
            continue;
        };
        let next = segments.range(number + 1..).next();
        let last = next.map_or(survey.head, |(_, next)| next.back(1));
        let name = names::segment(number, first);
        let file = match disk.open(&name) {
            Ok(file) => file,
            // A running hub has deleted the segment meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(failed(disk, &name, "opening it")(error)),
        };
        let mut outcome = Ok(());
        let end = length.max(SEGMENT_HEADER as u64);
        let read = walk(&*file, number, end, &mut |met| {
            if let Met::Update(stored, _) = met
                && stored.position > survey.facts.floor
                && stored.position <= last
                && !stored.by_hub
                && outcome.is_ok()
            {
                outcome = each(Exported {
                    position: stored.position,
                    time: stored.time,
                    event_id: stored.event_id,
                    topics: stored.topics().collect(),
                    private: stored.private,
                    event: stored.event,
                });
            }
        });
        read.and(outcome)
            .map_err(failed(disk, &name, "exporting it"))?;
    }
    Ok(survey.faults)
}
