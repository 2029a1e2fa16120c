//! The subscription events that are kept. They have their own bounds, so that they never displace a
//! publisher's update.

mod ranges;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use serde_json::Value;
use talaria_protocol::event;

pub(crate) use self::ranges::EventRanges;
use crate::{Frame, Position};

/// The bytes that a kept event takes besides its frame: its entries here, and a copy of its topic.
const PLACES: usize = 256;

/// How many subscription events are kept.
///
/// Beyond these bounds the events of ended subscriptions are removed first, the oldest ones before the
/// others, then the oldest of all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct EventBounds {
    /// The bytes that they take in memory at most; on a disk they take about twice as many at most.
    pub bytes: usize,
    /// How many there are at most.
    pub count: usize,
}

impl Default for EventBounds {
    /// Room for the events of about 20,000 open subscriptions.
    fn default() -> Self {
        Self {
            bytes: 16 << 20,
            count: 50_000,
        }
    }
}

/// The kept events, by position.
#[derive(Debug)]
pub(crate) struct Events {
    bounds: EventBounds,
    kept: BTreeMap<Position, Event>,
    bytes: usize,
    /// The beginnings of subscriptions that have not ended, by topic.
    open: HashMap<Box<str>, Position>,
    /// Beginnings and their ends; those that ended first stand first.
    ended: VecDeque<(Position, Position)>,
    /// All other events, for instance of a subscription whose other event was removed.
    single: BTreeSet<Position>,
}

/// A subscription event.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) frame: Arc<Frame>,
    /// When it was committed, in milliseconds since 1970.
    pub(crate) time: u64,
    /// Whether it begins a subscription (`true`) or ends it; `None` if it says neither.
    active: Option<bool>,
}

impl Event {
    pub(crate) fn new(frame: Arc<Frame>, time: u64) -> Self {
        let active = || {
            let (update, _) = event::decode_update(&frame.bytes)?;
            let document: Value = serde_json::from_str(&update.data).ok()?;
            document.get("active")?.as_bool()
        };
        Self {
            active: active(),
            frame,
            time,
        }
    }
}

impl Events {
    pub(crate) fn new(bounds: EventBounds) -> Self {
        Self {
            bounds,
            kept: BTreeMap::new(),
            bytes: 0,
            open: HashMap::new(),
            ended: VecDeque::new(),
            single: BTreeSet::new(),
        }
    }

    /// Adds an event; positions increase. It stays until [`Self::evict`].
    pub(crate) fn add(&mut self, event: Event) {
        let position = event.frame.position;
        let topic = event.frame.topics.first().cloned().unwrap_or_default();
        match event.active {
            Some(true) => {
                let before = self.open.insert(topic, position);
                self.single.extend(before);
            }
            Some(false) => match self.open.remove(&topic) {
                Some(beginning) => self.ended.push_back((beginning, position)),
                None => _ = self.single.insert(position),
            },
            None => _ = self.single.insert(position),
        }
        self.bytes += event.frame.weight() + PLACES;
        self.kept.insert(position, event);
    }

    /// Removes the events that exceed the bounds; returns their positions.
    pub(crate) fn evict(&mut self) -> Vec<Position> {
        let mut gone = Vec::new();
        while self.kept.len() > self.bounds.count || self.bytes > self.bounds.bytes {
            if let Some((beginning, end)) = self.ended.pop_front() {
                self.remove(beginning, &mut gone);
                self.remove(end, &mut gone);
            } else if let Some(oldest) = self.single.pop_first() {
                self.remove(oldest, &mut gone);
            } else if let Some((&oldest, event)) = self.kept.first_key_value() {
                if let Some(topic) = event.frame.topics.first() {
                    self.open.remove(topic);
                }
                self.remove(oldest, &mut gone);
            } else {
                break;
            }
        }
        gone
    }

    fn remove(&mut self, position: Position, gone: &mut Vec<Position>) {
        if let Some(event) = self.kept.remove(&position) {
            self.bytes -= event.frame.weight() + PLACES;
            gone.push(position);
        }
    }

    /// The events after `from`, up to and including `up_to`, at most `limit` of them.
    pub(crate) fn page(&self, from: Position, up_to: Position, limit: usize) -> Vec<Arc<Frame>> {
        if from >= up_to {
            return Vec::new();
        }
        let events = self.kept.range(from.next()..=up_to).take(limit);
        events.map(|(_, event)| Arc::clone(&event.frame)).collect()
    }

    /// The bytes that they take in memory.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// All of them, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Event> {
        self.kept.values()
    }
}

#[cfg(not(talaria_loom))]
#[cfg(test)]
mod tests {
    use talaria_protocol::Update;

    use super::*;

    fn event(position: u64, topic: &str, active: bool) -> Event {
        let update = Update {
            topics: vec![topic.to_owned()],
            data: format!("{{\n  \"active\": {active},\n  \"payload\": {{\"active\": true}}\n}}"),
            by_hub: true,
            ..Update::default()
        };
        let frame = Frame::new(Position(position), position.to_string(), update);
        Event::new(Arc::new(frame), position)
    }

    fn kept(events: &Events) -> Vec<u64> {
        events.iter().map(|event| event.frame.position.0).collect()
    }

    fn with(count: usize) -> Events {
        Events::new(EventBounds {
            count,
            ..EventBounds::default()
        })
    }

    #[test]
    fn what_has_ended_goes_first_and_together() {
        let mut events = with(5);
        events.add(event(1, "open", true));
        events.add(event(2, "a", true));
        events.add(event(3, "b", true));
        events.add(event(4, "b", false));
        events.add(event(5, "a", false));
        assert_eq!(events.evict(), []);
        events.add(event(6, "c", true));
        // The longest ended one, not the longest begun.
        assert_eq!(events.evict(), [Position(3), Position(4)]);
        events.add(event(7, "lone", false));
        events.add(event(8, "d", true));
        assert_eq!(events.evict(), [Position(2), Position(5)]);
        events.add(event(9, "e", true));
        events.add(event(10, "f", true));
        assert_eq!(events.evict(), [Position(7)]);
        assert_eq!(kept(&events), [1, 6, 8, 9, 10]);
    }

    #[test]
    fn the_bounds_hold_though_all_are_open() {
        let mut events = with(3);
        for position in 1..=5 {
            events.add(event(position, &position.to_string(), true));
        }
        assert_eq!(events.evict(), [Position(1), Position(2)]);
        // The end of one whose beginning is gone says nothing.
        events.add(event(6, "1", false));
        assert_eq!(events.evict(), [Position(6)]);
        let bytes = event(1, "1", true).frame.weight() + PLACES;
        let mut events = Events::new(EventBounds {
            bytes: 2 * bytes,
            count: 10,
        });
        for position in 1..=5 {
            events.add(event(position, &position.to_string(), true));
            events.evict();
        }
        assert_eq!(kept(&events), [4, 5]);
        assert_eq!(events.bytes, 2 * bytes);
        assert_eq!(events.open.len(), 2);
    }
}
