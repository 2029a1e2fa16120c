//! The bytes of a segment file; `docs/history-format.md` describes them one by one.
//!
//! A segment is a header and then groups, each a header and its records. All numbers are little
//! endian. Every byte is covered by a CRC32C.

use bytes::Bytes;

use super::manifest::Run;
use crate::{Frame, Position, RunTag};

/// The format that this program writes; it reads the earlier ones too.
pub(super) const VERSION: u32 = 2;
/// The first format, which has no records of events.
pub(super) const FIRST_VERSION: u32 = 1;
/// Bytes of a segment's header.
pub(super) const SEGMENT_HEADER: usize = 88;
/// Bytes of a group's header.
pub(super) const GROUP_HEADER: usize = 72;
const CRC: usize = 4;
/// Bytes of a record of events.
pub(super) const EVENTS: usize = 8 + 16 + CRC;
/// Bytes of a void at least: kind, length, checksum.
pub(super) const VOID: usize = 8 + CRC;

const SEGMENT_MAGIC: [u8; 8] = *b"TALARIA\n";
/// No kind of record begins like this.
pub(super) const GROUP_MAGIC: [u8; 4] = *b"\xA7GRP";
const KIND_UPDATE: u8 = 1;
const KIND_SNAPSHOT: u8 = 2;
const KIND_VOID: u8 = 3;
const KIND_EVENTS: u8 = 4;
const FLAG_PRIVATE: u8 = 1;
const FLAG_CHOSEN: u8 = 2;
const FLAG_BY_HUB: u8 = 4;

/// What a segment says about itself, and about the log, so that the manifest can be rebuilt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    pub(super) number: u64,
    /// The position of its first update.
    pub(super) first: Position,
    pub(super) run: Run,
    /// The retention floor when it was created.
    pub(super) floor: Position,
    /// The sequence number of the last update imported before it.
    pub(super) imported: u64,
    /// When it was created, in milliseconds since 1970.
    pub(super) created: u64,
    /// The key of the event ids.
    pub(super) key: [u8; 16],
}

/// Why a header cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HeaderFault {
    Unreadable,
    Version(u32),
}

impl SegmentHeader {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(SEGMENT_HEADER);
        out.extend_from_slice(&SEGMENT_MAGIC);
        put_u32(&mut out, VERSION);
        for value in [
            self.number,
            self.first.0,
            self.run.tag.to_u64(),
            self.run.first.0,
            self.floor.0,
            self.imported,
            self.created,
        ] {
            put_u64(&mut out, value);
        }
        out.extend_from_slice(&self.key);
        seal(&mut out, 0);
        out
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, HeaderFault> {
        let mut fields = Fields(bytes);
        if fields.take(8) != Some(&SEGMENT_MAGIC) {
            return Err(HeaderFault::Unreadable);
        }
        // A later format keeps magic and version where they are, and perhaps nothing else.
        match fields.u32() {
            Some(FIRST_VERSION..=VERSION) => {}
            Some(version) => return Err(HeaderFault::Version(version)),
            None => return Err(HeaderFault::Unreadable),
        }
        let whole = bytes.get(..SEGMENT_HEADER).filter(|whole| is_sealed(whole));
        whole
            .and_then(|_| Self::decode_fields(fields))
            .ok_or(HeaderFault::Unreadable)
    }

    fn decode_fields(mut fields: Fields<'_>) -> Option<Self> {
        Some(Self {
            number: fields.u64()?,
            first: Position(fields.u64()?),
            run: Run {
                tag: RunTag::from_u64(fields.u64()?),
                first: Position(fields.u64()?),
            },
            floor: Position(fields.u64()?),
            imported: fields.u64()?,
            created: fields.u64()?,
            key: fields.take(16)?.try_into().ok()?,
        })
    }
}

