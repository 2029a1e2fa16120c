//! Groups as they will be written: places, ids and bytes.

use std::sync::Arc;

use talaria_protocol::Update;

use super::writer::Log;
use crate::history::format::{EVENTS, GROUP_HEADER, GroupHeader, encode_events, encode_record};
use crate::history::index::Facts;
use crate::history::journal::encode_entry;
use crate::{Frame, Position};

/// Where the records of a group begin in its bytes: the header is before them, and what tells of the
/// events before the group, if there are some.
pub(super) const RECORDS: usize = GROUP_HEADER + EVENTS;

/// A group as it will be written.
pub(in crate::history) struct Prepared {
    /// The position of its newest update.
    pub(super) head: Position,
    /// Whether it is of events.
    pub(super) by_hub: bool,
    pub(super) frames: Vec<Arc<Frame>>,
    /// Whether their ids were chosen by publishers.
    pub(super) chosen: Vec<bool>,
    /// Room for what precedes the records, then those.
    pub(super) bytes: Vec<u8>,
    /// Where in the bytes the records begin.
    pub(super) offsets: Vec<usize>,
    pub(in crate::history) time: u64,
    pub(in crate::history) imported: u64,
}

/// A group that was written, and is perhaps not durable yet.
pub(in crate::history) struct Begun {
    pub(super) group: Prepared,
    /// Of the segment, with the group.
    pub(super) end: u64,
    /// Where in its bytes the group begins.
    pub(super) start: usize,
    pub(super) facts: Facts,
    /// Whether it is being synced aside.
    pub(super) aside: bool,
}

impl Log {
    /// A group without updates behind a head, whose newest update is of a time.
    pub(in crate::history) fn new_group(&mut self, head: Position, before: u64) -> Prepared {
        let mut bytes = self.buffers.pop().unwrap_or_default();
        bytes.clear();
        bytes.resize(RECORDS, 0);
        Prepared {
            head,
            by_hub: false,
            frames: Vec::new(),
            chosen: Vec::new(),
            bytes,
            offsets: Vec::new(),
            time: self.clock.stamp(before),
            imported: self.facts.imported,
        }
    }

    /// Gives updates their places in a group, and makes their records.
    pub(in crate::history) fn add_to(&self, group: &mut Prepared, updates: Vec<Update>) {
        let ids = &self.shared.ids;
        let mut made = ids
            .encode_all(self.run.tag, group.head.next(), updates.len())
            .into_iter();
        for mut update in updates {
            group.head = group.head.next();
            let chosen = update.id.take();
            // There are as many as updates.
            let made = made.next().unwrap_or_default();
            let is_chosen = chosen.is_some();
            let frame = Frame::new(group.head, chosen.unwrap_or(made), update);
            group.offsets.push(group.bytes.len());
            group.by_hub = frame.by_hub;
            if frame.by_hub {
                encode_entry(self.run.tag, &frame, group.time, &mut group.bytes);
            } else {
                encode_record(&frame, group.time, is_chosen, &mut group.bytes);
            }
            group.chosen.push(is_chosen);
            group.frames.push(Arc::new(frame));
        }
    }

    /// The positions of the events before a group that no record tells of.
    pub(super) fn events_before(&self, group: &Prepared) -> Option<(Position, Position)> {
        let first = self.active.last().next();
        let last = group.frames.first()?.position.back(1);
        (first <= last).then_some((first, last))
    }

    /// Puts what precedes the records before them; where the group begins in its bytes.
    pub(super) fn put_group_header(&self, group: &mut Prepared, facts: Facts) -> usize {
        let behind = self.active.last().next();
        let mut events = Vec::new();
        if let Some((first, last)) = self.events_before(group) {
            encode_events(first, last, &mut events);
        }
        let start = EVENTS - events.len();
        let header = GroupHeader {
            // A group is bounded by a quarter of the ring.
            count: u32::try_from(group.frames.len()).unwrap_or(u32::MAX),
            run: self.run.tag,
            number: self.active.number,
            at: self.end,
            first: group.frames.first().map_or(behind, |first| first.position),
            floor: facts.floor,
            mark: self.durable,
            imported: facts.imported,
            length: u32::try_from(group.bytes.len() - start - GROUP_HEADER).unwrap_or(u32::MAX),
        };
        let mut bytes = Vec::with_capacity(RECORDS);
        header.encode(&mut bytes);
        bytes.extend(events);
        group.bytes[start..RECORDS].copy_from_slice(&bytes);
        start
    }
}
