//! What must hold of a history, whatever happened to it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use talaria_transport::history::{HistoryOptions, SyncMode};
use talaria_transport::{AppendError, Appended, Bounds, Frame, Lookup, Position, Transport};

use super::model::Crash;
use crate::suite::{Everything, look_up, read};

/// What happened to a history so far. Updates are told apart by a number in their data.
pub struct Oracle {
    options: HistoryOptions,
    /// When each update was handed over, in milliseconds since 1970, and the bytes of its data; the
    /// first has number 1.
    handed_over: Vec<(u64, usize)>,
    /// Acknowledged and not lost in a way that the mode allows.
    acknowledged: BTreeMap<Position, (u64, String)>,
    refused: HashSet<u64>,
    /// Every id that was shown, the number of its update, and the process that showed it.
    shown: HashMap<String, (u64, u64)>,
    process: u64,
    power_was_lost: bool,
    /// What retention could not read is kept until the next publish.
    may_keep_more: bool,
}

/// More bytes than anything but its data takes of the disk for an update.
const OVERHEAD: u64 = 1_000;
/// The longest data, in bytes.
const LONGEST: u64 = 6_000;

fn number(frame: &Frame) -> u64 {
    let text = std::str::from_utf8(&frame.bytes).expect("UTF-8");
    let data = text.split("data: ").nth(1).expect("data");
    data.split(':')
        .next()
        .expect("a number")
        .parse()
        .expect("a number")
}

impl Oracle {
    pub fn new(options: HistoryOptions) -> Self {
        Self {
            options,
            handed_over: Vec::new(),
            acknowledged: BTreeMap::new(),
            refused: HashSet::new(),
            shown: HashMap::new(),
            process: 0,
            power_was_lost: false,
            may_keep_more: false,
        }
    }

    /// The number of an update with so many bytes of data.
    pub fn handed_over(&mut self, length: usize) -> u64 {
        let now = (self.options.clock)();
        self.handed_over.push((now, length));
        self.handed_over.len() as u64
    }

    pub fn answered(&mut self, number: u64, outcome: Result<Appended, AppendError>) {
        match outcome {
            Ok(Appended { position, event_id }) => {
                let before = self.acknowledged.insert(position, (number, event_id));
                assert!(before.is_none(), "position {position} was given twice");
            }
            Err(AppendError::Refused(_)) => _ = self.refused.insert(number),
            Err(AppendError::Unknown) => {}
        }
    }

    pub fn shown(&mut self, frames: &[Arc<Frame>]) {
        for frame in frames {
            let shown = (number(frame), self.process);
            let before = self.shown.insert(frame.event_id.to_string(), shown);
            assert!(before.is_none(), "{} was shown twice", frame.event_id);
        }
    }

    /// It was opened, on a disk that failed now and then or on one that did not.
    pub fn opened(&mut self, failing: bool) {
        self.may_keep_more = failing;
    }

    pub fn crashed(&mut self, crash: Crash) {
        self.power_was_lost |= crash == Crash::PowerLoss;
        self.process += 1;
    }

    /// Compares what is there with what happened.
    pub fn check(&mut self, history: &Arc<dyn Transport>) {
        let (bounds, stored) = self.read(history);
        let places: Vec<u64> = stored.iter().map(|frame| frame.position.0).collect();
        let dense: Vec<u64> = (bounds.floor.0 + 1..=bounds.head.0).collect();
        assert_eq!(
            places, dense,
            "everything above the floor is there, once, in order"
        );
        for frame in &stored {
            let number = number(frame);
            assert!(
                !self.refused.contains(&number),
                "{number} was refused and is there"
            );
            if let Some((shown, _)) = self.shown.get(&*frame.event_id) {
                assert_eq!(*shown, number, "{} is another update now", frame.event_id);
            }
        }
        self.check_most(bounds.floor, &stored);
        let may_lose = self.power_was_lost && self.options.sync != SyncMode::Always;
        if may_lose {
            self.acknowledged.split_off(&bounds.head.next());
        }
        for (position, (number, event_id)) in self.acknowledged.range(bounds.floor.next()..) {
            let index = (position.0 - bounds.floor.0 - 1) as usize;
            let found = stored.get(index);
            let found = found.unwrap_or_else(|| panic!("{number} was acknowledged and is lost"));
            assert_eq!(self::number(found), *number, "position {position}");
            assert_eq!(*found.event_id, **event_id, "position {position}");
        }
        if !may_lose {
            self.check_least(bounds.floor, bounds.head);
        }
        self.check_ids(history, &stored);
        self.power_was_lost = false;
    }

