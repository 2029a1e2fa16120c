//! Groups: the positions, ids and bytes of updates that are written together.

use std::sync::Arc;

use talaria_protocol::Update;

use super::writer::Log;
use crate::history::format::{EVENTS, GROUP_HEADER, GroupHeader, encode_events, encode_record};
use crate::history::index::Facts;
use crate::history::journal::encode_entry;
use crate::{Frame, Position};

/// Where the records of a group begin in its bytes. Before them stand the header and, if events precede
/// the group, their record.
pub(super) const RECORDS: usize = GROUP_HEADER + EVENTS;

/// A group that is ready to be written.
pub(in crate::history) struct Prepared {
    /// The position of its newest update.
    pub(super) head: Position,
    /// Whether it consists of events.
    pub(super) by_hub: bool,
    pub(super) frames: Vec<Arc<Frame>>,
    /// For each frame, whether its publisher chose the id.
    pub(super) chosen: Vec<bool>,
    /// Room for the header and the record of events, then the records.
    pub(super) bytes: Vec<u8>,
    /// Where each record begins in the bytes.
    pub(super) offsets: Vec<usize>,
    pub(in crate::history) time: u64,
    pub(in crate::history) imported: u64,
}

/// A group that was written, but may not be durable yet.
pub(in crate::history) struct Begun {
    pub(super) group: Prepared,
    /// The end of the segment, including the group.
    pub(super) end: u64,
    /// Where the group begins in its bytes.
    pub(super) start: usize,
    pub(super) facts: Facts,
    /// Whether another thread is syncing it.
    pub(super) aside: bool,
}

impl Log {
    /// A group without updates that follows the position `head`, whose update has the time `before`.
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

    /// Adds updates to a group: gives them positions and ids, and encodes their records.
    pub(in crate::history) fn add_to(&self, group: &mut Prepared, updates: Vec<Update>) {
        let ids = &self.shared.ids;
        let mut made = ids
            .encode_all(self.run.tag, group.head.next(), updates.len())
            .into_iter();
        for mut update in updates {
            group.head = group.head.next();
            let chosen = update.id.take();
            // There are as many ids as updates.
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

    /// The positions of the events before a group that no record mentions yet.
    pub(super) fn events_before(&self, group: &Prepared) -> Option<(Position, Position)> {
        let first = self.active.last().next();
        let last = group.frames.first()?.position.back(1);
        (first <= last).then_some((first, last))
    }

    /// Writes the header and the record of events before the records; returns where the group begins in
    /// its bytes.
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
