//! The tiers of a log that can be used.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::file::Tier;
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
        let is_within = |other: &&Arc<Tier>| (tier.first()..=tier.last()).contains(&other.first());
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

    /// Takes a tier out of the list; returns whether it was there.
    pub(super) fn take_out(&self, tier: &Arc<Tier>) -> bool {
        let mut list = self.list.write();
        let others = list.iter().filter(|other| !Arc::ptr_eq(other, tier));
        let kept: Vec<_> = others.cloned().collect();
        let was_there = kept.len() < list.len();
        *list = kept.into();
        was_there
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
