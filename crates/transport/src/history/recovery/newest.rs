//! The newest segment: the only one that an opening reads, and the only one whose end may be incomplete.

use std::io;
use std::sync::Arc;

use super::found::{Found, failed, missing, read_header};
use crate::Position;
use crate::history::disk::{Disk, File};
use crate::history::error::OpenError;
use crate::history::format::{Content, GROUP_HEADER, GroupHeader, SEGMENT_HEADER};
use crate::history::index::{Facts, Hashes, Index, IndexFile};
use crate::history::manifest::Manifest;
use crate::history::names;
use crate::history::run::Run;
use crate::history::scan::{Entry, Scanner};
use crate::history::segment::rewrite;

/// The newest segment, up to its last complete group. All of it is durable.
pub(super) struct Recovered {
    pub(super) run: Run,
    pub(super) head: Position,
    /// The id of the newest update, if the segment was read and has one.
    pub(super) event_id: Option<Box<str>>,
    pub(super) facts: Facts,
    /// When the segment was created, in milliseconds since 1970.
    pub(super) created: u64,
    /// Where its last group ends.
    pub(super) length: u64,
    /// How many bytes are known to have been durable.
    mark: u64,
    /// `None` if the segment was closed and its index lies beside it.
    pub(super) index: Option<Index>,
}

/// Reads the newest segment, cuts off an incomplete end, and makes the rest durable.
pub(super) fn recover(
    disk: &dyn Disk,
    found: &Found,
    number: u64,
    first: Position,
    length: u64,
    manifest: &Manifest,
) -> Result<Recovered, OpenError> {
    check_successor(disk, found, number, length)?;
    let header = read_header(disk, number, first)?;
    // An error does not matter: everything in this index is in the segment too.
    if let Ok(Some(closed)) = closed_index(disk, number, first, length) {
        return Ok(Recovered {
            run: header.run,
            head: closed.subject().last,
            event_id: None,
            facts: closed.facts(),
            created: header.created,
            length,
            mark: length,
            index: None,
        });
    }
    let name = names::segment(number, first);
    let file = disk
        .open(&name)
        .map_err(failed(disk, &name, "opening it"))?;
    let mut recovered = Recovered {
        run: header.run,
        head: first.back(1),
        event_id: None,
        facts: Facts {
            floor: header.floor,
            imported: header.imported,
            time: header.created,
        },
        created: header.created,
        length: SEGMENT_HEADER as u64,
        mark: SEGMENT_HEADER as u64,
        index: None,
    };
    let mut index = Index::new(first);
    let hashes = Hashes::new(&manifest.key);
    let mut scanner = Scanner::new(&*file, SEGMENT_HEADER as u64, length);
    while recovered
        .take_group(&mut scanner, number, &mut index, &hashes)
        .map_err(failed(disk, &name, "reading it"))?
    {}
    recovered.index = Some(index);
    if recovered.length < length {
        cut(disk, &name, &file, &recovered, &mut scanner, number, length)?;
    }
    // A killed process may leave bytes that are readable but not durable. After a failed sync the system
    // may even consider them as written, so they are written once more.
    let mark = recovered.mark.min(recovered.length);
    rewrite(&*file, mark, recovered.length).map_err(failed(disk, &name, "writing it"))?;
    // The length too: a tail that reappears after a loss of power would count towards `max_bytes`.
    file.set_len(recovered.length)
        .map_err(failed(disk, &name, "cutting it"))?;
    file.sync_data()
        .map_err(failed(disk, &name, "syncing it"))?;
    Ok(recovered)
}

/// The index that a clean stop left beside the newest segment.
pub(in crate::history) fn closed_index(
    disk: &dyn Disk,
    number: u64,
    first: Position,
    length: u64,
) -> io::Result<Option<IndexFile>> {
    IndexFile::open(disk, &names::closed(number, first), |subject| {
        (subject.number, subject.first, subject.length) == (number, first, length)
    })
}

/// Checks that no later segment is missing: an index, except that of a closed segment, shows that its
/// segment had a successor.
fn check_successor(
    disk: &dyn Disk,
    found: &Found,
    number: u64,
    length: u64,
) -> Result<(), OpenError> {
    let later = found.indexes.range(number + 1..).next_back();
    if let Some((&later, &first)) = later {
        return Err(missing(disk, later, first));
    }
    let Some(&first) = found.indexes.get(&number) else {
        return Ok(());
    };
    let name = names::index(number, first);
    let index = IndexFile::open(disk, &name, |subject| {
        subject.number == number && subject.length == length
    });
    match index.map_err(failed(disk, &name, "reading it"))? {
        Some(index) => Err(missing(disk, number + 1, index.subject().last.next())),
        // A damaged index shows nothing.
        None => Ok(()),
    }
}

