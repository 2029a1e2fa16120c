//! Pages of the log: by postings for readers of named topics, else by looking at every update.

use std::io;
use std::sync::Arc;

use super::format::Content;
use super::scan::{Entry, Scanner};
use super::segment::{Segment, read_frame};
use super::shared::Shared;
use super::{damage, unreadable};
use crate::{Admit, Frame, Page, Position, ReadError, Verdict};

/// The bytes that one page reads, at most, so that a reader who finds nothing gives way to others.
const LOOKED_AT: usize = 1 << 20;
/// The updates that one page judges and the topics that it looks up, together and at most.
const LOOKS: usize = 4_096;
/// Segments that one page looks into by postings, at most.
const SEGMENTS: usize = 64;
/// Postings of a topic that are fetched at a time: so many, or fewer for each of many topics.
const POSTINGS: usize = 256;
const LEAST_POSTINGS: usize = 8;
/// A reader of more topics looks at every update instead.
const TOPICS: usize = 512;
/// What a record takes besides its event, roughly, in bytes.
const RECORD: usize = 100;
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
    /// What the page has cost so far: bytes that were read, updates and topics.
    looked_at: usize,
    looks: usize,
    /// Whether nobody awaits the page any more.
    is_gone: &'a dyn Fn() -> bool,
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

/// Reads the updates after `from`, not beyond `up_to`, that the filter admits. Ends early once
/// `is_gone`.
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
        frames: Vec::new(),
        bytes: 0,
        looked_at: 0,
        looks: 0,
        is_gone,
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
            if self.looked_up_to >= self.up_to || self.is_over() {
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

    /// Whether the page has cost enough, or its reader has left.
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
        let most = (LOOKS / topics.len().max(1)).clamp(LEAST_POSTINGS, POSTINGS);
        for topic in topics {
            let postings = segment.topic(*topic, start, most, files)?;
            if postings.len() == most {
                complete_to = complete_to.min(postings[most - 1]);
            }
            found.extend(postings);
        }
        self.looks += topics.len();
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
            if !self.take(frame) || self.is_over() {
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
            if expected > self.up_to || self.is_over() {
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
        self.looks += 1;
        self.looked_at += frame.bytes.len() + RECORD;
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
