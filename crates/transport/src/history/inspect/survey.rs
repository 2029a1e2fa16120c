//! Reads a whole history, without changing it.

use std::io;

use super::fault::Fault;
use super::pass::{Damage, Pass};
use crate::history::disk::Disk;
use crate::history::error::OpenError;
use crate::history::format::SEGMENT_HEADER;
use crate::history::index::{Facts, IndexFile};
use crate::history::manifest::{Gap, Manifest, Read};
use crate::history::names;
use crate::history::recovery::{Found, closed_index, failed, find, read_header};
use crate::history::tier;
use crate::history::walk::walk;
use crate::{Position, RunTag};

/// What is readable of a history, and what is not.
pub(super) struct Survey {
    pub(super) segments: Vec<Surveyed>,
    pub(super) manifest: Option<Manifest>,
    pub(super) runs: u64,
    pub(super) gaps: Vec<Gap>,
    pub(super) facts: Facts,
    pub(super) head: Position,
    pub(super) faults: Vec<Fault>,
    /// The segments that are missing.
    pub(super) missing: Vec<Hole>,
    /// The numbers of the first and the last segment of each damaged tier.
    pub(super) bad_tiers: Vec<(u64, u64)>,
}

/// Missing segments before a segment, and their positions.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hole {
    /// The first number that is missing.
    pub(super) number: u64,
    /// How many numbers are missing.
    pub(super) count: u64,
    pub(super) lost: Gap,
}

/// A segment, and its damage.
pub(super) struct Surveyed {
    pub(super) number: u64,
    pub(super) first: Position,
    pub(super) length: u64,
    pub(super) header_is_readable: bool,
    /// The run that its groups name, if it has groups.
    pub(super) run: Option<RunTag>,
    pub(super) damage: Vec<Damage>,
    /// Where the incomplete end of the newest segment begins, if there is one.
    pub(super) torn_at: Option<u64>,
    /// The newest readable position, or the one before the first if nothing is readable.
    last: Position,
}

