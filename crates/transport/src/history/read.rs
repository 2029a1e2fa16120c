//! Reads pages of the log: by postings for readers that name their topics, else update by update.

mod ahead;
mod reader;
mod skip;

use std::io;
use std::sync::Arc;

use self::ahead::Ahead;
use self::reader::{Looked, Reader, most_of};
use self::skip::Skipped;
use super::format::Content;
use super::scan::{Entry, Scanner};
use super::segment::Segment;
use super::shared::Shared;
use super::{damage, unreadable};
use crate::{Admit, Page, Position, ReadError};

/// The most segments that one page reads.
const SEGMENTS: usize = 64;
/// A reader of more topics reads every update instead.
const TOPICS: usize = 512;
/// If the postings are closer than this on average, reading every update is cheaper. In bytes.
const DENSE: u32 = 1 << 10;

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
                Some(found) => self.take_found(segment, &found),
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
}