/// What precedes the records that were written and synced together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct GroupHeader {
    /// How many updates; a closing group has none.
    pub(super) count: u32,
    pub(super) run: RunTag,
    /// The segment's number.
    pub(super) number: u64,
    /// Where the group begins in the segment.
    pub(super) at: u64,
    /// The position of the first update.
    pub(super) first: Position,
    /// The retention floor once the group is committed.
    pub(super) floor: Position,
    /// The mark: up to here the segment was known to be durable when the group was written.
    pub(super) mark: u64,
    /// The sequence number of the last imported update.
    pub(super) imported: u64,
    /// Bytes of the records that follow.
    pub(super) length: u32,
}

impl GroupHeader {
    /// Appends the header.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&GROUP_MAGIC);
        put_u32(out, self.count);
        for value in [
            self.run.to_u64(),
            self.number,
            self.at,
            self.first.0,
            self.floor.0,
            self.mark,
            self.imported,
        ] {
            put_u64(out, value);
        }
        put_u32(out, self.length);
        seal(out, start);
    }

    /// Reads a header; `None` if these are not the bytes of one.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields(bytes);
        if fields.take(4)? != GROUP_MAGIC {
            return None;
        }
        let header = Self {
            count: fields.u32()?,
            run: RunTag::from_u64(fields.u64()?),
            number: fields.u64()?,
            at: fields.u64()?,
            first: Position(fields.u64()?),
            floor: Position(fields.u64()?),
            mark: fields.u64()?,
            imported: fields.u64()?,
            length: fields.u32()?,
        };
        is_sealed(bytes.get(..GROUP_HEADER)?).then_some(header)
    }
}

/// A record, borrowed from what was read.
#[derive(Debug, Clone)]
pub(super) struct Record<'a> {
    pub(super) content: Content<'a>,
    /// The bytes of the whole record.
    pub(super) length: usize,
}

/// What a record holds.
#[derive(Debug, Clone)]
pub(super) enum Content<'a> {
    Update(Stored<'a>),
    /// The subscriptions at the head of a segment; it has no position. Skipped by this version.
    Snapshot,
    /// What a repair gave up.
    Void,
    /// The positions from the first to the last are those of subscription events, which are stored
    /// apart. It precedes the update that follows them.
    Events(Position, Position),
}

/// A stored update.
#[derive(Debug, Clone)]
pub(super) struct Stored<'a> {
    pub(super) position: Position,
    /// When it was committed, in milliseconds since 1970; never decreasing.
    pub(super) time: u64,
    pub(super) private: bool,
    /// Whether it is a subscription event of the hub.
    pub(super) by_hub: bool,
    /// Whether its id was not made by this log and so must be indexed.
    pub(super) chosen: bool,
    pub(super) event_id: &'a str,
    topics: Fields<'a>,
    topic_count: usize,
    /// The event stream bytes.
    pub(super) event: &'a [u8],
}

/// Appends the record of a frame.
pub(super) fn encode_record(frame: &Frame, time: u64, chosen: bool, out: &mut Vec<u8>) {
    let start = out.len();
    let private = if frame.private { FLAG_PRIVATE } else { 0 };
    let chosen = if chosen { FLAG_CHOSEN } else { 0 };
    let by_hub = if frame.by_hub { FLAG_BY_HUB } else { 0 };
    out.extend_from_slice(&[KIND_UPDATE, private | chosen | by_hub]);
    // More than any request may name; only an old database could have them.
    let topics = &frame.topics[..frame.topics.len().min(u16::MAX.into())];
    put_u16(out, topics.len() as u16);
    let length_at = out.len();
    put_u32(out, 0);
    put_u64(out, frame.position.0);
    put_u64(out, time);
    put_u32(out, length_of(frame.event_id.as_bytes()));
    // No trace context and no reserved bits yet.
    put_u32(out, 0);
    put_u32(out, length_of(&frame.bytes));
    out.extend_from_slice(frame.event_id.as_bytes());
    for topic in topics {
        put_u32(out, length_of(topic.as_bytes()));
        out.extend_from_slice(topic.as_bytes());
    }
    out.extend_from_slice(&frame.bytes);
    let length = length_of(&out[start..]).saturating_add(CRC as u32);
    out[length_at..length_at + 4].copy_from_slice(&length.to_le_bytes());
    seal(out, start);
}

