//! The promises of a history, whatever happens to it.

mod events;
mod retention;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use talaria_transport::history::{HistoryOptions, SyncMode};
use talaria_transport::{AppendError, Appended, Bounds, Frame, Lookup, Position, Transport};

use super::answers::Answers;
use super::clock::Clock;
use super::model::{Crash, Model};
use super::verdict::{Violation, promise};
use crate::suite::{Everything, look_up, read};

type Kept<T = ()> = Result<T, Violation>;

/// What happened to a history so far. Updates are told apart by a number in their data.
pub struct Oracle {
    options: HistoryOptions,
    clock: Clock,
    /// How often the clock was set before this process.
    steps: u64,
    /// The first has number 1.
    handed_over: Vec<HandedOver>,
    /// Acknowledged, or found by an opening, and not lost in a way that the mode allows.
    acknowledged: BTreeMap<Position, Acknowledged>,
    refused: HashSet<u64>,
    /// Every id that was shown, the number of its update, and the process that showed it.
    shown: HashMap<String, (u64, u64)>,
    process: u64,
    /// Everything up to here is durable in every mode.
    durable: Position,
    /// When the newest update was handed over that this process acknowledged while its disk worked,
    /// in milliseconds since 1970.
    traffic: Option<u64>,
    /// No acknowledged update up to here may be missing after the last loss of power.
    survives: Option<Position>,
    /// What retention could not read is kept until the next publish.
    may_keep_more: bool,
}

struct HandedOver {
    /// In milliseconds since 1970, whatever the clock said.
    time: u64,
    /// Whether the clock was wrong then.
    is_wrong: bool,
    /// [`Clock::earliest_stamp`].
    stamp: u64,
    /// The bytes of its data.
    length: usize,
    /// Whether it is a subscription event.
    is_event: bool,
}

#[derive(Clone)]
struct Acknowledged {
    number: u64,
    event_id: String,
    /// In milliseconds since 1970; not before it was.
    time: u64,
}

/// A history that keeps more events than this keeps all.
const FEW: usize = 100;

fn number(frame: &Frame) -> u64 {
    let text = std::str::from_utf8(&frame.bytes).expect("UTF-8");
    let data = text.split("data: ").nth(1).expect("data");
    let data = data.strip_prefix("{\"number\":").unwrap_or(data);
    data.split([':', ','])
        .next()
        .expect("a number")
        .parse()
        .expect("a number")
}

impl Oracle {
    pub fn new(options: HistoryOptions, clock: Clock) -> Self {
        Self {
            options,
            clock,
            steps: 0,
            handed_over: Vec::new(),
            acknowledged: BTreeMap::new(),
            refused: HashSet::new(),
            shown: HashMap::new(),
            process: 0,
            durable: Position::ORIGIN,
            traffic: None,
            survives: None,
            may_keep_more: false,
        }
    }

    /// Notes an update with `length` bytes of data; returns its number.
    pub fn handed_over(&mut self, length: usize, is_event: bool) -> u64 {
        self.handed_over.push(HandedOver {
            time: self.clock.time(),
            is_wrong: self.clock.is_wrong(),
            stamp: self.clock.earliest_stamp(),
            length,
            is_event,
        });
        self.handed_over.len() as u64
    }

    fn is_event(&self, number: u64) -> bool {
        self.handed_over[number as usize - 1].is_event
    }

    fn time_of(&self, number: u64) -> u64 {
        self.handed_over[number as usize - 1].time
    }

    /// Notes the answer to a publisher, on a disk that has worked so far or on one that has not.
    pub fn answered(
        &mut self,
        number: u64,
        outcome: Result<Appended, AppendError>,
        works: bool,
    ) -> Kept {
        match outcome {
            Ok(Appended { position, event_id }) => {
                let acknowledged = Acknowledged {
                    number,
                    event_id,
                    time: self.clock.time(),
                };
                let before = self.acknowledged.insert(position, acknowledged);
                promise!(before.is_none(), "position {position} was given twice");
                if works {
                    self.traffic = self.traffic.max(Some(self.time_of(number)));
                }
            }
            Err(AppendError::Refused(_)) => _ = self.refused.insert(number),
            Err(AppendError::Unknown) => {}
        }
        Ok(())
    }

