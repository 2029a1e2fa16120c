//! Reports the damage that readers find.

use std::io;
use std::sync::Arc;

use super::names;
use super::segment::{Segment, read_frame};
use super::shared::Shared;
use crate::Position;

/// Reports the damage that begins at the position `lost`. From now on subscribers resume after it.
///
/// # Errors
/// If the extent of the damage cannot be read now; then nothing is reported.
pub(super) fn report(shared: &Shared, segment: &Arc<Segment>, lost: Position) -> io::Result<()> {
    let files = &shared.files;
    let at = segment.offset(lost, files)?;
    let mut behind = lost;
    while behind < segment.last() && !is_readable(shared, segment, behind.next())? {
        behind = behind.next();
    }
    let name = names::segment(segment.number, segment.first);
    shared.report_damage(&name, at, lost, behind);
    Ok(())
}

fn is_readable(shared: &Shared, segment: &Arc<Segment>, position: Position) -> io::Result<bool> {
    let Some(at) = segment.offset(position, &shared.files)? else {
        return Ok(false);
    };
    let file = segment.file(&shared.files)?;
    let frame = read_frame(&*file, at.into(), segment.end())?;
    // Events have no record here; the update after them shows that they existed.
    Ok(frame.is_some_and(|frame| frame.position >= position))
}
