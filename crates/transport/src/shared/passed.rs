//! Records of the log as frames.

use std::sync::Arc;

use super::backend::{Origin, Record};
use super::identity::Identity;
use crate::{Frame, Position};

/// A record that the tail has read.
pub(super) struct Passed {
    pub(super) frame: Arc<Frame>,
    pub(super) origin: Origin,
    /// In milliseconds since 1970.
    pub(super) time: u64,
}

/// Makes the frames of records, in their order.
pub(super) fn passed(identity: &Identity, records: Vec<Record>) -> Vec<Passed> {
    let mut made = Vec::with_capacity(records.len());
    let mut records = records.into_iter().peekable();
    while let Some(first) = records.next() {
        let mut run = vec![first];
        while let Some(next) = records.next_if(|next| {
            run.last()
                .is_some_and(|last| last.position.next() == next.position)
        }) {
            run.push(next);
        }
        let start = run.first().map_or(Position::ORIGIN, |first| first.position);
        // Several positions at a time are encrypted faster than one by one.
        let ids = identity.ids.encode_all(identity.tag, start, run.len());
        made.extend(
            run.into_iter()
                .zip(ids)
                .map(|(record, id)| frame(record, id)),
        );
    }
    made
}

fn frame(mut record: Record, made: String) -> Passed {
    let event_id = record.update.id.take().unwrap_or(made);
    Passed {
        frame: Arc::new(Frame::new(record.position, event_id, record.update)),
        origin: record.origin,
        time: record.time,
    }
}