/// Appends the record of the events from `first` to `last`.
pub(super) fn encode_events(first: Position, last: Position, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&[KIND_EVENTS, 0, 0, 0]);
    put_u32(out, EVENTS as u32);
    put_u64(out, first.0);
    put_u64(out, last.0);
    seal(out, start);
}

/// The record that stands where something was given up, of so many bytes, at least [`VOID`].
pub(super) fn encode_void(length: u32) -> Vec<u8> {
    let mut out = vec![KIND_VOID, 0, 0, 0];
    put_u32(&mut out, length);
    out.resize((length as usize).max(VOID) - CRC, 0);
    seal(&mut out, 0);
    out
}

impl<'a> Record<'a> {
    /// The length of the record at the start of the bytes, unless there is none.
    pub(super) fn length_of(bytes: &[u8]) -> Option<usize> {
        let mut fields = Fields(bytes);
        let kind = fields.u8()?;
        fields.take(3)?;
        let length = fields.u32()? as usize;
        let possible = length >= VOID;
        (matches!(kind, KIND_UPDATE..=KIND_EVENTS) && possible).then_some(length)
    }

    /// Reads the record at the start of the bytes; `None` if it is not whole.
    pub(super) fn parse(bytes: &'a [u8]) -> Option<Self> {
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
        fields.take(trace_length)?;
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
            event,
        })
    }

    /// The topics, canonical one first.
    pub(super) fn topics(&self) -> impl Iterator<Item = &'a str> {
        let mut fields = self.topics.clone();
        (0..self.topic_count).map_while(move |_| {
            let length = fields.u32()? as usize;
            fields.text(length)
        })
    }

    /// The frame, its bytes copied, so that it does not hold on to what was read around it.
    pub(super) fn to_frame(&self) -> Frame {
        Frame {
            position: self.position,
            event_id: self.event_id.into(),
            topics: self.topics().map(Into::into).collect(),
            private: self.private,
            by_hub: self.by_hub,
            bytes: Bytes::copy_from_slice(self.event),
        }
    }
}

/// Fields that are taken from the front.
#[derive(Debug, Clone)]
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Fields<'a> {
    pub(super) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, left) = self.0.split_at_checked(length)?;
        self.0 = left;
        Some(taken)
    }

    fn text(&mut self, length: usize) -> Option<&'a str> {
        std::str::from_utf8(self.take(length)?).ok()
    }

    fn u8(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    fn u16(&mut self) -> Option<u16> {
        Some(u16::from_le_bytes(self.take(2)?.try_into().ok()?))
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(self.take(8)?.try_into().ok()?))
    }
}

fn put_u16(out: &mut Vec<u8>, value: u16) {
    out.extend_from_slice(&value.to_le_bytes());
}

pub(super) fn put_u32(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_le_bytes());
}

pub(super) fn put_u64(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(&value.to_le_bytes());
}

/// Lengths are bounded long before, by the limits of a request and of a group.
fn length_of(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

/// Appends the checksum of what was appended since `start`.
pub(super) fn seal(out: &mut Vec<u8>, start: usize) {
    let checksum = crc32c::crc32c(&out[start..]);
    put_u32(out, checksum);
}

/// Whether the last four bytes are the checksum of those before.
pub(super) fn is_sealed(bytes: &[u8]) -> bool {
    bytes
        .split_last_chunk::<CRC>()
        .is_some_and(|(content, checksum)| crc32c::crc32c(content).to_le_bytes() == *checksum)
}

/// The update that a log holds at the start of these bytes, once their checksum is made right: for
/// fuzzing, which would never hit upon one.
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
