//! The tiers of a log that can be used.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::file::Tier;
use crate::history::names;
use crate::history::segment::{Cover, Segment};
use crate::history::shared::Shared;
use crate::sync::RwLock;

/// The tiers of a log, and the bell of the thread that adds to them.
#[derive(Default)]
pub(in crate::history) struct Tiers {
    /// In order; no two of them have a segment in common. The list is replaced as a whole.
    list: RwLock<Arc<[Arc<Tier>]>>,
    bell: Mutex<Bell>,
    rung: Condvar,
}

#[derive(Default)]
struct Bell {
    is_rung: bool,
    is_ended: bool,
}

/// The tier of a segment, if it has one.
pub(in crate::history) fn covering(tiers: &[Arc<Tier>], number: u64) -> Option<&Arc<Tier>> {
    let tier = tiers.get(tiers.partition_point(|tier| tier.last() < number))?;
    (tier.first() <= number).then_some(tier)
}

impl Tiers {
    pub(in crate::history) fn new(list: Vec<Arc<Tier>>) -> Self {
        Self {
            list: RwLock::new(list.into()),
            ..Self::default()
        }
    }

    pub(in crate::history) fn list(&self) -> Arc<[Arc<Tier>]> {
        Arc::clone(&self.list.read())
    }

    /// Adds a tier in place of those with the same segments; returns these.
    pub(super) fn add(&self, tier: Arc<Tier>) -> Vec<Arc<Tier>> {
        let mut list = self.list.write();
        let is_within = |other: &&Arc<Tier>| {
            (tier.first()..=tier.last()).contains(&other.first())
        };
        let (replaced, mut kept): (Vec<_>, Vec<_>) =
            list.iter().cloned().partition(|other| is_within(&other));
        let place = kept.partition_point(|other| other.first() < tier.first());
        kept.insert(place, tier);
        *list = kept.into();
        replaced
    }

    /// Removes the tiers all of whose segments are before a number; returns their names.
    pub(in crate::history) fn remove_before(&self, number: u64) -> Vec<String> {
        let mut list = self.list.write();
        let gone = list.partition_point(|tier| tier.last() < number);
        let names = list[..gone].iter().map(|tier| tier.name()).collect();
        if gone > 0 {
            let kept = list[gone..].to_vec();
            *list = kept.into();
        }
        names
    }

    /// Takes a tier out that cannot be read, so that the indexes of its segments are used instead.
    pub(in crate::history) fn give_up(&self, shared: &Shared, tier: &Arc<Tier>, error: &io::Error) {
        let mut list = self.list.write();
        let kept: Vec<_> = list
            .iter()
            .filter(|other| !Arc::ptr_eq(other, tier))
            .cloned()
            .collect();
        let is_news = kept.len() < list.len();
        *list = kept.into();
        drop(list);
        if !is_news {
            return;
        }
        shared.each_of(tier.first(), tier.last(), |segment| segment.cover(Cover::NONE));
        let disk = &*shared.files.disk;
        tracing::warn!(
            name: "tier_given_up",
            %error,
            tier = disk.path(&tier.name()),
            "an index over many segments is not readable; the indexes of its segments are used until it is made again"
        );
        if error.kind() == io::ErrorKind::InvalidData {
            // The next start need not find that out again; if this fails, it does.
            drop(disk.remove(&names::tier(tier.first(), tier.last())));
        }
    }

    fn bell(&self) -> MutexGuard<'_, Bell> {
        self.bell.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says that a segment was sealed.
    pub(in crate::history) fn ring(&self) {
        self.bell().is_rung = true;
        self.rung.notify_one();
    }

    /// Ends the thread that adds tiers.
    pub(super) fn end(&self) {
        self.bell().is_ended = true;
        self.rung.notify_one();
    }

    pub(super) fn is_ended(&self) -> bool {
        self.bell().is_ended
    }

    /// Waits for the next ring; returns false once the log is being closed.
    pub(super) fn wait(&self) -> bool {
        let waits = |bell: &mut Bell| !bell.is_rung && !bell.is_ended;
        let waited = self.rung.wait_while(self.bell(), waits);
        let mut bell = waited.unwrap_or_else(PoisonError::into_inner);
        bell.is_rung = false;
        !bell.is_ended
    }
}

impl Shared {
    /// Calls a function with each listed segment between two numbers.
    pub(super) fn each_of(&self, first: u64, last: u64, mut each: impl FnMut(&Arc<Segment>)) {
        let segments = self.segments();
        let start = segments.partition_point(|segment| segment.number < first);
        let within = segments[start..].iter();
        within
            .take_while(|segment| segment.number <= last)
            .for_each(&mut each);
    }
}
