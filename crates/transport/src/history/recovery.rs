//! Opening a log: what is torn is cut, what is damaged or missing is refused, and everything is on
//! the disk before anything is shown.

mod events;
mod found;
mod newest;

use std::io;
use std::sync::Arc;

use self::events::{event_ranges, write_journal};
use self::found::missing;
pub(super) use self::found::{Found, failed, find, lock, read_header, read_manifest};
use self::newest::Recovered;
pub(super) use self::newest::closed_index;
use super::clock::Clock;
use super::disk::Disk;
use super::error::OpenError;
use super::format::{Content, Record, SEGMENT_HEADER, SegmentHeader};
use super::index::{Facts, Hashes, Index, Subject};
use super::journal::{self, Given, Journal};
use super::log::{Log, Syncer};
use super::manifest::{Gap, Manifest};
use super::names;
use super::options::HistoryOptions;
use super::retention::Retention;
use super::run::Run;
use super::segment::{Segment, create_segment, read_record};
use super::shared::{Newest, Shared};
use crate::events::Events;
use crate::{EventIds, Position, Ring, RunTag};

/// Opens a log for writing.
pub(super) fn open(disk: Arc<dyn Disk>, options: HistoryOptions) -> Result<Log, OpenError> {
    let lock = lock(&*disk)?;
    let found = find(&*disk)?;
    let mut manifest = read_manifest(&*disk, &found)?;
    let Some((&number, &(first, length))) = found.segments.last_key_value() else {
        return begin(disk, options, manifest, lock);
    };
    let mut newest = newest::recover(&*disk, &found, number, first, length, &manifest)?;
    manifest.learn(newest.run);
    let segments = keep(&*disk, &found, &newest, &manifest)?;
    let is_empty = newest.head < first;
    let recalled = journal::recall(&*disk, &manifest, newest.run, newest.head);
    let recalled = recalled.map_err(failed(&*disk, journal::NAME, "reading it"))?;
    let head = recalled.head;
    let run = new_run(head, &*disk)?;
    let mut clock = Clock::start(
        Arc::clone(&options.clock),
        (newest.head > newest.facts.floor).then_some(newest.created),
    );
    clock.now();
    let oldest = segments.first().map_or(number, |oldest| oldest.number);
    // Before anything is written, since its room may be what is missing.
    remove_leftovers(&*disk, &found, oldest);
    let header = SegmentHeader {
        // One that holds nothing is replaced, so that openings leave nothing behind.
        number: if is_empty { number } else { number + 1 },
        first: newest.head.next(),
        run,
        floor: newest.facts.floor,
        imported: newest.facts.imported,
        created: clock.believed(),
        key: manifest.key,
    };
    let mut events = Events::new(options.events);
    recalled
        .events
        .into_iter()
        .for_each(|event| events.add(event));
    events.evict();
    let mut journal = Journal::default();
    if recalled.exists {
        let given = Given {
            run: newest.run.tag,
            first: newest.head.next(),
            last: head,
        };
        write_journal(&mut journal, &*disk, given, &manifest, &events)?;
    }
    let name = names::segment(header.number, header.first);
    let file = create_segment(&*disk, &header).or_else(|error| match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            tracing::warn!("the disk is full; indexes are removed and made again when needed");
            let indexes = found.indexes.iter();
            remove(
                &*disk,
                indexes.map(|(number, first)| names::index(*number, *first)),
            );
            create_segment(&*disk, &header)
        }
        _ => Err(error),
    });
    let file = file.map_err(failed(&*disk, &name, "creating it"))?;
    seal(&*disk, &newest, number, first);
    manifest.runs.push(run);
    manifest
        .write(&*disk)
        .map_err(failed(&*disk, "manifest", "writing it"))?;
    let closed = found.closed.iter();
    remove(
        &*disk,
        closed.map(|(number, first)| names::closed(*number, *first)),
    );
    let mut base = 0;
    let mut kept: Vec<Arc<Segment>> = Vec::new();
    for subject in segments
        .iter()
        .filter(|subject| subject.number < header.number)
    {
        kept.push(Arc::new(Segment::sealed(*subject, base)));
        base += subject.length;
    }
    if newest.event_id.is_none()
        && let Some((event_id, time)) = newest_update(&*disk, &kept, &manifest)?
    {
        newest.event_id = Some(event_id);
        // A segment without updates knows only when it was begun.
        newest.facts.time = time;
    }
    if newest.event_id.is_some() {
        clock.committed(newest.facts.time);
    }
    if head > newest.head {
        // The newest one is an event, whose id the log made.
        let ids = EventIds::new(&manifest.key);
        let run = manifest.run_of(head);
        newest.event_id = run.map(|run| ids.encode(run.tag, head).into());
    }
    let active = Arc::new(Segment::active(
        header.number,
        header.first,
        base,
        Arc::clone(&file),
        SEGMENT_HEADER as u64,
    ));
    kept.push(Arc::clone(&active));
    let shared = Arc::new(Shared::new(
        disk,
        manifest,
        options,
        kept,
        Newest {
            head,
            event_id: newest.event_id,
        },
        newest.facts.floor,
        events,
    ));
    let mut log = log(shared, run, active, file, newest.facts, clock, lock)?;
    log.journal = journal;
    Ok(log)
}

