//! The state that writer and readers of a log share.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::disk::Disk;
use super::index::Hashes;
use super::manifest::Manifest;
use super::options::HistoryOptions;
use super::segment::{Files, Segment};
use super::tier::Tiers;
use crate::events::Events;
use crate::measures::{Histogram, NANOSECONDS, TIMES};
use crate::sync::{Mutex, RwLock};
use crate::{EventIds, Health, Position};

/// The state that writer and readers of a log share.
pub(super) struct Shared {
    pub(super) files: Files,
    pub(super) ids: EventIds,
    /// The key and the runs; the last run is that of this opening.
    pub(super) manifest: Manifest,
    pub(super) options: HistoryOptions,
    /// The segments, oldest first; the last one is active. The list is replaced as a whole.
    segments: RwLock<Arc<[Arc<Segment>]>>,
    /// The indexes over many segments.
    pub(super) tiers: Tiers,
    /// The subscription events that are kept.
    pub(super) events: RwLock<Events>,
    newest: Mutex<Newest>,
    /// The position of the newest update.
    head: AtomicU64,
    /// Everything up to here is deleted. Only the committer raises it; reading it never waits.
    floor: AtomicU64,
    /// The last position of the newest damage, which no subscriber may resume across.
    behind_damage: AtomicU64,
    health: Mutex<Health>,
    /// How long it took to make updates durable.
    pub(super) syncs: Arc<Histogram>,
}

/// The newest committed update.
#[derive(Debug, Clone, Default)]
pub(super) struct Newest {
    pub(super) head: Position,
    pub(super) event_id: Option<Box<str>>,
}

impl Shared {
    pub(super) fn new(
        disk: Arc<dyn Disk>,
        manifest: Manifest,
        options: HistoryOptions,
        segments: Vec<Arc<Segment>>,
        newest: Newest,
        floor: Position,
        events: Events,
    ) -> Self {
        let behind_gaps = manifest.gaps.iter().map(|gap| gap.last.0).max();
        Self {
            files: Files::new(disk, Hashes::new(&manifest.key)),
            ids: EventIds::new(&manifest.key),
            head: AtomicU64::new(newest.head.0),
            floor: AtomicU64::new(floor.0),
            manifest,
            options,
            segments: RwLock::new(segments.into()),
            tiers: Tiers::default(),
            events: RwLock::new(events),
            newest: Mutex::new(newest),
            behind_damage: AtomicU64::new(behind_gaps.unwrap_or_default()),
            health: Mutex::new(Health::Ready),
            syncs: Arc::new(Histogram::new(TIMES, NANOSECONDS)),
        }
    }

    pub(super) fn segments(&self) -> Arc<[Arc<Segment>]> {
        Arc::clone(&self.segments.read())
    }

    pub(super) fn replace_segments(&self, segments: Vec<Arc<Segment>>) {
        *self.segments.write() = segments.into();
    }

    /// Calls a function with each listed segment between two numbers.
    pub(super) fn each_of(&self, first: u64, last: u64, each: impl FnMut(&Arc<Segment>)) {
        let segments = self.segments();
        let start = segments.partition_point(|segment| segment.number < first);
        let within = segments[start..].iter();
        within
            .take_while(|segment| segment.number <= last)
            .for_each(each);
    }

    pub(super) fn newest(&self) -> Newest {
        self.newest.lock().clone()
    }

    pub(super) fn set_newest(&self, newest: Newest) {
        let head = newest.head.0;
        *self.newest.lock() = newest;
        self.head.store(head, Ordering::Release);
    }

    /// The position of the newest update.
    pub(super) fn head(&self) -> Position {
        Position(self.head.load(Ordering::Acquire))
    }

    pub(super) fn health(&self) -> Health {
        *self.health.lock()
    }

    /// Sets the health, and logs a change once.
    pub(super) fn set_health(&self, health: Health) {
        let before = std::mem::replace(&mut *self.health.lock(), health);
        match (before, health) {
            (Health::Refusing(_), Health::Ready) => {
                tracing::info!(name: "updates_stored_again", "updates are stored again");
            }
            (before, Health::Refusing(reason)) if before != health => {
                tracing::error!(name: "updates_refused", reason, "updates are refused");
            }
            _ => {}
        }
    }

    /// Deletes everything up to a position for readers.
    pub(super) fn raise_floor(&self, floor: Position) {
        self.floor.fetch_max(floor.0, Ordering::AcqRel);
    }

    /// The position up to which everything is deleted.
    pub(super) fn floor(&self) -> Position {
        Position(self.floor.load(Ordering::Acquire))
    }

    /// The earliest position from which a subscriber may resume: after what was deleted and after damage.
    pub(super) fn cursor_floor(&self) -> Position {
        let behind_damage = Position(self.behind_damage.load(Ordering::Acquire));
        self.floor().max(behind_damage)
    }

    /// Reports damage from the position `lost` to `behind`, and its offset in the file unless that is lost
    /// too. From now on subscribers resume after it.
    pub(super) fn report_damage(
        &self,
        file: &str,
        at: Option<u32>,
        lost: Position,
        behind: Position,
    ) {
        let known = self.behind_damage.fetch_max(behind.0, Ordering::AcqRel);
        if known < behind.0 {
            tracing::error!(
                name: "updates_damaged",
                file = self.files.disk.path(file),
                offset = at,
                first = lost.0,
                last = behind.0,
                "stored updates are damaged and cannot be delivered, so subscribers that resume before them continue after them; `talaria history verify` lists all damage"
            );
        }
    }
}
