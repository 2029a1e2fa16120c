//! Pages of the log: by postings for readers of named topics, else by looking at every update.

use std::io;
use std::sync::Arc;

use super::format::Content;
use super::scan::{Entry, Scanner};
use super::segment::{Segment, read_frame};
use super::shared::Shared;
use super::{damage, unreadable};
use crate::{Admit, Frame, Page, Position, ReadError, Verdict};

/// What one page looks at, at most, so that a reader who finds nothing gives way to others. In
/// bytes.
const LOOKED_AT: u64 = 1 << 20;
/// Segments that one page looks into by postings, at most.
const SEGMENTS: usize = 64;
/// Postings of a topic that are fetched at a time.
const POSTINGS: usize = 256;
/// A reader of more topics looks at every update instead.
const TOPICS: usize = 512;
/// Where hits are closer than this on average, looking at everything is cheaper. In bytes.
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
    frames: Vec<Arc<Frame>>,
    bytes: usize,
}

/// How looking into a segment ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Looked {
    /// At its end; the next one follows.
    Through,
    /// The page is full, or enough was looked at.
    Enough,
    /// What follows is not readable.
    Damage,
}

/// Reads the updates after `from`, not beyond `up_to`, that the filter admits.
pub(super) fn page(
    shared: &Shared,
    from: Position,
    up_to: Position,
    limit: usize,
    filter: &dyn Admit,
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
        frames: Vec::new(),
        bytes: 0,
    };
    reader.read()?;
    Ok(Page {
        frames: reader.frames,
        looked_up_to: reader.looked_up_to,
    })
}

impl Reader<'_> {
    fn read(&mut self) -> Result<(), ReadError> {
        let segments = self.shared.segments();
        let start = segments.partition_point(|segment| segment.last() <= self.looked_up_to);
        let deleted = |segment: &Arc<Segment>| segment.first > self.looked_up_to.next();
        if self.looked_up_to < self.up_to && segments.get(start).is_none_or(deleted) {
            return Err(ReadError::Passed(self.looked_up_to));
        }
        for segment in segments[start..].iter().take(SEGMENTS) {
            if self.looked_up_to >= self.up_to {
                break;
            }
            let looked = self.look_into(segment).and_then(|looked| {
                if looked == Looked::Damage {
                    damage::report(self.shared, segment, self.looked_up_to.next())?;
                }
                Ok(looked)
            });
            match looked {
                Ok(Looked::Through) => {}
                Ok(Looked::Enough) => break,
                // What was found comes first; the next page meets it again.
                Ok(Looked::Damage) | Err(_) if !self.frames.is_empty() => break,
                Ok(Looked::Damage) => return Err(ReadError::Passed(self.looked_up_to)),
                Err(error) => {
                    unreadable::judge(self.shared, segment, &error)?;
                    return Err(ReadError::Passed(self.looked_up_to));
                }
            }
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

    /// Finds the updates of the topics by postings; `None` if looking at everything is better.
    fn look_up(&mut self, segment: &Arc<Segment>, topics: &[u64]) -> io::Result<Option<Looked>> {
        let files = &self.shared.files;
        let start = if self.looked_up_to < segment.first {
            0
        } else {
            match segment.offset(self.looked_up_to, files)? {
                Some(at) => at + 1,
                None => return Ok(None),
            }
        };
        // Before the postings, so that what is committed meanwhile is not passed over.
        let (last, end) = (segment.last(), segment.end());
        let mut found = Vec::new();
        let mut complete_to = u32::MAX;
        for topic in topics {
            let postings = segment.topic(*topic, start, POSTINGS, files)?;
            if postings.len() == POSTINGS {
                complete_to = complete_to.min(postings[POSTINGS - 1]);
            }
            found.extend(postings);
        }
        // After the postings, so that it is known of an index that was made anew to read them.
        let lost = segment.first_lost(self.looked_up_to, last.min(self.up_to), files)?;
        if lost.is_some() {
            // It may have been one of these topics; looking at everything stops in front of it.
            return Ok(None);
        }
        found.sort_unstable();
        found.dedup();
        found.retain(|at| *at <= complete_to);
        let truncated = complete_to != u32::MAX;
        if truncated && (complete_to - start) / (found.len() as u32) < DENSE {
            return Ok(None);
        }
        if found.is_empty() {
            self.looked_up_to = last.min(self.up_to);
            return Ok(Some(Looked::Through));
        }
        let file = segment.file(files)?;
        for at in found {
            let Some(frame) = read_frame(&*file, at.into(), end.max(segment.end()))? else {
                // Looking at everything finds out where.
                return Ok(None);
            };
            if frame.position > self.up_to {
                self.looked_up_to = self.up_to;
                return Ok(Some(Looked::Enough));
            }
            if !self.take(frame) {
                return Ok(Some(Looked::Enough));
            }
        }
        if truncated {
            return Ok(Some(Looked::Enough));
        }
        self.looked_up_to = self.looked_up_to.max(last.min(self.up_to));
        Ok(Some(Looked::Through))
    }

    /// Looks at every update of a segment.
    fn scan(&mut self, segment: &Arc<Segment>) -> io::Result<Looked> {
        let files = &self.shared.files;
        let mut expected = self.looked_up_to.next();
        let (last, end) = (segment.last(), segment.end());
        let Some(start) = segment.offset(expected, files)? else {
            return Ok(if expected > last {
                Looked::Through
            } else {
                Looked::Damage
            });
        };
        let file = segment.file(files)?;
        let mut scanner = Scanner::new(&*file, start.into(), end);
        while expected <= last {
            if expected > self.up_to || scanner.at() > u64::from(start) + LOOKED_AT {
                return Ok(Looked::Enough);
            }
            let Some((at, entry)) = scanner.next()? else {
                return Ok(Looked::Damage);
            };
            let frame = match entry {
                Entry::Group(_) => continue,
                // A group's header is damaged, which costs none of its updates.
                Entry::Unreadable => match segment.offset(expected, files)? {
                    Some(next) if u64::from(next) > at => {
                        scanner.go_to(next.into());
                        continue;
                    }
                    _ => return Ok(Looked::Damage),
                },
                Entry::Record(record) => match record.content {
                    Content::Update(stored) if stored.position == expected => stored.to_frame(),
                    Content::Update(_) | Content::Void => return Ok(Looked::Damage),
                    Content::Snapshot => continue,
                },
            };
            if !self.take(frame) {
                return Ok(Looked::Enough);
            }
            expected = expected.next();
        }
        Ok(Looked::Through)
    }

    /// Judges a frame and takes it into the page, if it fits; whether it is dealt with.
    fn take(&mut self, frame: Frame) -> bool {
        let position = frame.position;
        match self.filter.judge(&frame) {
            Verdict::Admitted => {
                if self.bytes > 0 && self.bytes + frame.bytes.len() > self.limit {
                    return false;
                }
                self.bytes += frame.bytes.len();
                self.frames.push(Arc::new(frame));
            }
            Verdict::Refused => {}
            Verdict::Later => return false,
        }
        self.looked_up_to = position;
        true
    }
}
