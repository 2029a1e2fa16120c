//! Opens a log. An incomplete end is cut off, damaged or missing segments are an error, and everything is
//! durable before readers see it.

mod events;
mod found;
mod kept;
mod last;
mod leftovers;
mod newest;
mod tiers;

use std::io;
use std::sync::Arc;

use self::events::{event_ranges, keep_events};
pub(super) use self::found::{Found, failed, find, lock, read_header, read_manifest};
use self::kept::{keep, length_of, sealed};
use self::leftovers::{create_active, remove, remove_leftovers, seal};
pub(super) use self::newest::closed_index;
use self::tiers::Usable;
use super::clock::Clock;
use super::disk::{Disk, File};
use super::error::OpenError;
use super::format::{SEGMENT_HEADER, SegmentHeader};
use super::index::Facts;
use super::journal::{self, Journal};
use super::log::{Log, Syncer};
use super::manifest::Manifest;
use super::names;
use super::options::HistoryOptions;
use super::retention::Retention;
use super::run::Run;
use super::segment::{Segment, create_segment};
use super::shared::{Newest, Shared};
use crate::events::Events;
use crate::{Position, Ring, RunTag};

/// Opens a log for writing.
pub(super) fn open(disk: Arc<dyn Disk>, options: HistoryOptions) -> Result<Log, OpenError> {
    let lock = lock(&*disk)?;
    let found = find(&*disk)?;
    let mut manifest = read_manifest(&*disk, &found)?;
    let Some((&number, &first)) = found.segments.last_key_value() else {
        return begin(disk, options, manifest, lock);
    };
    let length = length_of(&*disk, number, first)?;
    let mut newest = newest::recover(&*disk, &found, number, first, length, &manifest)?;
    manifest.learn(newest.run);
    let tiers = Usable::find(&*disk, &found, number, &manifest.key);
    let segments = keep(&*disk, &found, &newest, &manifest, &tiers)?;
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
    // Before anything is written, since the disk may lack their room.
    remove_leftovers(&*disk, &found, oldest);
    remove(&*disk, tiers.unfit.iter().cloned());
    let header = SegmentHeader {
        // An empty segment is replaced, so that openings do not accumulate files.
        number: if is_empty { number } else { number + 1 },
        first: newest.head.next(),
        run,
        floor: newest.facts.floor,
        imported: newest.facts.imported,
        created: clock.believed(),
        key: manifest.key,
    };
    let (events, journal) = keep_events(recalled, options.events, &*disk, &newest, &manifest)?;
    let file = create_active(&*disk, &found, &header)?;
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
    let (mut kept, base) = sealed(&segments, header.number);
    last::learn(&mut newest, &*disk, &kept, &manifest, &mut clock, head)?;
    let active = Arc::new(Segment::active(&header, base, Arc::clone(&file)));
    kept.push(Arc::clone(&active));
    let mut shared = Shared::new(
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
    );
    shared.tiers = tiers.take(&shared.segments());
    let shared = Arc::new(shared);
    let mut log = log(shared, run, active, file, newest.facts, clock, lock)?;
    log.journal = journal;
    Ok(log)
}

fn log(
    shared: Arc<Shared>,
    run: Run,
    active: Arc<Segment>,
    file: Arc<dyn File>,
    facts: Facts,
    clock: Clock,
    lock: Box<dyn Send + Sync>,
) -> Result<Log, OpenError> {
    let ranges = event_ranges(&shared, facts.floor);
    let ranges = ranges.map_err(failed(&*shared.files.disk, "", "reading an index"))?;
    let retention = Retention::start(&shared.options, facts.floor, ranges);
    let retention = retention.map_err(failed(&*shared.files.disk, "", "starting a thread"))?;
    let syncer = Syncer::start(Arc::clone(&shared.syncs));
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

/// Creates an empty log.
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
    let active = Arc::new(Segment::active(&header, 0, Arc::clone(&file)));
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
