//! The patterns that a topic matches: they are collected under the mutex, and judged outside it.

use super::state::{CONDITIONS, Collected, LENGTHS, Search};
use crate::engine::interests::{Condition, Family, Index};
use crate::engine::router::cards::Cards;

/// What looking a topic up among the prefixes of a family costs, in steps.
const LOOK_UP_STEPS: u64 = 60;
/// What each length of a prefix adds, in steps.
const LENGTH_STEPS: u64 = 10;
/// What collecting a pattern costs, in steps.
const CANDIDATE_STEPS: u64 = 20;

impl Search<'_> {
    pub(super) fn lacks_cards(&self) -> bool {
        self.group.topics.iter().any(|topic| topic.card.is_none())
    }

    /// Takes the cards of the topics, and parses the topics that have none.
    pub(crate) fn take_cards(&mut self, cards: &mut Cards) {
        for topic in &mut self.group.topics {
            topic
                .card
                .get_or_insert_with(|| cards.take(topic.hash, topic.text));
        }
    }

    /// Collects the patterns that a topic has to be compared with. Returns `false` if there are more than
    /// there is room for.
    pub(super) fn collect(
        &mut self,
        index: &Index,
        costly: bool,
        topic: usize,
        room: &mut usize,
    ) -> bool {
        let (cheap, expensive) = Family::ALL.split_at(2);
        let families = if costly { expensive } else { cheap };
        let wanted = &mut self.group.topics[topic];
        let Some(card) = &mut wanted.card else {
            return true;
        };
        *room = room.saturating_sub(1);
        let mut all = true;
        for condition in CONDITIONS {
            if condition == Condition::Granted && !wanted.is_private {
                continue;
            }
            let side = index.side(condition);
            for family in families.iter().copied() {
                let up_to = card.judged(condition).up_to[family as usize];
                let key = card.key(family);
                let (Some(key), true) = (key, up_to < side.newest(family).min(self.last)) else {
                    // Patterns that come while this group is routed need not be judged either.
                    card.judged_mut(condition).up_to[family as usize] = up_to.max(self.last);
                    continue;
                };
                let lengths = side.lengths(family, key);
                self.allowance
                    .spend(LOOK_UP_STEPS + LENGTH_STEPS * lengths as u64);
                *room = room.saturating_sub(lengths / LENGTHS);
                let between = (up_to, self.last);
                let room_left = (*room).max(1);
                let candidates = side.candidates(family, key, self.hashing, between, room_left);
                *room = room.saturating_sub(candidates.found.len());
                all &= candidates.complete_to >= self.last;
                if candidates.found.is_empty() {
                    card.judged_mut(condition).up_to[family as usize] = candidates.complete_to;
                } else {
                    self.collected.push(Collected {
                        topic,
                        condition,
                        family,
                        candidates,
                    });
                }
            }
        }
        all
    }

    /// Judges what was collected, as far as the allowance goes. Called outside the mutex.
    pub(crate) fn judge(&mut self, cards: &mut Cards) {
        self.take_cards(cards);
        for collected in std::mem::take(&mut self.collected) {
            let Collected {
                topic,
                condition,
                family,
                candidates,
            } = collected;
            let Some(card) = &mut self.group.topics[topic].card else {
                continue;
            };
            let mut up_to = candidates.complete_to;
            for candidate in candidates.found {
                if self.allowance.is_spent() {
                    // Each is newer than the one before.
                    up_to = candidate.place.serial - 1;
                    break;
                }
                let mut spent = CANDIDATE_STEPS;
                if card.is_matched_by(&candidate.pattern, &mut spent) {
                    let matched = &mut card.judged_mut(condition).matched;
                    matched.push_back((family, candidate.place));
                }
                self.allowance.spend(spent);
            }
            card.judged_mut(condition).up_to[family as usize] = up_to;
        }
    }
}
