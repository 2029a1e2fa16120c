//! The records of a group.

use std::sync::Arc;

use bytes::Bytes;
use talaria_protocol::TraceContext;

use super::fields::{CRC, Fields, is_sealed, length_of, put_u16, put_u32, put_u64, seal};
use crate::{Frame, Position};

/// Bytes of a record of events.
pub(in crate::history) const EVENTS: usize = 8 + 16 + CRC;
/// The least bytes of a void: kind, length, checksum.
pub(in crate::history) const VOID: usize = 8 + CRC;

const KIND_UPDATE: u8 = 1;
const KIND_SNAPSHOT: u8 = 2;
const KIND_VOID: u8 = 3;
const KIND_EVENTS: u8 = 4;
const FLAG_PRIVATE: u8 = 1;
const FLAG_CHOSEN: u8 = 2;
const FLAG_BY_HUB: u8 = 4;

/// A record, borrowed from what was read.
#[derive(Debug, Clone)]
pub(in crate::history) struct Record<'a> {
    pub(in crate::history) content: Content<'a>,
    /// The length of the whole record, in bytes.
    pub(in crate::history) length: usize,
}

/// The content of a record.
#[derive(Debug, Clone)]
pub(in crate::history) enum Content<'a> {
    Update(Stored<'a>),
    /// The subscriptions at the start of a segment, which have no position. This version skips them.
    Snapshot,
    /// Bytes that a repair gave up.
    Void,
    /// The first and the last position of subscription events, which are stored elsewhere. The record
    /// stands before the update that follows them.
    Events(Position, Position),
}

/// A stored update.
#[derive(Debug, Clone)]
pub(in crate::history) struct Stored<'a> {
    pub(in crate::history) position: Position,
    /// When it was committed, in milliseconds since 1970. Times never decrease.
    pub(in crate::history) time: u64,
    pub(in crate::history) private: bool,
    /// Whether it is a subscription event of the hub.
    pub(in crate::history) by_hub: bool,
    /// Whether its publisher chose the id, which must then be indexed.
    pub(in crate::history) chosen: bool,
    pub(in crate::history) event_id: &'a str,
    topics: Fields<'a>,
    topic_count: usize,
    /// The trace context, empty if there is none.
    trace: &'a [u8],
    /// The event stream bytes.
    pub(in crate::history) event: &'a [u8],
}

/// Appends the record of a frame.
pub(in crate::history) fn encode_record(frame: &Frame, time: u64, chosen: bool, out: &mut Vec<u8>) {
    let start = out.len();
    let private = if frame.private { FLAG_PRIVATE } else { 0 };
    let chosen = if chosen { FLAG_CHOSEN } else { 0 };
    let by_hub = if frame.by_hub { FLAG_BY_HUB } else { 0 };
    out.extend_from_slice(&[KIND_UPDATE, private | chosen | by_hub]);
    // No request may name that many; only an imported update could.
    let topics = &frame.topics[..frame.topics.len().min(u16::MAX.into())];
    put_u16(out, topics.len() as u16);
    let length_at = out.len();
    put_u32(out, 0);
    put_u64(out, frame.position.0);
    put_u64(out, time);
    put_u32(out, length_of(frame.event_id.as_bytes()));
    let trace = frame.trace.as_ref().map(|trace| trace.stored());
    let trace = trace.unwrap_or_default();
    // A context has at most some hundred bytes.
    put_u16(out, u16::try_from(trace.len()).unwrap_or(0));
    put_u16(out, 0);
    put_u32(out, length_of(&frame.bytes));
    out.extend_from_slice(frame.event_id.as_bytes());
    for topic in topics {
        put_u32(out, length_of(topic.as_bytes()));
        out.extend_from_slice(topic.as_bytes());
    }
    out.extend_from_slice(trace.as_bytes());
    out.extend_from_slice(&frame.bytes);
    let length = length_of(&out[start..]).saturating_add(CRC as u32);
    out[length_at..length_at + 4].copy_from_slice(&length.to_le_bytes());
    seal(out, start);
}

/// Appends the record of the events from `first` to `last`.
pub(in crate::history) fn encode_events(first: Position, last: Position, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&[KIND_EVENTS, 0, 0, 0]);
    put_u32(out, EVENTS as u32);
    put_u64(out, first.0);
    put_u64(out, last.0);
    seal(out, start);
}