    /// Nothing is kept that retention deletes.
    fn check_most(&self, floor: Position, stored: &[Arc<Frame>]) {
        let head = stored.last().map_or(floor, |newest| newest.position);
        if let Some(size) = self.options.size {
            assert!(floor >= head.back(size), "{size} are kept at most");
        }
        let bytes: usize = stored.iter().map(|frame| frame.bytes.len()).sum();
        let is_bounded = stored.len() > 1 && !self.may_keep_more;
        if let (Some(most), true) = (self.options.max_bytes, is_bounded) {
            assert!(bytes as u64 <= most, "{most} bytes are kept at most");
        }
    }

    /// Nothing is deleted that retention keeps.
    fn check_least(&self, floor: Position, head: Position) {
        let now = (self.options.clock)();
        let mut bytes = 0;
        let known = self.acknowledged.iter().rev();
        for (counted, (position, (number, _))) in (1..).zip(known) {
            let (handed_over, length) = self.handed_over[*number as usize - 1];
            bytes += length as u64 + OVERHEAD;
            let newer = head.0.saturating_sub(position.0);
            // Of the others nobody heard whether they are stored.
            let others = (newer + 1).saturating_sub(counted) * (LONGEST + OVERHEAD);
            let is_over = self.options.size.is_some_and(|size| newer >= size)
                || self
                    .options
                    .max_bytes
                    .is_some_and(|most| bytes + others > most)
                || self
                    .options
                    .max_age
                    .is_some_and(|age| handed_over + age.as_millis() as u64 <= now);
            if is_over {
                break;
            }
            assert!(
                *position > floor,
                "{number} is kept, whatever the bounds are"
            );
        }
    }

    fn check_ids(&self, history: &Arc<dyn Transport>, stored: &[Arc<Frame>]) {
        let at = |position: Position| stored.iter().find(|frame| frame.position == position);
        for (id, shown) in &self.shown {
            match look_up(history, id) {
                Lookup::Found(position) => {
                    let found = at(position).unwrap_or_else(|| {
                        let bounds = history.bounds();
                        panic!("{id} is found at {position}, which is not stored: {bounds:?}")
                    });
                    assert_eq!(number(found), shown.0, "{id} leads to another update");
                }
                Lookup::Past { position, event_id } => {
                    let found = at(position).expect("the run's last update is stored");
                    assert_eq!(*found.event_id, *event_id);
                    // Whatever is behind it is of a later run.
                    let behind = stored.iter().filter(|frame| frame.position > position);
                    let runs = behind.filter_map(|frame| self.shown.get(&*frame.event_id));
                    for (number, process) in runs {
                        assert!(*process > shown.1, "{id} is resumed before {number}");
                    }
                }
                Lookup::Deleted => {
                    let floor = history.bounds().floor;
                    let kept = stored
                        .iter()
                        .any(|frame| *frame.event_id == **id && frame.position > floor);
                    assert!(!kept, "{id} is kept and passes for deleted");
                }
                Lookup::Unknown => {
                    assert!(id.starts_with("chosen"), "{id} was given and is forgotten")
                }
                Lookup::Unsupported => panic!("a history looks ids up"),
            }
        }
    }

    /// What is kept, and its bounds. What retention could not read at the opening it looks for
    /// again, so it may delete while this reads.
    fn read(&self, history: &Arc<dyn Transport>) -> (Bounds, Vec<Arc<Frame>>) {
        'again: loop {
            let bounds = history.bounds();
            let (mut from, mut stored) = (bounds.floor, Vec::new());
            while from < bounds.head {
                let page = read(history, from.0, bounds.head.0, 1 << 20, Everything);
                if history.bounds() != bounds {
                    continue 'again;
                }
                let page = page.expect("what is kept is readable");
                assert!(page.looked_up_to > from, "a page goes on");
                from = page.looked_up_to;
                stored.extend(page.frames);
            }
            return (bounds, stored);
        }
    }
}
