//! Reads pages of the log: by postings for readers that name their topics, else update by update.

mod ahead;

use std::io;
use std::sync::Arc;

use self::ahead::{Ahead, Skipped};
use super::format::Content;
use super::scan::{Entry, Scanner};
use super::segment::{Segment, read_frame};
use super::shared::Shared;
use super::{damage, unreadable};
use crate::{Admit, Frame, Page, Position, ReadError, Verdict};

/// The most bytes that one page reads, so that a reader that finds nothing leaves time to others.
const LOOKED_AT: usize = 1 << 20;
/// The most updates that one page judges and topics that it looks up, together.
const LOOKS: usize = 4_096;
/// The most segments that one page reads.
const SEGMENTS: usize = 64;
/// The most postings of a topic that are fetched at a time; fewer if there are many topics.
const POSTINGS: usize = 256;
/// The least postings of a topic that are fetched at a time.
const LEAST_POSTINGS: usize = 8;
/// A reader of more topics reads every update instead.
const TOPICS: usize = 512;
/// The events that are fetched at a time.
const EVENTS: usize = 256;
/// The bytes of a record besides its event, roughly.
const RECORD: usize = 100;
/// If the postings are closer than this on average, reading every update is cheaper. In bytes.
const DENSE: u32 = 1 << 10;

/// A page that is being filled.
struct Reader<'a> {
    shared: &'a Shared,
    filter: &'a dyn Admit,
    /// The hashes of the only topics that may be admitted, if they are known and few.
    topics: Option<Vec<u64>>,
    up_to: Position,
    limit: usize,
    looked_up_to: Position,
    /// What tiers say of the next segments.
    ahead: Ahead,
    frames: Vec<Arc<Frame>>,
    bytes: usize,
    /// The cost of the page so far, in bytes.
    looked_at: usize,
    /// The cost of the page so far, in updates and topics.
    looks: usize,
    /// Whether its reader has left.
    is_gone: &'a dyn Fn() -> bool,
}

/// The postings that are fetched at a time of each of these topics.
fn most_of(topics: &[u64]) -> usize {
    (LOOKS / topics.len().max(1)).clamp(LEAST_POSTINGS, POSTINGS)
}

/// How reading a segment ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Looked {
    /// At its end; the next segment follows.
    Through,
    /// The page is full, or has cost enough.
    Enough,
    /// The next update is not readable.
    Damage,
}

/// Reads the updates after `from`, up to and including `up_to`, that the filter admits. Ends early once
/// `is_gone` says that the reader has left.
pub(super) fn page(
    shared: &Shared,
    from: Position,
    up_to: Position,
    limit: usize,
    filter: &dyn Admit,
    is_gone: &dyn Fn() -> bool,
) -> Result<Page, ReadError> {
    let topics = filter
        .exact_topics()
        .filter(|topics| topics.len() <= TOPICS);
    let topics = topics.map(|topics| {
        let hash = |topic: &&str| shared.files.hashes.of(topic);
        topics.iter().map(hash).collect()
    });
    let mut reader = Reader {
        shared,
        filter,
        topics,
        up_to,
        limit,
        looked_up_to: from,
        ahead: Ahead::default(),
        frames: Vec::new(),
        bytes: 0,
        looked_at: 0,
        looks: 0,
        is_gone,
    };
    if filter.by_hub_only() {
        // Events are not in the segments, so the floor does not matter.
        reader.take_events(up_to.min(shared.head()));
    } else {
        reader.read()?;
    }
    Ok(Page {
        frames: reader.frames,
        looked_up_to: reader.looked_up_to,
    })
}