/// A record of `length` bytes, at least [`VOID`], for the place of bytes that a repair gives up.
pub(in crate::history) fn encode_void(length: u32) -> Vec<u8> {
    let mut out = vec![KIND_VOID, 0, 0, 0];
    put_u32(&mut out, length);
    out.resize((length as usize).max(VOID) - CRC, 0);
    seal(&mut out, 0);
    out
}

impl<'a> Record<'a> {
    /// The length of the record at the start of the bytes; `None` if they do not begin with one.
    pub(in crate::history) fn length_of(bytes: &[u8]) -> Option<usize> {
        let mut fields = Fields(bytes);
        let kind = fields.u8()?;
        fields.take(3)?;
        let length = fields.u32()? as usize;
        let possible = length >= VOID;
        (matches!(kind, KIND_UPDATE..=KIND_EVENTS) && possible).then_some(length)
    }

    /// Decodes the record at the start of the bytes; `None` if it is incomplete or damaged.
    pub(in crate::history) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let whole = bytes.get(..Self::length_of(bytes)?)?;
        is_sealed(whole).then(|| Self::parse_sealed(whole))?
    }

    fn parse_sealed(whole: &'a [u8]) -> Option<Self> {
        let length = whole.len();
        let mut fields = Fields(&whole[..length - CRC]);
        let content = match fields.u8()? {
            KIND_SNAPSHOT => Content::Snapshot,
            KIND_VOID => Content::Void,
            KIND_EVENTS => {
                fields.take(7)?;
                let (first, last) = (Position(fields.u64()?), Position(fields.u64()?));
                (first <= last && fields.0.is_empty()).then_some(Content::Events(first, last))?
            }
            _ => Content::Update(Stored::parse(fields)?),
        };
        Some(Self { content, length })
    }
}

impl<'a> Stored<'a> {
    fn parse(mut fields: Fields<'a>) -> Option<Self> {
        let flags = fields.u8()?;
        let topic_count = fields.u16()?.into();
        fields.u32()?;
        let position = Position(fields.u64()?);
        let time = fields.u64()?;
        let id_length = fields.u32()? as usize;
        let trace_length = fields.u16()?.into();
        fields.u16()?;
        let event_length = fields.u32()? as usize;
        let event_id = fields.text(id_length)?;
        let topics = fields.clone();
        for _ in 0..topic_count {
            let length = fields.u32()? as usize;
            fields.text(length)?;
        }
        let trace = fields.take(trace_length)?;
        let event = fields.take(event_length)?;
        fields.0.is_empty().then_some(Self {
            position,
            time,
            private: flags & FLAG_PRIVATE != 0,
            chosen: flags & FLAG_CHOSEN != 0,
            by_hub: flags & FLAG_BY_HUB != 0,
            event_id,
            topics,
            topic_count,
            trace,
            event,
        })
    }

    /// The topics, the canonical one first.
    pub(in crate::history) fn topics(&self) -> impl Iterator<Item = &'a str> {
        let mut fields = self.topics.clone();
        (0..self.topic_count).map_while(move |_| {
            let length = fields.u32()? as usize;
            fields.text(length)
        })
    }

    /// The trace context. One that this version cannot read counts as none.
    fn trace(&self) -> Option<Arc<TraceContext>> {
        match self.trace {
            [] => None,
            bytes => TraceContext::from_stored(bytes).map(Arc::new),
        }
    }

    /// The frame. Its bytes are copied, so that it does not keep alive what was read around it.
    pub(in crate::history) fn to_frame(&self) -> Frame {
        Frame {
            position: self.position,
            event_id: self.event_id.into(),
            topics: self.topics().map(Into::into).collect(),
            private: self.private,
            by_hub: self.by_hub,
            trace: self.trace(),
            bytes: Bytes::copy_from_slice(self.event),
            stamp: Default::default(),
        }
    }
}

/// Decodes the update at the start of these bytes after correcting their checksum. For fuzzing, which
/// would never guess a checksum.
#[doc(hidden)]
pub fn decode_sealed(bytes: &[u8]) -> Option<Frame> {
    let length = Record::length_of(bytes)?.checked_sub(CRC)?;
    let mut whole = bytes.get(..length)?.to_vec();
    seal(&mut whole, 0);
    match Record::parse(&whole)?.content {
        Content::Update(stored) => Some(stored.to_frame()),
        Content::Snapshot | Content::Void | Content::Events(..) => None,
    }
}
