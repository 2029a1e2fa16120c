//! An update as it is stored in the ring and sent: serialised once, shared by all.

use bytes::Bytes;
use talaria_protocol::{Update, event};

use crate::Position;

/// A committed update.
#[derive(Debug)]
pub struct Frame {
    /// Its place in the log.
    pub position: Position,
    /// Its event id.
    pub event_id: Box<str>,
    /// The canonical topic and its alternates.
    pub topics: Box<[Box<str>]>,
    /// Whether only readers with a grant may receive it.
    pub private: bool,
    /// The event stream bytes, id line and blank line included.
    pub bytes: Bytes,
}

impl Frame {
    /// Serialises an update for good.
    pub fn new(position: Position, event_id: String, update: Update) -> Self {
        Self {
            position,
            bytes: event::encode(&update, &event_id).into(),
            event_id: event_id.into(),
            topics: update.topics.into_iter().map(Into::into).collect(),
            private: update.private,
        }
    }

    /// What the frame occupies in memory, in bytes, allocator overhead estimated.
    pub fn weight(&self) -> usize {
        const ALLOCATION: usize = 16;
        let topics: usize = self
            .topics
            .iter()
            .map(|topic| topic.len() + size_of::<Box<str>>() + ALLOCATION)
            .sum();
        size_of::<Self>() + 4 * ALLOCATION + self.bytes.len() + self.event_id.len() + topics
    }
}
