//! Reads the journal when a log is opened. Damaged events are skipped.

use std::collections::BTreeMap;
use std::io;

use super::bytes::{HEADER, NAME, decode_entry, decode_header};
use crate::events::Event;
use crate::history::disk::Disk;
use crate::history::manifest::Manifest;
use crate::history::run::Run;
use crate::{Position, RunTag};

/// The most bytes of a journal that are read.
const MOST: u64 = 1 << 30;

/// What was read of a journal.
pub(in crate::history) struct Recalled {
    /// The events, by position.
    pub(in crate::history) events: Vec<Event>,
    /// The newest position: the last one of the segments, or that of an event after it.
    pub(in crate::history) head: Position,
    /// Whether the file exists.
    pub(in crate::history) exists: bool,
}

/// Reads the journal of a log whose newest segment belongs to `run` and ends at `recorded`.
///
/// # Errors
/// If the disk cannot be read now. Damage is not an error.
pub(in crate::history) fn recall(
    disk: &dyn Disk,
    manifest: &Manifest,
    run: Run,
    recorded: Position,
) -> io::Result<Recalled> {
    // When this run began, it knew which positions earlier runs had given to events.
    let mut head = recorded.max(run.first.back(1));
    let file = match disk.open(NAME) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(Recalled {
                events: Vec::new(),
                head,
                exists: false,
            });
        }
        Err(error) => return Err(error),
    };
    let length = usize::try_from(file.len()?.min(MOST)).unwrap_or(usize::MAX);
    let mut bytes = vec![0; length];
    let read = file.read_at(&mut bytes, 0)?;
    bytes.truncate(read);
    let (given, mut rest) = match decode_header(&bytes) {
        Some(given) => (Some(given), &bytes[HEADER..]),
        None => (None, &bytes[..0]),
    };
    let mut events: BTreeMap<Position, (RunTag, Event)> = BTreeMap::new();
    while let Some((tag, event, length)) = decode_entry(rest) {
        rest = &rest[length..];
        events.insert(event.frame.position, (tag, event));
    }
    if given.is_none() || !rest.is_empty() {
        tracing::warn!(
            name: "events_damaged",
            file = disk.path(NAME),
            offset = bytes.len() - rest.len(),
            "subscription events after this offset are incomplete or damaged and are skipped; updates are not affected"
        );
    }
    if let Some(given) = given.filter(|given| given.run == run.tag && given.first <= head.next()) {
        head = head.max(given.last);
    }
    while events
        .get(&head.next())
        .is_some_and(|(tag, _)| *tag == run.tag)
    {
        head = head.next();
    }
    let is_of_its_run = |tag: RunTag, position: Position| {
        let last = if tag == run.tag { Some(head) } else { None };
        manifest.run(tag).is_some_and(|(known, end)| {
            (known.first..=end.or(last).unwrap_or_default()).contains(&position)
        })
    };
    let events = events
        .into_iter()
        .filter(|(position, (tag, _))| is_of_its_run(*tag, *position));
    Ok(Recalled {
        events: events.map(|(_, (_, event))| event).collect(),
        head,
        exists: true,
    })
}
