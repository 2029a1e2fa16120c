//! Reads a whole history without changing it.

use std::io;

use super::Fault;
use crate::history::disk::Disk;
use crate::history::error::OpenError;
use crate::history::format::{GROUP_HEADER, GroupHeader, SEGMENT_HEADER};
use crate::history::index::{Facts, IndexFile};
use crate::history::manifest::{Gap, Manifest, Read};
use crate::history::names;
use crate::history::recovery::{Found, closed_index, failed, find, read_header};
use crate::history::walk::{Met, walk};
use crate::{Position, RunTag};

/// A history, as far as it is readable.
pub(super) struct Survey {
    pub(super) segments: Vec<Surveyed>,
    pub(super) manifest: Option<Manifest>,
    pub(super) runs: u64,
    pub(super) gaps: Vec<Gap>,
    pub(super) facts: Facts,
    pub(super) head: Position,
    pub(super) faults: Vec<Fault>,
    /// Segments whose numbers are missing, and the number and position that follow.
    pub(super) missing: Vec<Hole>,
}

/// Positions that no segment holds, before a segment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hole {
    /// The first number that is missing.
    pub(super) number: u64,
    /// How many are.
    pub(super) count: u64,
    pub(super) lost: Gap,
}

/// A segment and what is wrong with it.
pub(super) struct Surveyed {
    pub(super) number: u64,
    pub(super) first: Position,
    pub(super) length: u64,
    pub(super) header_is_readable: bool,
    /// The run that its groups name, if it has some.
    pub(super) run: Option<RunTag>,
    pub(super) damage: Vec<Damage>,
    /// Where the torn tail of the newest segment begins, if it has one.
    pub(super) torn_at: Option<u64>,
    /// The newest readable position, the one before the first if there is none.
    last: Position,
}

/// Bytes that are not readable.
#[derive(Debug, Clone, Copy)]
pub(super) struct Damage {
    pub(super) at: u64,
    pub(super) until: u64,
    /// The positions that are lost, as far as they are known.
    pub(super) lost: Option<Gap>,
    /// Where the group begins that is not whole, and the position before it.
    group: u64,
    before: Position,
}

/// What one pass over a segment finds.
#[derive(Default)]
struct Pass {
    /// Where the current group begins and ends, and the positions before it and at its end.
    group: u64,
    group_end: u64,
    before: Position,
    group_last: Position,
    last: Position,
    /// The segment's last position, if a later one or a clean stop tells. What lies beyond was cut, and a cut may be
    /// lost; its places were given anew.
    limit: Option<Position>,
    mark: u64,
    run: Option<RunTag>,
    facts: Option<Facts>,
    /// Damage whose end in positions is not known yet.
    open: Option<Damage>,
    damage: Vec<Damage>,
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
    };
    survey.read_manifest(disk)?;
    let firsts: Vec<Position> = found.segments.values().map(|(first, _)| *first).collect();
    for (index, (&number, &(first, length))) in found.segments.iter().enumerate() {
        let last = match firsts.get(index + 1) {
            Some(next) => Some(next.back(1)),
            None => closed_at(disk, number, first, length)?,
        };
        match survey.read_segment(disk, number, first, length, last) {
            // A hub that runs on it has deleted it meanwhile.
            Err(OpenError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
            read => read?,
        }
    }
    survey.find_missing(disk, &found);
    survey.check_indexes(disk, &found)?;
    Ok(survey)
}

/// The last position of the newest segment, if a clean stop left it.
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
                what:
                    "it is missing or not readable; the next start makes it anew from the segments"
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
        let header_is_readable = match read_header(disk, number, first) {
            Ok(header) => {
                self.facts = Facts {
                    floor: header.floor,
                    imported: header.imported,
                    time: header.created,
                };
                true
            }
            Err(OpenError::Damaged { path, offset, what }) => {
                self.faults.push(Fault {
                    path,
                    offset,
                    what,
                    lost: None,
                });
                false
            }
            Err(error) => return Err(error),
        };
        let file = disk
            .open(&name)
            .map_err(failed(disk, &name, "opening it"))?;
        let mut pass = Pass {
            last: first.back(1),
            limit: last,
            ..Pass::default()
        };
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
        for damage in &pass.damage {
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
                path: disk.path(&name),
                offset: damage.at,
                what,
                lost: lost.map(|lost| (lost.first, lost.last)),
            });
        }
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

    /// Segments that should be there, by their numbers, by the floor and by their indexes.
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
                    "it says that there was a segment after number {newest}, which is missing"
                ),
                lost: None,
            });
        }
    }

    /// A damaged index costs time and nothing else.
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
                    what: "it is not readable; it is made anew when it is needed".to_owned(),
                    lost: None,
                });
            }
        }
        Ok(())
    }
}

