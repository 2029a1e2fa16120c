//! Finds the update of an event id.

use std::io;
use std::sync::Arc;

use super::segment::{Chosen, Segment, read_frame};
use super::shared::Shared;
use super::tier::{Tier, covering, give_up};
use super::{damage, unreadable};
use crate::{Lookup, Position, Unavailable};

/// The segments that are fetched of a tier at a time.
const HITS: usize = 16;

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
    let search = Search {
        shared,
        event_id,
        hash: shared.files.hashes.of(event_id),
        floor: shared.floor(),
    };
    let (segments, tiers) = (shared.segments(), shared.tiers.list());
    let mut next = segments.partition_point(|segment| segment.last() <= search.floor);
    while let Some(segment) = segments.get(next) {
        if let Some(tier) = covering(&tiers, segment.number) {
            match search.find_by(tier, &segments[next..])? {
                Found::Here(found) => return Ok(Some(found)),
                Found::Nowhere => {
                    next = segments.partition_point(|segment| segment.number <= tier.last());
                    continue;
                }
                Found::Unreadable => {}
            }
        }
        next += 1;
        match segment.may_hold(search.hash) {
            None => return Ok(None),
            Some(false) => continue,
            Some(true) => {}
        }
        if let Some(found) = search.find_in(segment)? {
            return Ok(Some(found));
        }
    }
    match otherwise {
        Otherwise::Unknown => Ok(Some(Lookup::Unknown)),
        Otherwise::Deleted => Ok(Some(Lookup::Deleted)),
        Otherwise::Past(last) => past(shared, last).map(Some),
    }
}

/// The search for the earliest update after the retention floor that has an id.
struct Search<'a> {
    shared: &'a Shared,
    event_id: &'a str,
    hash: u64,
    floor: Position,
}

/// The result of a search by a tier.
enum Found {
    Here(Lookup),
    Nowhere,
    /// The tier is damaged; the indexes of its segments have to be asked.
    Unreadable,
}

impl Search<'_> {
    /// Searches the segments of a tier, from the first of these on.
    fn find_by(&self, tier: &Arc<Tier>, segments: &[Arc<Segment>]) -> Result<Found, Unavailable> {
        let mut from = segments.first().map_or(0, |segment| segment.number);
        loop {
            let hits = match tier.chosen(self.hash, from, HITS) {
                Ok(hits) => hits,
                Err(error) => {
                    give_up(self.shared, tier, &error);
                    return Ok(Found::Unreadable);
                }
            };
            for hit in &hits {
                let place = segments.partition_point(|segment| segment.number < hit.segment);
                // Retention may have deleted it since the tier was written.
                let segment = segments.get(place);
                let Some(segment) = segment.filter(|segment| segment.number == hit.segment) else {
                    continue;
                };
                let found = match hit.at {
                    Some(at) => self.find_at(segment, at)?,
                    None => self.find_in(segment)?,
                };
                if let Some(found) = found {
                    return Ok(Found::Here(found));
                }
            }
            match hits.last() {
                Some(last) if hits.len() == HITS => from = last.segment + 1,
                _ => return Ok(Found::Nowhere),
            }
        }
    }

    /// Reads the only update of a segment that may have the id.
    fn find_at(&self, segment: &Arc<Segment>, at: u32) -> Result<Option<Lookup>, Unavailable> {
        let read = segment.file(&self.shared.files);
        let read = read.and_then(|file| read_frame(&*file, at.into(), segment.end()));
        match read {
            Ok(Some(frame)) if *frame.event_id != *self.event_id => Ok(None),
            Ok(Some(frame)) if frame.position <= self.floor => Ok(None),
            Ok(Some(frame)) => Ok(Some(self.lookup(frame.position))),
            // The index says which update is lost.
            Ok(None) => self.find_in(segment),
            Err(error) => unreadable::judge(self.shared, segment, &error).map(|()| None),
        }
    }

    /// Searches a segment by its index.
    fn find_in(&self, segment: &Arc<Segment>) -> Result<Option<Lookup>, Unavailable> {
        match self.find_by_index(segment) {
            Ok(found) => Ok(found),
            Err(error) => unreadable::judge(self.shared, segment, &error).map(|()| None),
        }
    }

    fn find_by_index(&self, segment: &Arc<Segment>) -> io::Result<Option<Lookup>> {
        let shared = self.shared;
        match segment.chosen(self.event_id, self.floor, &shared.files)? {
            Chosen::Nowhere => Ok(None),
            Chosen::At(position) => Ok(Some(self.lookup(position))),
            // Its hash shows that a lost update had this id, but not where the subscriber can continue.
            Chosen::Lost(position) => {
                if position > shared.cursor_floor() {
                    damage::report(shared, segment, position)?;
                }
                Ok(Some(Lookup::Deleted))
            }
        }
    }

    fn lookup(&self, position: Position) -> Lookup {
        // The updates after it may be damaged.
        if position <= self.shared.cursor_floor() {
            Lookup::Deleted
        } else {
            Lookup::Found(position)
        }
    }
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