impl Reader<'_> {
    fn read(&mut self) -> Result<(), ReadError> {
        // The head is read before the segments, so that they have every update up to it.
        self.up_to = self.up_to.min(self.shared.head());
        let segments = self.shared.segments();
        let newest = segments.last().map(|newest| newest.last());
        let start = segments.partition_point(|segment| segment.last() <= self.looked_up_to);
        let deleted = |segment: &Arc<Segment>| segment.first > self.looked_up_to.next();
        if self.looked_up_to < self.up_to && segments.get(start).is_some_and(deleted) {
            return Err(ReadError::Passed(self.looked_up_to));
        }
        let (mut next, mut opened) = (start, 0);
        while let Some(segment) = segments.get(next) {
            if self.looked_up_to >= self.up_to || self.is_over() || opened == SEGMENTS {
                break;
            }
            match self.skip(&segments, next) {
                Skipped::To(later) if later == next => {}
                Skipped::To(later) => {
                    next = later;
                    continue;
                }
                Skipped::Enough => break,
            }
            next += 1;
            let found = self.found_in(segment);
            opened += usize::from(found.is_none());
            let looked = match found {
                Some(found) => self.take_found(segment, found),
                None => Ok(None),
            };
            let looked = match looked {
                Ok(None) => self.look_into(segment),
                Ok(Some(looked)) => Ok(looked),
                Err(error) => Err(error),
            };
            let looked = looked.and_then(|looked| {
                if looked == Looked::Damage {
                    damage::report(self.shared, segment, self.looked_up_to.next())?;
                }
                Ok(looked)
            });
            match looked {
                Ok(Looked::Through) => {}
                Ok(Looked::Enough) => break,
                // The page ends with what was found; the next page finds the damage or the error again.
                Ok(Looked::Damage) | Err(_) if !self.frames.is_empty() => break,
                Ok(Looked::Damage) => return Err(ReadError::Passed(self.looked_up_to)),
                Err(error) => {
                    unreadable::judge(self.shared, segment, &error)?;
                    return Err(ReadError::Passed(self.looked_up_to));
                }
            }
        }
        if newest.is_some_and(|newest| newest <= self.looked_up_to) {
            // Only events follow the last update.
            self.take_events(self.up_to);
        }
        Ok(())
    }

    /// Takes the events up to a position, none of which has a record; returns whether it took all.
    fn take_events(&mut self, up_to: Position) -> bool {
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
    fn is_over(&self) -> bool {
        self.looks >= LOOKS || self.looked_at > LOOKED_AT || (self.is_gone)()
    }

    fn look_into(&mut self, segment: &Arc<Segment>) -> io::Result<Looked> {
        let looked = match self.topics.take() {
            Some(topics) => {
                let looked = self.look_up(segment, &topics);
                self.topics = Some(topics);
                looked?
            }
            None => None,
        };
        match looked {
            Some(looked) => Ok(looked),
            None => self.scan(segment),
        }
    }

    /// Finds the updates of the topics by postings; `None` if reading every update is better.
    fn look_up(&mut self, segment: &Arc<Segment>, topics: &[u64]) -> io::Result<Option<Looked>> {
        let files = &self.shared.files;
        let start = if self.looked_up_to < segment.first {
            0
        } else {
            match segment.offset(self.looked_up_to.next(), files)? {
                Some(at) => at,
                None => return Ok(None),
            }
        };
        // The end is read before the postings, so that updates that are committed meanwhile are not
        // skipped.
        let (last, end) = (segment.last(), segment.end());
        let mut found = Vec::new();
        let mut complete_to = u32::MAX;
        let most = most_of(topics);
        for topic in topics {
            let postings = segment.topic(*topic, start, most, files)?;
            if postings.len() == most {
                complete_to = complete_to.min(postings[most - 1]);
            }
            found.extend(postings);
        }
        self.looks += topics.len();
        // Asked after the postings, because reading those may have rebuilt the index.
        let lost = segment.first_lost(self.looked_up_to, last.min(self.up_to), files)?;
        if lost.is_some() {
            // The lost update may have one of these topics; reading every update stops before it.
            return Ok(None);
        }
        found.sort_unstable();
        found.dedup();
        found.retain(|at| *at <= complete_to);
        let truncated = complete_to != u32::MAX;
        if truncated && (complete_to - start) / (found.len() as u32) < DENSE {
            return Ok(None);
        }
        match self.take_at(segment, &found, end)? {
            Some(Looked::Through) if truncated || !self.take_events(last.min(self.up_to)) => {
                Ok(Some(Looked::Enough))
            }
            looked => Ok(looked),
        }
    }

    /// Takes the updates at some offsets, in order; `None` if one is not readable. Reading every update
    /// finds out where the damage begins.
    fn take_at(
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

    /// Reads every update of a segment.
    fn scan(&mut self, segment: &Arc<Segment>) -> io::Result<Looked> {
        let files = &self.shared.files;
        let (last, end) = (segment.last(), segment.end());
        let Some((mut expected, start)) = segment.place(self.looked_up_to.next(), files)? else {
            return Ok(if self.looked_up_to >= last {
                Looked::Through
            } else {
                Looked::Damage
            });
        };
        let file = segment.file(files)?;
        let mut scanner = Scanner::new(&*file, start.into(), end);
        while expected <= last {
            if !self.take_events(expected.back(1).min(self.up_to))
                || expected > self.up_to
                || self.is_over()
            {
                return Ok(Looked::Enough);
            }
            let Some((at, entry)) = scanner.next()? else {
                return Ok(Looked::Damage);
            };
            let frame = match entry {
                Entry::Group(_) => continue,
                // The header of a group is damaged, but its updates are still readable.
                Entry::Unreadable => match segment.place(expected, files)? {
                    Some((next, place)) if u64::from(place) > at => {
                        expected = next;
                        scanner.go_to(place.into());
                        continue;
                    }
                    _ => return Ok(Looked::Damage),
                },
                Entry::Record(record) => match record.content {
                    Content::Update(stored) if stored.position == expected => stored.to_frame(),
                    Content::Update(_) | Content::Void => return Ok(Looked::Damage),
                    Content::Snapshot => continue,
                    Content::Events(first, last) if first == expected => {
                        expected = last.next();
                        continue;
                    }
                    Content::Events(..) => return Ok(Looked::Damage),
                },
            };
            if !self.take(Arc::new(frame)) {
                return Ok(Looked::Enough);
            }
            expected = expected.next();
        }
        Ok(Looked::Through)
    }

    /// Judges a frame and adds it to the page if it is admitted; returns false if it must wait for the
    /// next page.
    fn take(&mut self, frame: Arc<Frame>) -> bool {
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
