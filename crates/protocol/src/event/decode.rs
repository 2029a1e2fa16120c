//! A strict incremental decoder of event streams.

/// One dispatched event.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Event {
    /// The last event id in effect.
    pub id: String,
    /// The event type, `message` when none was sent.
    pub event_type: String,
    /// The data lines joined by LF.
    pub data: String,
}

/// Turns chunks of bytes into events, whatever the chunk boundaries.
#[derive(Debug, Default)]
pub struct Decoder {}