impl Recovered {
    /// Takes the next group if it is complete; returns whether it did.
    fn take_group(
        &mut self,
        scanner: &mut Scanner<'_>,
        number: u64,
        index: &mut Index,
        hashes: &Hashes,
    ) -> io::Result<bool> {
        let mut after_void = false;
        let header = loop {
            match scanner.next()? {
                Some((_, Entry::Group(header))) if header.number == number => break header,
                Some((_, Entry::Record(record))) if matches!(record.content, Content::Void) => {
                    after_void = true;
                }
                _ => return Ok(false),
            }
        };
        let expected = self.head.next();
        let Some(first) = is_whole(scanner, &header)? else {
            return Ok(false);
        };
        let follows = first == expected || (after_void && first > expected);
        if !follows || header.run != self.run.tag {
            return Ok(false);
        }
        let end = header.at + GROUP_HEADER as u64 + u64::from(header.length);
        scanner.go_to(header.at + GROUP_HEADER as u64);
        self.facts.floor = header.floor;
        self.facts.imported = header.imported;
        self.mark = self.mark.max(header.mark);
        while scanner.at() < end {
            match scanner.next()? {
                Some((at, Entry::Record(record))) => match record.content {
                    Content::Update(stored) => {
                        index.add_stored(&stored, at, hashes);
                        self.head = stored.position;
                        self.facts.time = stored.time;
                        if scanner_is_at_last(&header, stored.position) {
                            self.event_id = Some(stored.event_id.into());
                        }
                    }
                    Content::Events(first, last) => index.add_events(first, last),
                    Content::Snapshot | Content::Void => {}
                },
                _ => return Ok(false),
            }
        }
        self.length = end;
        Ok(true)
    }
}

fn scanner_is_at_last(header: &GroupHeader, position: Position) -> bool {
    position.0 + 1 == header.first.0 + u64::from(header.count)
}

/// The first position of a group, including the events before it; `None` unless all its records are
/// readable and follow each other.
fn is_whole(scanner: &mut Scanner<'_>, header: &GroupHeader) -> io::Result<Option<Position>> {
    let end = header.at + GROUP_HEADER as u64 + u64::from(header.length);
    let (mut first, mut expected) = (header.first, header.first);
    while scanner.at() < end {
        match scanner.next()? {
            Some((_, Entry::Record(record))) => match record.content {
                Content::Update(stored) if stored.position == expected => {
                    expected = expected.next();
                }
                Content::Events(begin, last)
                    if last.next() == header.first && expected == header.first =>
                {
                    first = begin;
                }
                Content::Snapshot => {}
                Content::Update(_) | Content::Void | Content::Events(..) => return Ok(None),
            },
            _ => return Ok(None),
        }
    }
    let is_whole = scanner.at() == end && expected.0 - header.first.0 == u64::from(header.count);
    Ok(is_whole.then_some(first))
}

/// Cuts off the incomplete end of the newest segment. If it had been durable, it is damage and an error.
fn cut(
    disk: &dyn Disk,
    name: &str,
    file: &Arc<dyn File>,
    recovered: &Recovered,
    scanner: &mut Scanner<'_>,
    number: u64,
    length: u64,
) -> Result<(), OpenError> {
    let at = recovered.length;
    let is_later = |header: &GroupHeader| header.number == number && header.mark > at;
    let later = scanner.find_group(at, is_later);
    let later = later.map_err(failed(disk, name, "reading it"))?;
    if let Some(later) = later {
        return Err(OpenError::Damaged {
            path: disk.path(name),
            offset: at,
            what: format!(
                "the updates after position {} are not readable, but the group at offset {} shows that they were on the disk",
                recovered.head, later.at
            ),
        });
    }
    let is_unused = is_zero(&**file, at, length).map_err(failed(disk, name, "reading it"))?;
    if !is_unused {
        tracing::warn!(
            name: "segment_cut_off",
            file = disk.path(name),
            offset = at,
            bytes = length - at,
            "the end of the newest segment is incomplete, as a crash leaves it, and is cut off"
        );
    }
    file.set_len(at).map_err(failed(disk, name, "cutting it"))
}

/// Whether a part of a file has only the zeros that were written ahead.
fn is_zero(file: &dyn File, mut from: u64, to: u64) -> io::Result<bool> {
    let mut buffer = vec![0; 64 << 10];
    while from < to {
        let wanted = buffer
            .len()
            .min(usize::try_from(to - from).unwrap_or(usize::MAX));
        let read = file.read_at(&mut buffer[..wanted], from)?;
        if read == 0 || buffer[..read].iter().any(|byte| *byte != 0) {
            return Ok(false);
        }
        from += read as u64;
    }
    Ok(true)
}
