//! A pass over one segment, which finds the damage and the positions that are lost.

use crate::history::format::{GROUP_HEADER, GroupHeader};
use crate::history::index::Facts;
use crate::history::manifest::Gap;
use crate::history::walk::Met;
use crate::{Position, RunTag};

/// Bytes that are not readable.
#[derive(Debug, Clone, Copy)]
pub(super) struct Damage {
    pub(super) at: u64,
    pub(super) until: u64,
    /// The positions that are lost, if they are known.
    pub(super) lost: Option<Gap>,
    /// Where the damaged group begins, and the position before it.
    group: u64,
    before: Position,
}

/// What a pass over a segment has found.
#[derive(Default)]
pub(super) struct Pass {
    /// Where the current group begins and ends, and the positions before it and at its end.
    group: u64,
    group_end: u64,
    before: Position,
    group_last: Position,
    pub(super) last: Position,
    /// The last position of the segment, if a later segment or a clean stop shows it. Later updates were
    /// cut off, although the cut may have been lost; their positions were given out again.
    limit: Option<Position>,
    mark: u64,
    pub(super) run: Option<RunTag>,
    pub(super) facts: Option<Facts>,
    /// Damage whose end in positions is not known yet.
    open: Option<Damage>,
    pub(super) damage: Vec<Damage>,
}

impl Pass {
    /// A pass over a segment that begins at `first`, up to the position `limit` if that is known.
    pub(super) fn new(first: Position, limit: Option<Position>) -> Self {
        Self {
            last: first.back(1),
            limit,
            ..Self::default()
        }
    }

    pub(super) fn meet(&mut self, met: Met<'_>) {
        let is_cut = |first: Position| self.limit.is_some_and(|limit| first > limit);
        match met {
            // A group without updates names the position after the last one; it only records the floor.
            Met::Group(header) if is_cut(header.first.back(u64::from(header.count == 0))) => {}
            Met::Update(stored, _) if is_cut(stored.position) => {}
            Met::Events(first, ..) if is_cut(first) => {}
            Met::Damage(..) if self.limit.is_some_and(|limit| self.last >= limit) => {}
            Met::Group(header) => self.begin(&header),
            Met::Update(stored, at) => {
                self.close(stored.position.back(1));
                // Positions that a repair gave up, or that are gone without a trace.
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

    /// Ends open damage, which can have cost the positions up to `last`.
    fn close(&mut self, last: Position) {
        if let Some(mut damage) = self.open.take() {
            let first = self.last.next();
            damage.lost = (first <= last).then_some(Gap { first, last });
            self.damage.push(damage);
            self.last = self.last.max(last);
        }
    }

    /// Corrects the last loss to end before `first`: the events from there on only seemed lost, because
    /// they precede the first update that a group names.
    fn spare(&mut self, first: Position) {
        if let Some(damage) = self.damage.last_mut()
            && let Some(lost) = damage.lost.filter(|lost| lost.last >= first)
        {
            let last = first.back(1);
            damage.lost = (lost.first <= last).then_some(Gap { last, ..lost });
        }
    }

    /// Notes that the positions after the last one, up to `last`, are missing.
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
    pub(super) fn end(&mut self) {
        let last = self.limit.unwrap_or(self.group_last);
        self.close(last);
        self.note_loss(self.group_end, last);
    }

    /// Removes the incomplete end from the damage and returns where it begins. It was never known to be
    /// durable, a crash leaves it, and the next start cuts it off, so it is not damage.
    pub(super) fn take_torn_tail(&mut self) -> Option<u64> {
        let mark = self.mark;
        let is_torn = |damage: &Damage| damage.until > damage.at && damage.group >= mark;
        let torn = *self.damage.iter().find(|damage| is_torn(damage))?;
        self.damage.retain(|damage| damage.at < torn.group);
        self.last = torn.before;
        Some(torn.group)
    }
}