    pub fn shown(&mut self, frames: &[Arc<Frame>]) -> Kept {
        for frame in frames {
            let shown = (number(frame), self.process);
            let before = self.shown.insert(frame.event_id.to_string(), shown);
            promise!(before.is_none(), "{} was shown twice", frame.event_id);
        }
        Ok(())
    }

    fn is_wrong(&self, number: u64) -> bool {
        self.handed_over[number as usize - 1].is_wrong
    }

    /// Notes an opening, on a disk that fails at times or on one that does not.
    pub fn opened(&mut self, failing: bool) {
        self.may_keep_more = failing;
    }

    /// Notes a clean stop on a disk that works.
    pub fn closed(&mut self) {
        if let Some((last, _)) = self.acknowledged.last_key_value() {
            self.durable = self.durable.max(*last);
        }
    }

    /// Notes a crash, while the newest segment on the disk begins with a position.
    pub fn crashed(&mut self, crash: Crash, newest_segment: Position) {
        // A segment begins once the one before it is on the disk.
        self.durable = self.durable.max(newest_segment.back(1));
        if crash == Crash::PowerLoss {
            let survives = self.surviving();
            let before = self.survives.unwrap_or(survives);
            self.survives = Some(before.min(survives));
        }
        self.traffic = None;
        self.steps = self.clock.steps();
        self.process += 1;
    }

    /// No acknowledged update up to here may be lost with the power now.
    fn surviving(&self) -> Position {
        let by_mode = match (self.options.sync, self.traffic) {
            (SyncMode::Always, _) => Position(u64::MAX),
            // What is older than the interval was on the disk before the newest was acknowledged.
            (SyncMode::Interval(interval), Some(traffic)) => {
                // When the clock is set back, the interval begins again.
                let steps = self.clock.steps() - self.steps;
                let interval = interval.as_millis() as u64 * (1 + steps);
                let old = self.acknowledged.iter().rev();
                let mut old = old.filter(|(_, one)| one.time + interval <= traffic);
                old.next()
                    .map_or(Position::ORIGIN, |(position, _)| *position)
            }
            _ => Position::ORIGIN,
        };
        by_mode.max(self.durable)
    }

    /// Compares the history with what happened, right after an opening.
    pub fn check(&mut self, history: &Arc<dyn Transport>, model: &Model) -> Kept {
        // First, because files that were read stay open.
        let answers = Answers::collect(history, model, self.shown.keys());
        let (bounds, stored) = Self::read(history)?;
        answers.check(history, &stored)?;
        let is_ordered = stored.is_sorted_by(|one, next| one.position < next.position);
        promise!(is_ordered, "each is there once, in order");
        let by_place: BTreeMap<Position, &Arc<Frame>> =
            stored.iter().map(|frame| (frame.position, frame)).collect();
        let events = Self::events(history)?;
        self.check_events(&events)?;
        for frame in stored.iter().chain(&events) {
            let number = number(frame);
            promise!(
                frame.by_hub == self.is_event(number),
                "{number} is an event: {}",
                frame.by_hub
            );
            promise!(
                !self.refused.contains(&number),
                "{number} was refused and is there"
            );
            if let Some((shown, _)) = self.shown.get(&*frame.event_id) {
                promise!(*shown == number, "{} is another update now", frame.event_id);
            }
        }
        self.check_most(&stored)?;
        let survives = self.survives.take().unwrap_or(Position(u64::MAX));
        let lost = self.acknowledged.split_off(&bounds.head.next());
        if let Some((position, lost)) = lost.first_key_value() {
            promise!(
                *position > survives,
                "{} was acknowledged at {} and is lost with {:?}",
                lost.number,
                lost.time,
                self.options.sync
            );
        }
        for (position, one) in self.acknowledged.range(bounds.floor.next()..) {
            let Some(found) = by_place.get(position) else {
                promise!(self.is_event(one.number), "{} is lost", one.number);
                continue;
            };
            promise!(
                number(found) == one.number && *found.event_id == *one.event_id,
                "position {position} is {} and was {}",
                number(found),
                one.number
            );
        }
        if self.options.events.count > FEW {
            self.find_lost_events(&events, survives)?;
        }
        if lost.is_empty() {
            self.check_least(bounds.floor, bounds.head, &events)?;
        }
        self.check_ids(history, &by_place)?;
        self.remember(bounds.head, stored.iter().chain(&events));
        Ok(())
    }

