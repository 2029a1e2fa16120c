//! What must hold of a history, whatever happened to it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use talaria_transport::history::SyncMode;
use talaria_transport::{AppendError, Appended, Frame, Lookup, Position, Transport};

use super::model::Crash;
use crate::suite::{Everything, look_up, read};

/// What happened to a history so far. Updates are told apart by a number in their data.
pub struct Oracle {
    mode: SyncMode,
    size: Option<u64>,
    numbers: u64,
    /// Acknowledged and not lost in a way that the mode allows.
    acknowledged: BTreeMap<Position, (u64, String)>,
    refused: HashSet<u64>,
    /// Every id that was shown, and the number of its update.
    shown: HashMap<String, u64>,
    power_was_lost: bool,
}

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
    pub fn new(mode: SyncMode, size: Option<u64>) -> Self {
        Self {
            mode,
            size,
            numbers: 0,
            acknowledged: BTreeMap::new(),
            refused: HashSet::new(),
            shown: HashMap::new(),
            power_was_lost: false,
        }
    }

    pub fn next_number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
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
            let before = self.shown.insert(frame.event_id.to_string(), number(frame));
            assert!(before.is_none(), "{} was shown twice", frame.event_id);
        }
    }

    pub fn crashed(&mut self, crash: Crash) {
        self.power_was_lost |= crash == Crash::PowerLoss;
    }

    /// Compares what is there with what happened.
    pub fn check(&mut self, history: &Arc<dyn Transport>) {
        let bounds = history.bounds();
        let stored = self.read(history);
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
            if let Some(shown) = self.shown.get(&*frame.event_id) {
                assert_eq!(*shown, number, "{} is another update now", frame.event_id);
            }
        }
        if let Some(size) = self.size {
            assert!(
                bounds.floor >= bounds.head.back(size),
                "{size} are kept at most"
            );
        }
        let may_lose = self.power_was_lost && self.mode != SyncMode::Always;
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
        if let (Some(size), false) = (self.size, may_lose) {
            let newest = self.acknowledged.last_key_value();
            let least = newest.map_or(Position::ORIGIN, |(newest, _)| newest.back(size));
            let most = bounds.head.back(size).max(least);
            assert!(bounds.floor <= most, "{size} are kept at least");
        }
        self.check_ids(history, &stored);
        self.power_was_lost = false;
    }

    fn check_ids(&self, history: &Arc<dyn Transport>, stored: &[Arc<Frame>]) {
        let at = |position: Position| stored.iter().find(|frame| frame.position == position);
        for (id, shown) in &self.shown {
            match look_up(history, id) {
                Lookup::Found(position) => {
                    let found = at(position).expect("what is found is stored");
                    assert_eq!(number(found), *shown, "{id} leads to another update");
                }
                Lookup::Past { position, event_id } => {
                    let found = at(position).expect("the run's last update is stored");
                    assert_eq!(*found.event_id, *event_id);
                }
                Lookup::Deleted => {
                    let kept = stored.iter().any(|frame| *frame.event_id == **id);
                    assert!(!kept, "{id} is kept and passes for deleted");
                }
                Lookup::Unknown => {
                    assert!(id.starts_with("chosen"), "{id} was given and is forgotten")
                }
                Lookup::Unsupported => panic!("a history looks ids up"),
            }
        }
    }

    fn read(&self, history: &Arc<dyn Transport>) -> Vec<Arc<Frame>> {
        let bounds = history.bounds();
        let (mut from, mut stored) = (bounds.floor, Vec::new());
        while from < bounds.head {
            let page = read(history, from.0, bounds.head.0, 1 << 20, Everything);
            let page = page.expect("what is kept is readable");
            assert!(page.looked_up_to > from, "a page goes on");
            from = page.looked_up_to;
            stored.extend(page.frames);
        }
        stored
    }
}
