//! Reads single records of a segment.

use std::io;

use crate::Frame;
use crate::history::disk::File;
use crate::history::format::{Content, Record};

/// The bytes that are read of a record before its length is known.
const FIRST_LOOK: usize = 1 << 10;

/// Reads the update at an offset; `None` if it is not readable.
pub(in crate::history) fn read_frame(
    file: &dyn File,
    at: u64,
    end: u64,
) -> io::Result<Option<Frame>> {
    let bytes = read_record(file, at, end)?;
    Ok(
        bytes.and_then(|bytes| match Record::parse(&bytes)?.content {
            Content::Update(stored) => Some(stored.to_frame()),
            Content::Snapshot | Content::Void | Content::Events(..) => None,
        }),
    )
}

/// Reads the bytes of a record without checking them; `None` if a part is missing.
pub(in crate::history) fn read_record(
    file: &dyn File,
    at: u64,
    end: u64,
) -> io::Result<Option<Vec<u8>>> {
    let left = usize::try_from(end.saturating_sub(at)).unwrap_or(usize::MAX);
    let mut bytes = vec![0; FIRST_LOOK.min(left)];
    let mut read = file.read_at(&mut bytes, at)?;
    let Some(length) = Record::length_of(&bytes[..read]).filter(|length| *length <= left) else {
        return Ok(None);
    };
    bytes.resize(length, 0);
    if length > read {
        let rest = file.read_at(&mut bytes[read..], at + read as u64)?;
        read += rest;
    }
    Ok(Some(bytes).filter(|bytes| read >= bytes.len()))
}
