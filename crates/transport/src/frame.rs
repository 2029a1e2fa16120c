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
    /// Whether the hub itself made it: a subscription event.
    pub by_hub: bool,
    /// The event stream bytes, id line and blank line included.
    pub bytes: Bytes,
}

impl Frame {
    /// Serialises an update for good.
    pub fn new(position: Position, event_id: String, update: Update) -> Self {
        let bytes = event::encode(&update, &event_id);
        // Frames stay for long, so they are exactly as long as they must be, and copied where
        // cutting off what is left over would leave a hole that nothing fits into.
        let bytes = if has_much_left(bytes.len(), bytes.capacity()) {
            Bytes::copy_from_slice(&bytes)
        } else {
            bytes.into_boxed_slice().into()
        };
        Self {
            position,
            bytes,
            event_id: exact(event_id),
            topics: update.topics.into_iter().map(exact).collect(),
            private: update.private,
            by_hub: update.by_hub,
        }
    }

    /// What the frame occupies in memory, in bytes: as glibc allocates it, with its counts, its place
    /// in the ring, and what sharing its bytes takes.
    pub fn weight(&self) -> usize {
        const COUNTS: usize = 16;
        const PLACE: usize = 16;
        const SHARED: usize = 48;
        let topics: usize = self.topics.iter().map(|topic| allocated(topic.len())).sum();
        allocated(size_of::<Self>() + COUNTS)
            + PLACE
            + SHARED
            + allocated(self.bytes.len())
            + allocated(self.event_id.len())
            + allocated(self.topics.len() * size_of::<Box<str>>())
            + topics
    }
}

fn exact(text: String) -> Box<str> {
    if has_much_left(text.len(), text.capacity()) {
        return text.as_str().into();
    }
    text.into()
}

/// Whether an allocation is larger than what it holds needs.
fn has_much_left(length: usize, capacity: usize) -> bool {
    allocated(capacity) > allocated(length)
}

/// What an allocation of `bytes` bytes takes.
fn allocated(bytes: usize) -> usize {
    (bytes + 8).next_multiple_of(16).max(32)
}
