//! The bytes of the journal; `docs/history-format.md` describes them.

use std::sync::Arc;

use crate::events::Event;
use crate::history::format::{
    Content, Fields, Record, encode_record, is_sealed, put_u32, put_u64, seal,
};
use crate::{Frame, Position, RunTag};

/// The journal's name.
pub(in crate::history) const NAME: &str = "events";
const MAGIC: [u8; 8] = *b"TALEVENT";
const VERSION: u32 = 1;
/// Bytes of the header.
pub(super) const HEADER: usize = 8 + 4 + 3 * 8 + 4;
/// The bytes around the record of an entry: a tag and a checksum.
const TAG: usize = 8;
const CRC: usize = 4;

/// The positions after the last update of the segments that were given to events, kept or not.
#[derive(Debug, Clone, Copy)]
pub(in crate::history) struct Given {
    pub(in crate::history) run: RunTag,
    pub(in crate::history) first: Position,
    pub(in crate::history) last: Position,
}

/// Appends the entry of an event.
pub(in crate::history) fn encode_entry(run: RunTag, frame: &Frame, time: u64, out: &mut Vec<u8>) {
    let start = out.len();
    put_u64(out, run.to_u64());
    encode_record(frame, time, false, out);
    seal(out, start);
}

pub(super) fn encode_header(given: Given) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEADER);
    out.extend_from_slice(&MAGIC);
    put_u32(&mut out, VERSION);
    for value in [given.run.to_u64(), given.first.0, given.last.0] {
        put_u64(&mut out, value);
    }
    seal(&mut out, 0);
    out
}

pub(super) fn decode_header(bytes: &[u8]) -> Option<Given> {
    let whole = bytes.get(..HEADER).filter(|whole| is_sealed(whole))?;
    let mut fields = Fields(whole);
    if fields.take(MAGIC.len())? != MAGIC || fields.u32()? != VERSION {
        return None;
    }
    Some(Given {
        run: RunTag::from_u64(fields.u64()?),
        first: Position(fields.u64()?),
        last: Position(fields.u64()?),
    })
}

/// Decodes the entry at the start of the bytes; also returns its length.
pub(super) fn decode_entry(bytes: &[u8]) -> Option<(RunTag, Event, usize)> {
    let record = bytes.get(TAG..)?;
    let length = TAG + Record::length_of(record)? + CRC;
    let whole = bytes.get(..length).filter(|whole| is_sealed(whole))?;
    let tag = RunTag::from_u64(Fields(whole).u64()?);
    match Record::parse(record)?.content {
        Content::Update(stored) if stored.by_hub => {
            let event = Event::new(Arc::new(stored.to_frame()), stored.time);
            Some((tag, event, length))
        }
        _ => None,
    }
}
