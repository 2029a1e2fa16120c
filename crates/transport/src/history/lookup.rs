//! Finds the update of an event id.

use std::io;
use std::sync::Arc;

use super::segment::{Chosen, Segment, read_frame};
use super::shared::Shared;
use super::{damage, unreadable};
use crate::{Lookup, Position, Unavailable};

/// What an id stands for, as far as it says without reading the disk.
pub(super) enum Decoded {
    /// The log gave the id to this update, which is kept.
    Kept(Position),
    /// A publisher may have chosen the id; if none did, it stands for this.
    Otherwise(Otherwise),
}

/// What an id stands for if it is not one that the publisher of a kept update chose.
#[derive(Debug, Clone, Copy)]
pub(super) enum Otherwise {
    Unknown,
    Deleted,
    /// The run that made the id ended at this position.
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

/// Searches the segments for an id that a publisher chose, the oldest first, since the earliest update
/// with an id counts. `None` if a segment must be summarized first.
pub(super) fn find(
    shared: &Shared,
    event_id: &str,
    otherwise: Otherwise,
) -> Result<Option<Lookup>, Unavailable> {
    let floor = shared.floor();
    let hash = shared.files.hashes.of(event_id);
    for segment in shared.segments().iter() {
        if segment.last() <= floor {
            continue;
        }
        match segment.may_hold(hash) {
            None => return Ok(None),
            Some(false) => continue,
            Some(true) => {}
        }
        match find_in(shared, segment, event_id, floor) {
            Ok(Some(found)) => return Ok(Some(found)),
            Ok(None) => {}
            Err(error) => unreadable::judge(shared, segment, &error)?,
        }
    }
    match otherwise {
        Otherwise::Unknown => Ok(Some(Lookup::Unknown)),
        Otherwise::Deleted => Ok(Some(Lookup::Deleted)),
        Otherwise::Past(last) => past(shared, last).map(Some),
    }
}

/// The earliest update of a segment after the retention floor that has the id.
fn find_in(
    shared: &Shared,
    segment: &Arc<Segment>,
    event_id: &str,
    floor: Position,
) -> io::Result<Option<Lookup>> {
    let position = match segment.chosen(event_id, floor, &shared.files)? {
        Chosen::Nowhere => return Ok(None),
        Chosen::At(position) => position,
        // Its hash shows that a lost update had this id, but not where the subscriber can continue.
        Chosen::Lost(position) => {
            if position > shared.cursor_floor() {
                damage::report(shared, segment, position)?;
            }
            return Ok(Some(Lookup::Deleted));
        }
    };
    // The updates after it may be damaged.
    let is_before_damage = position <= shared.cursor_floor();
    Ok(Some(if is_before_damage {
        Lookup::Deleted
    } else {
        Lookup::Found(position)
    }))
}

/// The subscriber is ahead of what survived of a run, so it continues where the run ended.
fn past(shared: &Shared, last: Position) -> Result<Lookup, Unavailable> {
    if last <= shared.cursor_floor() {
        return Ok(Lookup::Deleted);
    }
    let segments = shared.segments();
    let segment = segments.partition_point(|segment| segment.last() < last);
    let id = match segments.get(segment) {
        Some(segment) => match id_at(shared, segment, last) {
            Ok(id) => id,
            Err(error) => {
                return unreadable::judge(shared, segment, &error).map(|()| Lookup::Deleted);
            }
        },
        None => Id::OfEvent,
    };
    let event_id = match id {
        Id::Stored(event_id) => event_id,
        Id::OfEvent => match shared.manifest.run_of(last) {
            Some(run) => shared.ids.encode(run.tag, last),
            None => return Ok(Lookup::Deleted),
        },
        Id::Lost => return Ok(Lookup::Deleted),
    };
    Ok(Lookup::Past {
        position: last,
        event_id,
    })
}

/// The id of a position.
enum Id {
    Stored(String),
    /// The id that the log made for a subscription event.
    OfEvent,
    /// The record with the id is damaged.
    Lost,
}

fn id_at(shared: &Shared, segment: &Arc<Segment>, position: Position) -> io::Result<Id> {
    let Some((place, at)) = segment.place(position, &shared.files)? else {
        return Ok(Id::Lost);
    };
    if place != position {
        return Ok(Id::OfEvent);
    }
    let file = segment.file(&shared.files)?;
    let frame = read_frame(&*file, at.into(), segment.end())?;
    Ok(frame.map_or(Id::Lost, |frame| Id::Stored(frame.event_id.into())))
}
