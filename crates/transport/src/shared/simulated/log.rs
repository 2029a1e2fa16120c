//! The log as one server holds it: its records and what is kept beside them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use talaria_protocol::Update;

use super::members::Members;
use crate::shared::backend::{
    Attached, Batch, Condition, Entry, Member, Origin, Outcome, Record, Records,
};
use crate::{Bounds, Position};

/// The seconds since 1970 when 2025 began.
pub(super) const YEAR_2025: u64 = 1_735_689_600;
/// The bits of a position that are the number within its run.
const NUMBER_BITS: u32 = 32;

/// What a log may hold.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) max_length: Option<u64>,
    pub(super) max_bytes: Option<u64>,
    /// The most updates of a run.
    pub(super) run_length: u64,
}

/// The server that executes a command, and when, in milliseconds since 1970.
#[derive(Debug, Clone, Copy)]
pub(super) struct Context {
    pub(super) server: u64,
    pub(super) now: u64,
}

/// A subscription that began.
#[derive(Debug, Clone)]
pub(super) struct Begun {
    pub(super) member: Member,
    pub(super) position: Position,
    pub(super) update: Update,
}

#[derive(Debug, Clone)]
pub(super) struct Log {
    pub(super) key: [u8; 16],
    pub(super) tag: u64,
    /// The server of the last append.
    server: u64,
    head: Position,
    /// Where the run before the present one ended, until the present one has a record.
    run_before: Option<Position>,
    floor: Position,
    records: BTreeMap<Position, Arc<Record>>,
    bytes: u64,
    /// Every position that was given, in order.
    pub(super) given: Vec<Position>,
    /// Ids that publishers chose.
    ids: BTreeSet<(String, Position)>,
    once: BTreeMap<[u8; 32], (Position, u64)>,
    pub(super) subscriptions: BTreeMap<String, Begun>,
    pub(super) members: Members,
}

/// The first run that may follow one.
fn run_after(run: u64, context: Context) -> u64 {
    let clock = (context.now / 1_000).saturating_sub(YEAR_2025);
    clock.max(run + 1)
}

fn run_of(position: Position) -> u64 {
    position.0 >> NUMBER_BITS
}

fn size_of(update: &Update) -> u64 {
    let topics: usize = update.topics.iter().map(String::len).sum();
    let id = update.id.as_ref().map_or(0, String::len);
    (topics + id + update.data.len() + 100) as u64
}

impl Log {
    /// An empty log, in a run that is greater than that of `after`.
    pub(super) fn create(context: Context, after: Position, key: [u8; 16], tag: u64) -> Self {
        let head = Position(run_after(run_of(after), context) << NUMBER_BITS);
        Self {
            key,
            tag,
            server: context.server,
            head,
            run_before: Some(Position::ORIGIN),
            floor: Position::ORIGIN,
            records: BTreeMap::new(),
            bytes: 0,
            given: Vec::new(),
            ids: BTreeSet::new(),
            once: BTreeMap::new(),
            subscriptions: BTreeMap::new(),
            members: Members::default(),
        }
    }