fn log(
    shared: Arc<Shared>,
    run: Run,
    active: Arc<Segment>,
    file: Arc<dyn super::disk::File>,
    facts: Facts,
    clock: Clock,
    lock: Box<dyn Send + Sync>,
) -> Result<Log, OpenError> {
    let ranges = event_ranges(&shared, facts.floor);
    let ranges = ranges.map_err(failed(&*shared.files.disk, "", "reading an index"))?;
    let retention = Retention::start(&shared.options, facts.floor, ranges);
    let retention = retention.map_err(failed(&*shared.files.disk, "", "starting a thread"))?;
    let syncer = Syncer::start();
    let syncer = syncer.map_err(failed(&*shared.files.disk, "", "starting a thread"))?;
    let mut log = Log {
        target: 0,
        space_seen: None,
        head: shared.head(),
        journal: Journal::default(),
        journal_in_doubt: None,
        ring: Arc::new(Ring::new(shared.options.ring_bytes, shared.head())),
        retention,
        floor_recorded: clock.moment(),
        clock,
        unremoved: Vec::new(),
        shared,
        run,
        active,
        file,
        end: SEGMENT_HEADER as u64,
        durable: SEGMENT_HEADER as u64,
        allocated: SEGMENT_HEADER as u64,
        facts,
        durable_floor: facts.floor,
        unsynced_since: None,
        trouble: None,
        buffers: Vec::new(),
        syncer,
        _lock: lock,
    };
    log.set_target();
    Ok(log)
}

/// Begins an empty log.
fn begin(
    disk: Arc<dyn Disk>,
    options: HistoryOptions,
    mut manifest: Manifest,
    lock: Box<dyn Send + Sync>,
) -> Result<Log, OpenError> {
    let run = new_run(Position::ORIGIN, &*disk)?;
    let events = Events::new(options.events);
    let mut clock = Clock::start(Arc::clone(&options.clock), None);
    clock.now();
    let header = SegmentHeader {
        number: 1,
        first: run.first,
        run,
        floor: Position::ORIGIN,
        imported: 0,
        created: clock.believed(),
        key: manifest.key,
    };
    let name = names::segment(header.number, header.first);
    let file = create_segment(&*disk, &header).map_err(failed(&*disk, &name, "creating it"))?;
    manifest.runs.push(run);
    manifest
        .write(&*disk)
        .map_err(failed(&*disk, "manifest", "writing it"))?;
    let active = Arc::new(Segment::active(
        header.number,
        header.first,
        0,
        Arc::clone(&file),
        SEGMENT_HEADER as u64,
    ));
    let shared = Shared::new(
        disk,
        manifest,
        options,
        vec![Arc::clone(&active)],
        Newest::default(),
        Position::ORIGIN,
        events,
    );
    let facts = Facts::default();
    log(Arc::new(shared), run, active, file, facts, clock, lock)
}

fn new_run(head: Position, disk: &dyn Disk) -> Result<Run, OpenError> {
    let tag = RunTag::random().map_err(io::Error::other);
    Ok(Run {
        tag: tag.map_err(failed(disk, "manifest", "choosing a run's tag"))?,
        first: head.next(),
    })
}