    /// What an opening finds is durable when it returns, also updates without an answer.
    fn remember<'f>(&mut self, head: Position, found: impl Iterator<Item = &'f Arc<Frame>>) {
        for frame in found {
            let found = Acknowledged {
                number: number(frame),
                event_id: frame.event_id.to_string(),
                time: self.clock.time(),
            };
            self.acknowledged.entry(frame.position).or_insert(found);
        }
        self.durable = head;
        let known = self.acknowledged.values().rev();
        let mut newest = known.map(|one| &self.handed_over[one.number as usize - 1]);
        let newest = newest.find(|one| !one.is_event);
        self.clock.opened(newest.map_or(0, |newest| newest.stamp));
    }

    fn check_ids(
        &self,
        history: &Arc<dyn Transport>,
        stored: &BTreeMap<Position, &Arc<Frame>>,
    ) -> Kept {
        let at = |position: Position| stored.get(&position);
        let ids: HashMap<&str, Position> = stored
            .values()
            .map(|frame| (&*frame.event_id, frame.position))
            .collect();
        let is_kept = |id: &str| {
            let position = ids.get(id);
            position.is_some_and(|position| *position > history.bounds().floor)
        };
        for (id, shown) in &self.shown {
            match look_up(history, id) {
                Lookup::Found(position) => {
                    let found = at(position).map(|found| number(found));
                    let is_forgotten = found.is_none() && self.is_event(shown.0);
                    promise!(
                        found == Some(shown.0) || is_forgotten,
                        "{id} is that of {} and leads to {found:?} at {position}",
                        shown.0
                    );
                }
                Lookup::Past { position, event_id } => {
                    let found = at(position).map(|found| &*found.event_id);
                    // An event may be removed.
                    promise!(
                        found.is_none_or(|found| *found == *event_id),
                        "{id} resumes at {position} as {event_id}, where {found:?} is"
                    );
                    // Everything after it belongs to a later run.
                    let behind = stored.values().filter(|frame| frame.position > position);
                    let runs = behind.filter_map(|frame| self.shown.get(&*frame.event_id));
                    for (number, process) in runs {
                        promise!(*process > shown.1, "{id} is resumed before {number}");
                    }
                }
                Lookup::Deleted => {
                    promise!(!is_kept(id), "{id} is kept and passes for deleted");
                }
                Lookup::Unknown => {
                    promise!(id.starts_with("chosen"), "{id} was given and is forgotten");
                    promise!(!is_kept(id), "{id} is kept and passes for unknown");
                }
                Lookup::Unsupported => promise!(false, "a history looks ids up"),
            }
        }
        Ok(())
    }

    /// What is kept, and its bounds. What retention could not read at the opening it looks for
    /// again, so it may delete while this reads.
    fn read(history: &Arc<dyn Transport>) -> Kept<(Bounds, Vec<Arc<Frame>>)> {
        'again: loop {
            let bounds = history.bounds();
            let (mut from, mut stored) = (bounds.floor, Vec::new());
            while from < bounds.head {
                let page = read(history, from.0, bounds.head.0, 1 << 20, Everything);
                if history.bounds() != bounds {
                    continue 'again;
                }
                let page = page.map_err(|error| Violation(format!("what is kept: {error}")))?;
                promise!(page.looked_up_to > from, "a page after {from} goes on");
                from = page.looked_up_to;
                stored.extend(page.frames);
            }
            return Ok((bounds, stored));
        }
    }
}