pub(super) fn survey(disk: &dyn Disk) -> Result<Survey, OpenError> {
    let found = find(disk)?;
    let mut survey = Survey {
        segments: Vec::new(),
        manifest: None,
        runs: 0,
        gaps: Vec::new(),
        facts: Facts::default(),
        head: Position::ORIGIN,
        faults: Vec::new(),
        missing: Vec::new(),
        bad_tiers: Vec::new(),
    };
    survey.read_manifest(disk)?;
    let firsts: Vec<Position> = found.segments.values().copied().collect();
    for (index, (&number, &first)) in found.segments.iter().enumerate() {
        let Some(length) = length_of(disk, number, first)? else {
            continue;
        };
        let last = match firsts.get(index + 1) {
            Some(next) => Some(next.back(1)),
            None => closed_at(disk, number, first, length)?,
        };
        match survey.read_segment(disk, number, first, length, last) {
            // A running hub has deleted the segment meanwhile.
            Err(OpenError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
            read => read?,
        }
    }
    survey.find_missing(disk, &found);
    survey.check_indexes(disk, &found)?;
    survey.check_tiers(disk, &found)?;
    Ok(survey)
}

/// The length of a segment; `None` if a running hub has deleted it meanwhile.
pub(super) fn length_of(
    disk: &dyn Disk,
    number: u64,
    first: Position,
) -> Result<Option<u64>, OpenError> {
    let name = names::segment(number, first);
    match disk.length(&name) {
        Ok(length) => Ok(Some(length)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(disk, &name, "reading its length")(error)),
    }
}

/// The last position of the newest segment, if the log was closed cleanly.
fn closed_at(
    disk: &dyn Disk,
    number: u64,
    first: Position,
    length: u64,
) -> Result<Option<Position>, OpenError> {
    let name = names::closed(number, first);
    let closed = closed_index(disk, number, first, length);
    let closed = closed.map_err(failed(disk, &name, "reading it"))?;
    Ok(closed.map(|closed| closed.subject().last))
}

impl Survey {
    fn read_manifest(&mut self, disk: &dyn Disk) -> Result<(), OpenError> {
        let read = Manifest::read(disk).map_err(failed(disk, "manifest", "reading it"))?;
        match read {
            Read::Manifest(manifest) => {
                self.runs = manifest.runs.len() as u64;
                self.gaps.clone_from(&manifest.gaps);
                self.manifest = Some(manifest);
            }
            Read::Version(version) => {
                return Err(OpenError::Version {
                    path: disk.path("manifest"),
                    version,
                });
            }
            Read::Missing | Read::Unreadable => self.faults.push(Fault {
                path: disk.path("manifest"),
                offset: 0,
                what: "it is missing or not readable; the next start rebuilds it from the segments"
                    .to_owned(),
                lost: None,
            }),
        }
        Ok(())
    }

    fn is_gap(&self, lost: Gap) -> bool {
        self.gaps
            .iter()
            .any(|gap| gap.first <= lost.first && lost.last <= gap.last)
    }

    fn read_segment(
        &mut self,
        disk: &dyn Disk,
        number: u64,
        first: Position,
        length: u64,
        last: Option<Position>,
    ) -> Result<(), OpenError> {
        let name = names::segment(number, first);
        let header_is_readable = self.read_header(disk, number, first)?;
        let file = disk
            .open(&name)
            .map_err(failed(disk, &name, "opening it"))?;
        let mut pass = Pass::new(first, last);
        let end = length.max(SEGMENT_HEADER as u64);
        walk(&*file, number, end, &mut |met| pass.meet(met)).map_err(failed(
            disk,
            &name,
            "reading it",
        ))?;
        pass.end();
        let torn_at = match last {
            None => pass.take_torn_tail(),
            Some(_) => None,
        };
        self.report(disk, &name, &pass.damage);
        self.facts = pass.facts.unwrap_or(self.facts);
        self.head = self.head.max(pass.last).max(first.back(1));
        self.segments.push(Surveyed {
            number,
            first,
            length,
            header_is_readable,
            run: pass.run,
            damage: pass.damage,
            torn_at,
            last: pass.last,
        });
        Ok(())
    }

    /// Takes the facts from the header of a segment; returns whether it is readable.
    fn read_header(
        &mut self,
        disk: &dyn Disk,
        number: u64,
        first: Position,
    ) -> Result<bool, OpenError> {
        match read_header(disk, number, first) {
            Ok(header) => {
                self.facts = Facts {
                    floor: header.floor,
                    imported: header.imported,
                    time: header.created,
                };
                Ok(true)
            }
            Err(OpenError::Damaged { path, offset, what }) => {
                self.faults.push(Fault {
                    path,
                    offset,
                    what,
                    lost: None,
                });
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Reports the damage of a file, unless a repair has given it up.
    fn report(&mut self, disk: &dyn Disk, name: &str, damage: &[Damage]) {
        for damage in damage {
            let lost = damage.lost.filter(|lost| !self.is_gap(*lost));
            if lost.is_none() && damage.at == damage.until {
                continue;
            }
            let what = match lost {
                Some(lost) => format!(
                    "{} bytes are not readable; positions {} to {} are lost",
                    damage.until - damage.at,
                    lost.first,
                    lost.last
                ),
                None => format!("{} bytes are not readable", damage.until - damage.at),
            };
            self.faults.push(Fault {
                path: disk.path(name),
                offset: damage.at,
                what,
                lost: lost.map(|lost| (lost.first, lost.last)),
            });
        }
    }

    /// Finds missing segments by the numbers, the floor and the indexes.
    fn find_missing(&mut self, disk: &dyn Disk, found: &Found) {
        let mut holes = Vec::new();
        let floor = self.facts.floor;
        if let Some(oldest) = self
            .segments
            .first()
            .filter(|oldest| oldest.first > floor.next())
        {
            holes.push(Hole {
                number: oldest.number.saturating_sub(1),
                count: 0,
                lost: Gap {
                    first: floor.next(),
                    last: oldest.first.back(1),
                },
            });
        }
        for pair in self.segments.windows(2) {
            let (before, after) = (&pair[0], &pair[1]);
            let count = after.number - before.number - 1;
            if count > 0 && after.first > floor.next() {
                holes.push(Hole {
                    number: before.number + 1,
                    count,
                    lost: Gap {
                        first: before.last.next(),
                        last: after.first.back(1),
                    },
                });
            }
        }
        holes.retain(|hole| hole.count > 0 || !self.is_gap(hole.lost));
        for hole in holes {
            self.faults.push(Fault {
                path: disk.path(&format!("{:010}-*.segment", hole.number)),
                offset: 0,
                what: format!(
                    "it is missing; positions {} to {} are lost",
                    hole.lost.first, hole.lost.last
                ),
                lost: Some((hole.lost.first, hole.lost.last)),
            });
            self.missing.push(hole);
        }
        let newest = self.segments.last().map_or(0, |newest| newest.number);
        for (&number, &first) in found.indexes.range(newest..) {
            self.faults.push(Fault {
                path: disk.path(&names::index(number, first)),
                offset: 0,
                what: format!(
                    "it shows that there was a segment after number {newest}, which is missing"
                ),
                lost: None,
            });
        }
    }

    /// Reports damaged indexes, which cost time and nothing else.
    fn check_indexes(&mut self, disk: &dyn Disk, found: &Found) -> Result<(), OpenError> {
        for (&number, &first) in &found.indexes {
            let name = names::index(number, first);
            let whole = IndexFile::open(disk, &name, |subject| {
                (subject.number, subject.first) == (number, first)
            });
            let whole = whole.map_err(failed(disk, &name, "reading it"))?;
            if whole.is_none() {
                self.faults.push(Fault {
                    path: disk.path(&name),
                    offset: 0,
                    what: "it is not readable and is rebuilt when it is needed".to_owned(),
                    lost: None,
                });
            }
        }
        Ok(())
    }

    /// Reports damaged tiers, which cost time and nothing else.
    fn check_tiers(&mut self, disk: &dyn Disk, found: &Found) -> Result<(), OpenError> {
        for &(first, last) in &found.tiers {
            let name = names::tier(first, last);
            let whole = tier::is_whole(disk, first, last);
            if !whole.map_err(failed(disk, &name, "reading it"))? {
                self.faults.push(Fault {
                    path: disk.path(&name),
                    offset: 0,
                    what: "it is not readable and is made again when a reader finds that, or after a repair"
                        .to_owned(),
                    lost: None,
                });
                self.bad_tiers.push((first, last));
            }
        }
        Ok(())
    }
}
