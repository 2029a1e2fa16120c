//! Creates segments, and rewrites parts of them.

use std::io;
use std::sync::Arc;

use crate::history::disk::{Disk, File};
use crate::history::format::SegmentHeader;
use crate::history::names;

/// Creates a segment, durably. A file with its name always has the header.
pub(in crate::history) fn create_segment(
    disk: &dyn Disk,
    header: &SegmentHeader,
) -> io::Result<Arc<dyn File>> {
    let name = names::segment(header.number, header.first);
    let new = format!("{name}{}", names::NEW);
    let write = || -> io::Result<Arc<dyn File>> {
        let file = disk.create(&new)?;
        file.write_at(&header.encode(), 0)?;
        file.sync_data()?;
        disk.rename(&new, &name)?;
        disk.sync()?;
        Ok(file)
    };
    // The unfinished file takes room that a full disk does not have.
    write().inspect_err(|_| drop(disk.remove(&new)))
}

/// Writes the bytes of a part of a file again, as they are read.
pub(in crate::history) fn rewrite(file: &dyn File, from: u64, to: u64) -> io::Result<()> {
    let mut bytes = vec![0; usize::try_from(to - from).unwrap_or(usize::MAX)];
    if file.read_at(&mut bytes, from)? < bytes.len() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    file.write_at(&bytes, from)
}
