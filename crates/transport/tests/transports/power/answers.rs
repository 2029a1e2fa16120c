//! The answers of a history while its disk fails at times: the truth, or that it cannot say.

use std::sync::Arc;

use talaria_transport::{Bounds, Frame, Lookup, Page, Position, ReadError, Transport};

use super::model::Model;
use super::verdict::{Violation, promise};
use crate::suite::{Everything, Topic, block_on, look_up, read};

/// How many of a thousand calls that read fail.
const FAULTS: u64 = 150;
/// The topic of every update.
const TOPIC: &str = "https://example.com/books/1";

/// The answer about an id; `None` if it cannot be given now.
fn try_look_up(history: &Arc<dyn Transport>, id: &str) -> Option<Lookup> {
    block_on(history.position_of(id)).ok()
}

/// Whether an error says that the disk could not be read, and not that updates are gone.
fn is_unavailable(error: &ReadError) -> bool {
    matches!(error, ReadError::Unavailable(_))
}

/// The answers of a history whose disk failed meanwhile.
pub struct Answers {
    bounds: Bounds,
    newest_id: Option<String>,
    pages: Vec<(Position, Result<Page, ReadError>)>,
    lookups: Vec<(String, Option<Lookup>)>,
}

impl Answers {
    /// Asks for pages and ids while the disk fails.
    pub fn collect<'a>(
        history: &Arc<dyn Transport>,
        model: &Model,
        ids: impl Iterator<Item = &'a String>,
    ) -> Self {
        model.set_read_faults(FAULTS);
        let bounds = history.bounds();
        let mut pages = Vec::new();
        for is_by_topic in [false, true] {
            let mut from = bounds.floor;
            // An error is an answer too, so success does not matter.
            for _ in 0..20 {
                let (at, to) = (from.0, bounds.head.0);
                let page = if is_by_topic {
                    read(history, at, to, 20_000, Topic(TOPIC))
                } else {
                    read(history, at, to, 20_000, Everything)
                };
                let end = page.as_ref().map_or(from, |page| page.looked_up_to);
                pages.push((from, page));
                from = end;
                if from >= bounds.head {
                    break;
                }
            }
        }
        let lookups = ids.map(|id| (id.clone(), try_look_up(history, id)));
        let lookups = lookups.collect();
        let newest_id = history.newest_id();
        model.set_read_faults(0);
        Self {
            bounds,
            newest_id,
            pages,
            lookups,
        }
    }

    /// Compares the answers with what the same history says once the disk works.
    pub fn check(
        &self,
        history: &Arc<dyn Transport>,
        stored: &[Arc<Frame>],
    ) -> Result<(), Violation> {
        let bounds = history.bounds();
        promise!(
            self.bounds.floor <= bounds.floor && self.bounds.head == bounds.head,
            "{:?} were the bounds of an unreadable disk, and are {bounds:?}",
            self.bounds
        );
        let newest = stored
            .last()
            .filter(|newest| newest.position == bounds.head);
        let newest = newest.map(|frame| &*frame.event_id);
        promise!(
            newest.is_none() || self.newest_id.as_deref() == newest,
            "{:?} is the newest id of an unreadable disk, and is {newest:?}",
            self.newest_id
        );
        for (from, page) in &self.pages {
            match page {
                Err(error) => promise!(
                    is_unavailable(error) || *from < bounds.floor,
                    "a page after {from} of an unreadable disk: {error}"
                ),
                Ok(page) => {
                    let end = page.looked_up_to;
                    let of_page =
                        |frame: &&Arc<Frame>| frame.position > *from && frame.position <= end;
                    let ids = |frames: &mut dyn Iterator<Item = &Arc<Frame>>| -> Vec<_> {
                        // Updates that were deleted meanwhile are not compared.
                        let kept = frames.filter(|frame| frame.position > bounds.floor);
                        kept.map(|frame| (frame.position, frame.event_id.clone()))
                            .collect()
                    };
                    let found = ids(&mut page.frames.iter());
                    let expected = ids(&mut stored.iter().filter(of_page));
                    promise!(
                        found == expected,
                        "a page after {from} up to {end} of an unreadable disk holds {found:?} and not {expected:?}"
                    );
                }
            }
        }
        for (id, lookup) in &self.lookups {
            let Some(lookup) = lookup else { continue };
            let truth = look_up(history, id);
            // Retention may delete meanwhile.
            let floor = history.bounds().floor;
            let is_deleted_since = matches!(lookup, Lookup::Found(position) if *position <= floor);
            promise!(
                *lookup == truth || is_deleted_since,
                "{id} stands for {lookup:?} on an unreadable disk, and is {truth:?}"
            );
        }
        Ok(())
    }
}
