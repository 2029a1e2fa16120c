//! Tells apart lists of subscriptions that have the same newest update.

use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::sync::Arc;

use super::document::Document;

/// Follows which subscriptions are active.
///
/// A list changes with an update, so the newest update tells lists apart. On a log of several processes it changes
/// without one, too, when it is read anew after a loss. From then on its tag says which subscriptions it has; two
/// processes that have the same ones say the same.
#[derive(Debug, Default)]
pub(super) struct Digest {
    /// The sum of the hashes of the topics of all active subscriptions.
    sum: u64,
    /// Whether there was a list that a later one can differ from.
    has_begun: bool,
    /// Whether the list has changed without an update.
    is_shown: bool,
}

impl Digest {
    /// Notes that an update was applied.
    pub(super) fn advance(&mut self) {
        self.has_begun = true;
    }

    /// Notes that a subscription has become active.
    pub(super) fn add(&mut self, topic: &str) {
        self.sum = self.sum.wrapping_add(hash(topic));
    }

    /// Notes that an active subscription is not active any more.
    pub(super) fn remove(&mut self, topic: &str) {
        self.sum = self.sum.wrapping_sub(hash(topic));
    }

    /// Notes that the list was read anew, and has the active subscriptions of which this is the sum. What a process
    /// reads at its start is the list as of its newest update.
    pub(super) fn restore(&mut self, sum: u64) {
        let before = std::mem::replace(&mut self.sum, sum);
        self.is_shown |= self.has_begun && sum != before;
        self.has_begun = true;
    }

    /// What to tell the list apart by, besides its newest update; `None` if that is enough.
    pub(super) fn tag(&self) -> Option<u64> {
        self.is_shown.then_some(self.sum)
    }
}

/// The sum of the hashes of these topics.
pub(super) fn sum_of(active: impl Iterator<Item = Arc<Document>>) -> u64 {
    active.fold(0, |sum: u64, one| sum.wrapping_add(hash(&one.topic)))
}

/// The same in every process of one version. Between versions it may differ, and a client reads a list again.
fn hash(topic: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    topic.hash(&mut hasher);
    hasher.finish()
}
