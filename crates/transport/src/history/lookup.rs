//! What an event id stands for.

use std::io;

use super::segment::{Segment, read_frame};
use super::shared::Shared;
use crate::{Lookup, Position};

/// What an id says by itself, without reading the disk.
pub(super) enum Decoded {
    /// It was given to an update that is kept.
    Kept(Position),
    /// A publisher may have chosen it; if none did, it stands for this.
    Otherwise(Otherwise),
}

/// What an id stands for if no kept update was given it by its publisher.
#[derive(Debug, Clone, Copy)]
pub(super) enum Otherwise {
    Unknown,
    Deleted,
    /// The run that made it ended at this position.
    Past(Position),
}

/// Decrypts an id.
pub(super) fn decode(shared: &Shared, event_id: &str) -> Decoded {
    let decoded = shared.ids.decode(event_id);
    let known = decoded.and_then(|(tag, position)| {
        let (run, last) = shared.manifest.run(tag)?;
        (position >= run.first).then_some((position, last))
    });
    let Some((position, last)) = known else {
        return Decoded::Otherwise(Otherwise::Unknown);
    };
    let head = shared.newest().head;
    match last {
        None if position > head => Decoded::Otherwise(Otherwise::Unknown),
        Some(last) if position > last => Decoded::Otherwise(Otherwise::Past(last)),
        _ if position > shared.cursor_floor() => Decoded::Kept(position),
        _ => Decoded::Otherwise(Otherwise::Deleted),
    }
}

/// Asks the indexes, oldest segment first: the earliest update with an id wins.
pub(super) fn find(shared: &Shared, event_id: &str, otherwise: Otherwise) -> Lookup {
    let floor = shared.cursor_floor();
    for segment in shared.segments().iter() {
        if segment.last() <= floor {
            continue;
        }
        match segment.chosen(event_id, floor, &shared.files) {
            Ok(Some(position)) => return Lookup::Found(position),
            Ok(None) => {}
            // Retention was faster.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                tracing::error!(%error, segment = segment.number, "an index cannot be read");
            }
        }
    }
    match otherwise {
        Otherwise::Unknown => Lookup::Unknown,
        Otherwise::Deleted => Lookup::Deleted,
        Otherwise::Past(last) => past(shared, last, floor),
    }
}

/// The client is ahead of what survived of a run: it goes on where the run ended.
fn past(shared: &Shared, last: Position, floor: Position) -> Lookup {
    if last <= floor {
        return Lookup::Deleted;
    }
    let segments = shared.segments();
    let segment = segments.partition_point(|segment| segment.last() < last);
    match segments
        .get(segment)
        .map(|segment| event_id_at(shared, segment, last))
    {
        Some(Ok(Some(event_id))) => Lookup::Past {
            position: last,
            event_id,
        },
        _ => Lookup::Deleted,
    }
}

fn event_id_at(
    shared: &Shared,
    segment: &std::sync::Arc<Segment>,
    position: Position,
) -> io::Result<Option<String>> {
    let Some(at) = segment.offset(position, &shared.files)? else {
        return Ok(None);
    };
    let file = segment.file(&shared.files)?;
    let frame = read_frame(&*file, at.into(), segment.end())?;
    Ok(frame.map(|frame| frame.event_id.into()))
}
