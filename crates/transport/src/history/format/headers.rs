//! The headers of segments and groups.

use super::fields::{Fields, is_sealed, put_u32, put_u64, seal};
use crate::history::run::Run;
use crate::{Position, RunTag};

/// The version of the format that this program writes; it reads the earlier ones too.
pub(in crate::history) const VERSION: u32 = 2;
/// The first version of the format, which has no records of events.
pub(in crate::history) const FIRST_VERSION: u32 = 1;
/// Bytes of a segment's header.
pub(in crate::history) const SEGMENT_HEADER: usize = 88;
/// Bytes of a group's header.
pub(in crate::history) const GROUP_HEADER: usize = 72;

const SEGMENT_MAGIC: [u8; 8] = *b"TALARIA\n";
/// The start of a group's header; no record begins like it.
pub(in crate::history) const GROUP_MAGIC: [u8; 4] = *b"\xA7GRP";

/// The header of a segment. It has enough about the log that the manifest can be rebuilt from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::history) struct SegmentHeader {
    pub(in crate::history) number: u64,
    /// The position of its first update.
    pub(in crate::history) first: Position,
    pub(in crate::history) run: Run,
    /// The retention floor when it was created.
    pub(in crate::history) floor: Position,
    /// The sequence number of the last update imported before it.
    pub(in crate::history) imported: u64,
    /// When it was created, in milliseconds since 1970.
    pub(in crate::history) created: u64,
    /// The key of the event ids.
    pub(in crate::history) key: [u8; 16],
}

/// Why a header cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::history) enum HeaderFault {
    Unreadable,
    Version(u32),
}

impl SegmentHeader {
    pub(in crate::history) fn encode(&self) -> Vec<u8> {
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

    pub(in crate::history) fn decode(bytes: &[u8]) -> Result<Self, HeaderFault> {
        let mut fields = Fields(bytes);
        if fields.take(8) != Some(&SEGMENT_MAGIC) {
            return Err(HeaderFault::Unreadable);
        }
        // A later format keeps the places of magic and version, and perhaps nothing else.
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

/// The header of the records that were written and synced together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::history) struct GroupHeader {
    /// The number of updates; zero in a group that only records facts.
    pub(in crate::history) count: u32,
    pub(in crate::history) run: RunTag,
    /// The segment's number.
    pub(in crate::history) number: u64,
    /// Where the group begins in the segment.
    pub(in crate::history) at: u64,
    /// The position of the first update.
    pub(in crate::history) first: Position,
    /// The retention floor after the group.
    pub(in crate::history) floor: Position,
    /// The mark: how many bytes of the segment were known to be durable when the group was written.
    pub(in crate::history) mark: u64,
    /// The sequence number of the last imported update.
    pub(in crate::history) imported: u64,
    /// The bytes of the records that follow.
    pub(in crate::history) length: u32,
}

impl GroupHeader {
    /// Appends the header.
    pub(in crate::history) fn encode(&self, out: &mut Vec<u8>) {
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

    /// Decodes a header; `None` if the bytes are not one.
    pub(in crate::history) fn decode(bytes: &[u8]) -> Option<Self> {
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