/// The segments that hold what is above the floor, none of them missing.
fn keep(
    disk: &dyn Disk,
    found: &Found,
    newest: &Recovered,
    manifest: &Manifest,
) -> Result<Vec<Subject>, OpenError> {
    let floor = newest.facts.floor;
    let mut kept: Vec<Subject> = Vec::new();
    let mut last = newest.head;
    let mut next: Option<(u64, Position)> = None;
    for (&number, &(first, length)) in found.segments.iter().rev() {
        if let Some((next, position)) = next {
            if last <= floor {
                break;
            }
            if next != number + 1 {
                return Err(missing(disk, next - 1, position));
            }
            if first > position {
                return Err(OpenError::Damaged {
                    path: disk.path(&names::segment(number, first)),
                    offset: 0,
                    what: format!("it should begin before position {position}"),
                });
            }
        }
        let length = if next.is_none() {
            newest.length
        } else {
            length
        };
        kept.push(Subject {
            number,
            first,
            last,
            length,
        });
        last = first.back(1);
        next = Some((number, first));
    }
    kept.reverse();
    let needed = floor.next();
    if let Some(oldest) = kept.first().filter(|oldest| oldest.first > needed)
        && !is_gap(&manifest.gaps, needed, oldest.first.back(1))
    {
        return Err(missing(disk, oldest.number.saturating_sub(1), oldest.first));
    }
    Ok(kept)
}

fn is_gap(gaps: &[Gap], first: Position, last: Position) -> bool {
    gaps.iter()
        .any(|gap| gap.first <= first && last <= gap.last)
}

/// Leaves the index of the segment that was the newest; it has a successor now.
fn seal(disk: &dyn Disk, newest: &Recovered, number: u64, first: Position) {
    let index = names::index(number, first);
    let written = match &newest.index {
        _ if newest.head < first => Ok(()),
        Some(built) => {
            let subject = Subject {
                number,
                first,
                last: newest.head,
                length: newest.length,
            };
            built.write(disk, &index, subject, newest.facts)
        }
        None => disk.rename(&names::closed(number, first), &index),
    };
    if let Err(error) = written {
        tracing::warn!(%error, index = disk.path(&index), "an index could not be written; it is made when it is needed");
    }
}

/// Removes what no segment in use needs, and what was being written. The floor that says so is
/// durable.
fn remove_leftovers(disk: &dyn Disk, found: &Found, oldest: u64) {
    let old = |number: &u64| *number < oldest;
    let segments = found.segments.iter().filter(|(number, _)| old(number));
    let segments = segments.map(|(number, (first, _))| names::segment(*number, *first));
    let indexes = found.indexes.iter().filter(|(number, _)| old(number));
    let indexes = indexes.map(|(number, first)| names::index(*number, *first));
    let leftovers = found.leftovers.iter().cloned();
    remove(disk, segments.chain(indexes).chain(leftovers));
}

/// Removes files; whatever fails is tried again at the next start.
fn remove(disk: &dyn Disk, names: impl Iterator<Item = String>) {
    for name in names {
        match disk.remove(&name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(%error, file = disk.path(&name), "a file that is no longer needed could not be removed");
            }
            _ => {}
        }
    }
}

/// The id and the time of the newest update of the sealed segments; `None` if there is none, or if
/// it is damaged.
fn newest_update(
    disk: &dyn Disk,
    sealed: &[Arc<Segment>],
    manifest: &Manifest,
) -> Result<Option<(Box<str>, u64)>, OpenError> {
    let segment = sealed
        .iter()
        .rev()
        .find(|segment| segment.last() >= segment.first);
    let Some(segment) = segment else {
        return Ok(None);
    };
    let name = names::segment(segment.number, segment.first);
    read_last(disk, segment, &name, manifest).map_err(failed(disk, &name, "reading it"))
}

fn read_last(
    disk: &dyn Disk,
    segment: &Segment,
    name: &str,
    manifest: &Manifest,
) -> io::Result<Option<(Box<str>, u64)>> {
    let file = disk.open(name)?;
    let index = names::index(segment.number, segment.first);
    let index = super::index::IndexFile::open(disk, &index, |subject| {
        subject.number == segment.number && subject.last == segment.last()
    })?;
    let at = match index {
        Some(index) => index.place(segment.last())?,
        None => {
            let hashes = Hashes::new(&manifest.key);
            let mut index = Index::new(segment.first);
            super::walk::walk(
                &*file,
                segment.number,
                segment.end(),
                &mut |met| match met {
                    super::walk::Met::Update(stored, at) => {
                        index.add_stored(&stored, at, &hashes);
                    }
                    super::walk::Met::Events(first, last, _) => index.add_events(first, last),
                    _ => {}
                },
            )?;
            index.place(segment.last())
        }
    };
    let Some((_, at)) = at else { return Ok(None) };
    let bytes = read_record(&*file, at.into(), segment.end())?;
    Ok(
        bytes.and_then(|bytes| match Record::parse(&bytes)?.content {
            Content::Update(stored) => Some((stored.event_id.into(), stored.time)),
            Content::Snapshot | Content::Void | Content::Events(..) => None,
        }),
    )
}
