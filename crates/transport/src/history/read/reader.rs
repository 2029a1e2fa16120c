//! A page that is being filled.

use std::io;
use std::sync::Arc;

use super::ahead::Ahead;
use crate::history::segment::{Segment, read_frame};
use crate::history::shared::Shared;
use crate::{Admit, Frame, Position, Verdict};

/// The most bytes that one page reads, so that a reader that finds nothing leaves time to others.
const LOOKED_AT: usize = 1 << 20;
/// The most updates that one page judges and topics that it looks up, together.
const LOOKS: usize = 4_096;
/// The most postings of a topic that are fetched at a time; fewer if there are many topics.
const POSTINGS: usize = 256;
/// The least postings of a topic that are fetched at a time.
const LEAST_POSTINGS: usize = 8;
/// The events that are fetched at a time.
const EVENTS: usize = 256;
/// The bytes of a record besides its event, roughly.
const RECORD: usize = 100;

/// A page that is being filled.
pub(super) struct Reader<'a> {
    pub(super) shared: &'a Shared,
    pub(super) filter: &'a dyn Admit,
    /// The hashes of the only topics that may be admitted, if they are known and few.
    pub(super) topics: Option<Vec<u64>>,
    pub(super) up_to: Position,
    pub(super) limit: usize,
    pub(super) looked_up_to: Position,
    /// What tiers say of the next segments.
    pub(super) ahead: Ahead,
    pub(super) frames: Vec<Arc<Frame>>,
    pub(super) bytes: usize,
    /// The cost of the page so far, in bytes.
    pub(super) looked_at: usize,
    /// The cost of the page so far, in updates and topics.
    pub(super) looks: usize,
    /// Whether its reader has left.
    pub(super) is_gone: &'a dyn Fn() -> bool,
}

/// The postings that are fetched at a time of each of these topics.
pub(super) fn most_of(topics: &[u64]) -> usize {
    (LOOKS / topics.len().max(1)).clamp(LEAST_POSTINGS, POSTINGS)
}

/// How reading a segment ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Looked {
    /// At its end; the next segment follows.
    Through,
    /// The page is full, or has cost enough.
    Enough,
    /// The next update is not readable.
    Damage,
}

impl Reader<'_> {
    /// Takes the events up to a position, none of which has a record; returns whether it took all.
    pub(super) fn take_events(&mut self, up_to: Position) -> bool {
        while self.looked_up_to < up_to {
            let events = self.shared.events.read();
            let page = events.page(self.looked_up_to, up_to, EVENTS);
            drop(events);
            let is_all = page.len() < EVENTS;
            for frame in page {
                if self.is_over() || !self.take(frame) {
                    return false;
                }
            }
            if is_all {
                self.looked_up_to = up_to;
            }
        }
        true
    }

    /// Whether the page has cost enough, or the reader has left.
    pub(super) fn is_over(&self) -> bool {
        self.looks >= LOOKS || self.looked_at > LOOKED_AT || (self.is_gone)()
    }

    /// Takes the updates at some offsets, in order; `None` if one is not readable. Reading every update
    /// finds out where the damage begins.
    pub(super) fn take_at(
        &mut self,
        segment: &Arc<Segment>,
        found: &[u32],
        end: u64,
    ) -> io::Result<Option<Looked>> {
        let file = segment.file(&self.shared.files)?;
        for at in found {
            let Some(frame) = read_frame(&*file, u64::from(*at), end.max(segment.end()))? else {
                return Ok(None);
            };
            let before = frame.position.back(1).min(self.up_to);
            let goes_on = self.take_events(before)
                && frame.position <= self.up_to
                && self.take(Arc::new(frame))
                && !self.is_over();
            if !goes_on {
                return Ok(Some(Looked::Enough));
            }
        }
        Ok(Some(Looked::Through))
    }

    /// Judges a frame and adds it to the page if it is admitted; returns false if it must wait for the
    /// next page.
    pub(super) fn take(&mut self, frame: Arc<Frame>) -> bool {
        let position = frame.position;
        self.looks += 1;
        self.looked_at += frame.bytes.len() + RECORD;
        match self.filter.judge(&frame) {
            Verdict::Admitted => {
                if self.bytes > 0 && self.bytes + frame.bytes.len() > self.limit {
                    return false;
                }
                self.bytes += frame.bytes.len();
                self.frames.push(frame);
            }
            Verdict::Refused => {}
            Verdict::Later => return false,
        }
        self.looked_up_to = position;
        true
    }
}
