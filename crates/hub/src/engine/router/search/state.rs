//! The state of a search, and the look-ups that its parts share.

use std::collections::{HashMap, HashSet};

use crate::engine::interests::{
    Allowance, Candidates, Condition, Family, Hashing, Index, Members, Number, Serial, SetName,
};
use crate::engine::router::cards::Cards;
use crate::engine::router::due::{Due, Hit, Hits};
use crate::engine::router::effort::Effort;
use crate::engine::router::group::Group;

pub(super) const CONDITIONS: [Condition; 2] = [Condition::Asked, Condition::Granted];
/// How many times the conditions of interests may be compared for the private updates of a group.
/// They are compared under the mutex.
const PRIVATE_CHECKS: usize = 1 << 15;
/// This many lengths of prefixes are looked up in the time of one other unit of work under the mutex.
pub(super) const LENGTHS: usize = 4;

/// A search under way.
pub(crate) struct Search<'a> {
    pub(super) hashing: &'a Hashing,
    pub(super) effort: &'a Effort,
    pub(super) group: Group<'a>,
    pub(super) phase: Phase,
    /// The newest serial at the beginning. What came later need not be found.
    pub(super) last: Serial,
    pub(super) allowance: Allowance,
    pub(super) collected: Vec<Collected>,
    pub(super) walks: Vec<Walk<'a>>,
    /// The walk of each set that several topics may lead to.
    pub(super) walk_of: HashMap<SetName<'a>, usize>,
    pub(super) hits: Hits,
    pub(super) private_checks: usize,
    pub(super) has_patterns: bool,
    /// The patterns that cards name and that have left the index.
    pub(super) gone: HashSet<Serial>,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Phase {
    Begin,
    /// Collecting the patterns of the cheap or of the costly families that this topic is compared with.
    Collect {
        costly: bool,
        topic: usize,
    },
    /// Comparing both conditions of these private updates.
    Private {
        class: usize,
    },
    /// Deciding which sets this topic leads to.
    Plan {
        topic: usize,
    },
    /// Noting the interests of this set, after this one.
    Walk {
        walk: usize,
        after: Number,
    },
    Done,
}

/// Patterns that a topic has to be compared with.
pub(super) struct Collected {
    pub(super) topic: usize,
    pub(super) condition: Condition,
    pub(super) family: Family,
    pub(super) candidates: Candidates,
}

/// A walk over a set whose interests are all due the same.
pub(super) struct Walk<'a> {
    pub(super) set: SetName<'a>,
    /// The walk is over interests with greater numbers only.
    pub(super) after: Number,
    pub(super) due: Due,
}

impl<'a> Search<'a> {
    pub(crate) fn new(
        group: Group<'a>,
        updates: usize,
        hashing: &'a Hashing,
        effort: &'a Effort,
    ) -> Self {
        let topics = group.topics.len();
        Self {
            hashing,
            effort,
            walks: Vec::with_capacity(topics + 1),
            hits: Hits::with_capacity(topics),
            group,
            phase: Phase::Begin,
            last: 0,
            allowance: Allowance::new(effort.group_steps(updates)),
            collected: Vec::new(),
            walk_of: HashMap::new(),
            private_checks: PRIVATE_CHECKS,
            has_patterns: false,
            gone: HashSet::new(),
        }
    }

    pub(super) fn conditions(&self) -> impl Iterator<Item = Condition> + use<> {
        let granted = !self.group.private.is_empty();
        [Condition::Asked]
            .into_iter()
            .chain(granted.then_some(Condition::Granted))
    }

    /// Forgets matches of patterns that left the index, as far as there is room to look them up, if more
    /// patterns match than [`Search::sets`] takes without counting: it must not count those that left.
    pub(super) fn forget_gone(
        &mut self,
        index: &Index,
        condition: Condition,
        topic: usize,
        room: &mut usize,
    ) {
        let many = self.effort.many_patterns;
        let Some(card) = &mut self.group.topics[topic].card else {
            return;
        };
        let matched = &mut card.judged_mut(condition).matched;
        if matched.len() <= many {
            return;
        }
        let side = index.side(condition);
        let looked_up = matched.len().min((*room).max(many + 1));
        *room = room.saturating_sub(looked_up);
        for _ in 0..looked_up {
            // The others are at the front next time.
            if let Some((family, place)) = matched.pop_front()
                && side.members(SetName::Pattern(family, place)).is_some()
            {
                matched.push_back((family, place));
            }
        }
    }

    /// The most lengths that [`Search::sets`] looks up for a topic.
    pub(super) fn lengths(&self, index: &Index, condition: Condition, topic: usize) -> usize {
        let Some(card) = &self.group.topics[topic].card else {
            return 0;
        };
        let judged = card.judged(condition);
        let side = index.side(condition);
        let is_many = judged.matched.len() > self.effort.many_patterns;
        let each = Family::ALL.into_iter().map(|family| {
            let newest = side.newest(family).min(self.last);
            let times = usize::from(is_many) + usize::from(judged.up_to[family as usize] < newest);
            let lengths = card.key(family).map(|key| side.lengths(family, key));
            times * lengths.unwrap_or_default()
        });
        each.sum()
    }

    /// Calls `found` with each set that a topic leads to, by one condition; with the number after which its
    /// members count, and whether it is certain that they meet the condition.
    pub(super) fn sets(
        &self,
        index: &Index,
        condition: Condition,
        topic: usize,
        mut found: impl FnMut(SetName<'a>, Number, bool),
    ) {
        let wanted = &self.group.topics[topic];
        found(SetName::Exact(wanted.hash, wanted.text), 0, true);
        let Some(card) = &wanted.card else { return };
        let judged = card.judged(condition);
        let side = index.side(condition);
        let groups = |family, after| {
            let key = card.key(family).into_iter();
            key.flat_map(move |key| side.groups_after(family, key, self.hashing, after))
        };
        let many = self.effort.many_patterns;
        if judged.matched.len() > many {
            // If a few interests hold most of them, a walk over those interests is shorter.
            let all = Family::ALL.into_iter();
            let groups: Vec<_> = all
                .flat_map(|family| {
                    groups(family, 0).map(move |group| SetName::Group(family, group))
                })
                .collect();
            let holders = groups.iter().filter_map(|group| side.members(*group));
            let holders: usize = holders.map(Members::len).sum();
            if judged.matched.len() * 64 > many * holders {
                groups.into_iter().for_each(|group| found(group, 0, false));
                return;
            }
        }
        for (family, place) in &judged.matched {
            found(SetName::Pattern(*family, *place), 0, true);
        }
        for family in Family::ALL {
            let up_to = judged.up_to[family as usize];
            if up_to < side.newest(family).min(self.last) {
                groups(family, up_to)
                    .for_each(|group| found(SetName::Group(family, group), up_to, false));
            }
        }
    }

    /// Reserves memory for what the next part finds, so that it is not allocated under the mutex.
    pub(crate) fn make_room(&mut self) {
        self.hits.reserve(self.effort.hold);
    }

    /// The interests that the group concerns, once all are found.
    pub(crate) fn hits(&self) -> &[Hit] {
        self.hits.all()
    }

    /// Gives the cards back.
    pub(crate) fn finish(self, cards: &mut Cards) {
        cards.are_needed = self.has_patterns;
        for mut card in self.group.topics.into_iter().filter_map(|topic| topic.card) {
            if !self.gone.is_empty() {
                for condition in CONDITIONS {
                    let matched = &mut card.judged_mut(condition).matched;
                    matched.retain(|(_, place)| !self.gone.contains(&place.serial));
                }
            }
            cards.put(card);
        }
    }
}