    pub(super) fn bounds(&self) -> Bounds {
        // As on real servers: a log to which nothing was appended is at its origin, whatever its first run will be.
        let is_empty = self.run_before == Some(Position::ORIGIN);
        Bounds {
            floor: self.floor,
            head: if is_empty {
                Position::ORIGIN
            } else {
                self.head
            },
        }
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn attached(&self, is_new: bool) -> Attached {
        Attached {
            key: self.key,
            tag: self.tag,
            bounds: self.bounds(),
            is_new,
        }
    }

    /// Stores the entries whose condition holds.
    pub(super) fn store(
        &mut self,
        batch: &Batch,
        context: Context,
        limits: &Limits,
    ) -> Vec<Outcome> {
        let entries = (0..).zip(&batch.entries);
        let outcomes = entries.map(|(index, entry)| {
            let origin = Origin {
                member: batch.member,
                batch: batch.number,
                index,
            };
            self.store_one(entry, origin, batch.after, context, limits)
        });
        let outcomes = outcomes.collect();
        self.trim(limits);
        outcomes
    }

    fn store_one(
        &mut self,
        entry: &Entry,
        origin: Origin,
        after: Position,
        mut context: Context,
        limits: &Limits,
    ) -> Outcome {
        let topic = || entry.update.topics.first().cloned().unwrap_or_default();
        match entry.condition {
            Condition::Ends => {
                let may_end =
                    |kept: &&Begun| kept.member == origin.member || !self.members.has(kept.member);
                if self.subscriptions.get(&topic()).filter(may_end).is_none() {
                    return Outcome::Ended;
                }
                self.subscriptions.remove(&topic());
            }
            Condition::Begins => {
                let kept = self.subscriptions.get(&topic());
                if let Some(kept) = kept.filter(|kept| kept.member == origin.member) {
                    return Outcome::Repeated(kept.position);
                }
            }
            Condition::Once(key, _) => {
                let known = self.once.get(&key);
                if let Some((position, _)) = known.filter(|(_, until)| *until > context.now) {
                    return Outcome::Repeated(*position);
                }
            }
            Condition::Imported(time) => {
                if let Some(position) = entry.update.id.as_ref().and_then(|id| self.find(id)) {
                    return Outcome::Repeated(position);
                }
                context.now = context.now.min(time);
            }
            _ => {}
        }
        let position = self.push(&entry.update, origin, after, context, limits);
        match entry.condition {
            Condition::Begins => {
                let begun = Begun {
                    member: origin.member,
                    position,
                    update: entry.update.clone(),
                };
                self.subscriptions.insert(topic(), begun);
            }
            Condition::Once(key, window) => {
                let window = window.min(Duration::from_secs(1 << 32)).as_millis() as u64;
                self.once.insert(key, (position, context.now + window));
            }
            _ => {}
        }
        Outcome::Stored(position)
    }

    fn push(
        &mut self,
        update: &Update,
        origin: Origin,
        after: Position,
        context: Context,
        limits: &Limits,
    ) -> Position {
        let number = self.head.0 & ((1 << NUMBER_BITS) - 1);
        let is_behind = self.head < after;
        if is_behind || self.server != context.server || number >= limits.run_length {
            // A log without a record has no run that ended.
            self.run_before.get_or_insert(self.head);
            let run = run_of(self.head.max(after));
            self.head = Position(run_after(run, context) << NUMBER_BITS);
            self.server = context.server;
        }
        self.head = self.head.next();
        let record = Record {
            position: self.head,
            run_before: self.run_before.take(),
            origin,
            time: context.now,
            update: update.clone(),
        };
        if let Some(id) = &update.id {
            self.ids.insert((id.clone(), self.head));
        }
        self.bytes += size_of(update);
        self.records.insert(self.head, Arc::new(record));
        self.given.push(self.head);
        self.head
    }

    /// Removes the oldest records that the limits exclude, but never the newest one.
    fn trim(&mut self, limits: &Limits) {
        let is_over = |log: &Self| {
            let length = log.records.len() as u64;
            let is_long = limits.max_length.is_some_and(|most| length > most);
            length > 1 && (is_long || limits.max_bytes.is_some_and(|most| log.bytes > most))
        };
        while is_over(self)
            && let Some((position, record)) = self.records.pop_first()
        {
            self.floor = position;
            self.bytes -= size_of(&record.update);
            if let Some(id) = &record.update.id {
                self.ids.remove(&(id.clone(), position));
            }
        }
    }

    /// The records after a position, in order.
    pub(super) fn after(&self, after: Position) -> impl Iterator<Item = &Arc<Record>> {
        self.records.range(after.next()..).map(|(_, record)| record)
    }

    pub(super) fn page(
        &self,
        after: Position,
        up_to: Position,
        most_records: usize,
        most_bytes: usize,
    ) -> Records {
        let wanted = || {
            self.after(after)
                .take_while(|record| record.position <= up_to)
        };
        let mut bytes = 0;
        let fits = |record: &&Arc<Record>| {
            let is_first = bytes == 0;
            bytes += size_of(&record.update) as usize;
            is_first || bytes <= most_bytes
        };
        let records: Vec<Record> = wanted()
            .take(most_records)
            .take_while(fits)
            .map(|record| (**record).clone())
            .collect();
        let is_all = records.len() == wanted().count();
        let last = records.last().map_or(up_to, |last| last.position);
        Records {
            records,
            floor: self.floor,
            looked_up_to: if is_all { up_to } else { last },
        }
    }

    /// The newest records up to a position of about `most_bytes` bytes.
    pub(super) fn newest(&self, up_to: Position, most_bytes: usize) -> Records {
        let mut bytes = 0;
        let newest = self.records.range(..=up_to).rev();
        let mut records: Vec<Record> = newest
            .take_while(|(_, record)| {
                let fits = bytes < most_bytes;
                bytes += size_of(&record.update) as usize;
                fits
            })
            .map(|(_, record)| (**record).clone())
            .collect();
        records.reverse();
        Records {
            records,
            floor: self.floor,
            looked_up_to: up_to,
        }
    }

    /// The earliest kept update with an id that a publisher chose.
    pub(super) fn find(&self, id: &str) -> Option<Position> {
        let from = (id.to_owned(), Position::ORIGIN);
        let (found, position) = self.ids.range(from..).next()?;
        (found == id).then_some(*position)
    }
}
