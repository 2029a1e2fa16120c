//! Updates as they are stored and sent: serialized once, shared by all readers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use talaria_protocol::{TraceContext, Update, event};

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
    /// Whether only readers that are authorized for one of its topics may receive it.
    pub private: bool,
    /// Whether it is a subscription event, which the hub itself publishes.
    pub by_hub: bool,
    /// The operation that published it; clients are not sent it.
    pub trace: Option<Arc<TraceContext>>,
    /// The event stream bytes, id line and blank line included.
    pub bytes: Bytes,
    /// When it became visible, for measurements.
    pub stamp: Stamp,
}

/// A moment that is set once, in a unit and from an origin that its setter chooses.
#[derive(Debug, Default)]
pub struct Stamp(AtomicU64);

impl Stamp {
    /// Sets the moment, which is not 0.
    pub fn set(&self, moment: u64) {
        self.0.store(moment, Ordering::Relaxed);
    }

    /// The moment; `None` if it was not set.
    pub fn get(&self) -> Option<u64> {
        Some(self.0.load(Ordering::Relaxed)).filter(|moment| *moment > 0)
    }
}

impl Frame {
    /// Serializes an update.
    pub fn new(position: Position, event_id: String, update: Update) -> Self {
        let bytes = event::encode(&update, &event_id);
        // Frames stay in memory for long, so they take no spare capacity. Where shrinking the allocation
        // would leave a hole that no other allocation fits into, the bytes are copied instead.
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
            trace: update.trace,
            stamp: Stamp::default(),
        }
    }

    /// The memory that the frame takes, in bytes: what glibc allocates for it, its reference counts, its
    /// place in the ring, and the structure that shares its bytes.
    pub fn weight(&self) -> usize {
        const COUNTS: usize = 16;
        const PLACE: usize = 16;
        const SHARED: usize = 48;
        let topics: usize = self.topics.iter().map(|topic| allocated(topic.len())).sum();
        let trace = self.trace.as_ref().map_or(0, |trace| {
            allocated(size_of::<TraceContext>() + COUNTS) + allocated(trace.state.len())
        });
        allocated(size_of::<Self>() + COUNTS)
            + PLACE
            + SHARED
            + allocated(self.bytes.len())
            + allocated(self.event_id.len())
            + allocated(self.topics.len() * size_of::<Box<str>>())
            + topics
            + trace
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

/// The memory that glibc takes for an allocation of `bytes` bytes.
fn allocated(bytes: usize) -> usize {
    (bytes + 8).next_multiple_of(16).max(32)
}