impl Pass {
    fn meet(&mut self, met: Met<'_>) {
        let is_cut = |first: Position| self.limit.is_some_and(|limit| first > limit);
        match met {
            // A group of no updates names the position behind the last one, and records the floor.
            Met::Group(header) if is_cut(header.first.back(u64::from(header.count == 0))) => {}
            Met::Update(stored, _) if is_cut(stored.position) => {}
            Met::Events(first, ..) if is_cut(first) => {}
            Met::Damage(..) if self.limit.is_some_and(|limit| self.last >= limit) => {}
            Met::Group(header) => self.begin(&header),
            Met::Update(stored, at) => {
                self.close(stored.position.back(1));
                // Given up by a repair, or gone without a trace.
                self.note_loss(at, stored.position.back(1));
                self.last = stored.position;
            }
            Met::Events(first, last, at) => {
                self.spare(first);
                self.close(first.back(1));
                self.note_loss(at, first.back(1));
                self.last = self.last.max(last);
            }
            Met::Damage(at, until) => {
                self.close(self.last);
                let is_inside = at < self.group_end;
                self.open = Some(Damage {
                    at,
                    until,
                    lost: None,
                    group: if is_inside { self.group } else { at },
                    before: if is_inside { self.before } else { self.last },
                });
            }
        }
    }

    fn begin(&mut self, header: &GroupHeader) {
        self.close(header.first.back(1));
        self.group = header.at;
        self.group_end = header.at + GROUP_HEADER as u64 + u64::from(header.length);
        self.before = header.first.back(1);
        self.group_last = Position(header.first.0 + u64::from(header.count)).back(1);
        self.mark = self.mark.max(header.mark);
        self.run = Some(header.run);
        self.facts = Some(Facts {
            floor: header.floor,
            imported: header.imported,
            time: 0,
        });
    }

    /// Ends open damage at a position that is the last one it can have cost.
    fn close(&mut self, last: Position) {
        if let Some(mut damage) = self.open.take() {
            let first = self.last.next();
            damage.lost = (first <= last).then_some(Gap { first, last });
            self.damage.push(damage);
            self.last = self.last.max(last);
        }
    }

    /// What was lost ends before a position: the events from there on were only taken for lost, as
    /// they precede the first update that a group names.
    fn spare(&mut self, first: Position) {
        if let Some(damage) = self.damage.last_mut()
            && let Some(lost) = damage.lost.filter(|lost| lost.last >= first)
        {
            let last = first.back(1);
            damage.lost = (lost.first <= last).then_some(Gap { last, ..lost });
        }
    }

    /// Notes that what follows the last position up to another is not there.
    fn note_loss(&mut self, at: u64, last: Position) {
        if self.last < last {
            self.damage.push(Damage {
                at,
                until: at,
                lost: Some(Gap {
                    first: self.last.next(),
                    last,
                }),
                group: self.group,
                before: self.before,
            });
            self.last = last;
        }
    }

    /// The segment ends.
    fn end(&mut self) {
        let last = self.limit.unwrap_or(self.group_last);
        self.close(last);
        self.note_loss(self.group_end, last);
    }

    /// What was never said to be durable is torn, as a crash leaves it, and no damage: the next
    /// start cuts it. Where it begins.
    fn take_torn_tail(&mut self) -> Option<u64> {
        let mark = self.mark;
        let is_torn = |damage: &Damage| damage.until > damage.at && damage.group >= mark;
        let torn = *self.damage.iter().find(|damage| is_torn(damage))?;
        self.damage.retain(|damage| damage.at < torn.group);
        self.last = torn.before;
        Some(torn.group)
    }
}
