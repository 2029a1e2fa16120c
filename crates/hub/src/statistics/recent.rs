//! The last refusals, for an operator who looks at a hub.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use crate::clock::UnixTime;

/// The most refusals that are kept.
const MOST: usize = 50;
/// The most bytes of a sentence.
const LONGEST: usize = 240;
/// The seconds within which refusals for one reason are one entry.
const TOGETHER: f64 = 1.0;

/// A refusal, or several for one reason within a second.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct RecentRefusal {
    /// When the first one was.
    pub at: UnixTime,
    /// The status of its answer.
    pub status: u16,
    /// The name of the reason.
    pub reason: &'static str,
    /// The sentence of the first one. It names no path, no topic, no query and no token.
    pub sentence: String,
    /// How many there were.
    pub count: u64,
}

/// The last refusals. Those for one reason within a second are one entry, so that a flood of them costs little and
/// drives few others out.
#[derive(Debug, Default)]
pub struct RecentRefusals(Mutex<VecDeque<RecentRefusal>>);

impl RecentRefusals {
    /// None yet.
    pub const fn new() -> Self {
        Self(Mutex::new(VecDeque::new()))
    }

    /// Notes a refusal. The sentence is made only if it is kept.
    pub fn note(
        &self,
        at: UnixTime,
        status: u16,
        reason: &'static str,
        sentence: impl FnOnce() -> String,
    ) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_together = |known: &&mut RecentRefusal| {
            let apart = (at.seconds() - known.at.seconds()).abs();
            known.reason == reason && known.status == status && apart < TOGETHER
        };
        if let Some(known) = kept.iter_mut().rev().find(is_together) {
            known.count += 1;
            return;
        }
        let mut sentence = sentence();
        sentence.truncate(sentence.floor_char_boundary(LONGEST));
        if kept.len() == MOST {
            kept.pop_front();
        }
        kept.push_back(RecentRefusal {
            at,
            status,
            reason,
            sentence,
            count: 1,
        });
    }

    /// The refusals that are kept, the newest first.
    pub fn newest_first(&self) -> Vec<RecentRefusal> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().rev().cloned().collect()
    }
}

#[cfg(not(talaria_loom))]
#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: f64) -> UnixTime {
        UnixTime::from_seconds(seconds)
    }

    /// A flood for one reason is one entry for each second, and the others stay.
    #[test]
    fn refusals_for_one_reason_are_counted_together() {
        let recent = RecentRefusals::new();
        recent.note(at(1.0), 401, "no_token", || "one".to_owned());
        for _ in 0..10_000 {
            recent.note(at(1.5), 403, "insufficient_scope", || "two".to_owned());
        }
        recent.note(at(1.9), 401, "no_token", || unreachable!("it is not kept"));
        recent.note(at(2.1), 401, "no_token", || "three".to_owned());
        let kept: Vec<_> = recent
            .newest_first()
            .into_iter()
            .map(|refusal| (refusal.sentence, refusal.count))
            .collect();
        let expected = [("three", 1), ("two", 10_000), ("one", 2)];
        assert_eq!(kept, expected.map(|(text, count)| (text.to_owned(), count)));
    }

    /// Whatever comes, a bounded number of sentences is kept, and each is bounded.
    #[test]
    fn what_is_kept_is_bounded() {
        let recent = RecentRefusals::new();
        for second in 0..1_000_u32 {
            recent.note(at(f64::from(second) * 2.0), 400, "malformed", || {
                "ä".repeat(10_000)
            });
        }
        let kept = recent.newest_first();
        assert_eq!(kept.len(), MOST);
        assert!(kept.iter().all(|one| one.sentence.len() <= LONGEST));
        assert_eq!(kept.first().map(|one| one.at), Some(at(1998.0)));
    }
}
