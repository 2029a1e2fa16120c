//! Finds the interests that a group concerns.
//!
//! The index is behind the router's mutex and patterns cost what clients want them to, so a search
//! goes on in small parts: under the mutex it collects patterns that are new to a topic, or walks over
//! interests; outside it judges what it collected, within an allowance. What it has not judged by
//! then it need not know: the holders of such patterns are sent to the ring ([`Due::Skip`]).
//!
//! The index may change between two parts. What left it costs nothing. What joined it is the
//! router's business, which has it start behind the group.

mod judging;
mod private;

use std::collections::{HashMap, HashSet};

use self::judging::Collected;
use super::Budgets;
use super::cards::Cards;
use super::due::{Due, Hit, Hits};
use super::group::Group;
use crate::interest::{
    Allowance, Condition, Family, Hashing, Index, Members, Number, Serial, SetName,
};

const CONDITIONS: [Condition; 2] = [Condition::Asked, Condition::Granted];
/// How many times the conditions of interests may be compared for the private updates of a group,
/// which happens under the mutex.
const PRIVATE_CHECKS: usize = 1 << 15;
/// Lengths of prefixes that are looked up in the time of another unit under the mutex.
const LENGTHS: usize = 4;

/// A search under way.
pub(crate) struct Search<'a> {
    hashing: &'a Hashing,
    budgets: &'a Budgets,
    group: Group<'a>,
    phase: Phase,
    /// What came into the index later need not be found.
    last: Serial,
    allowance: Allowance,
    collected: Vec<Collected>,
    walks: Vec<Walk<'a>>,
    /// The walk of each set that several topics may lead to.
    walk_of: HashMap<SetName<'a>, usize>,
    hits: Hits,
    private_checks: usize,
    has_patterns: bool,
    /// Patterns that cards know and the index does not any more.
    gone: HashSet<Serial>,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    Begin,
    /// Collecting what this topic needs of the cheap or of the costly families.
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

/// What a search needs next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// [`Search::judge`], without the mutex.
    Judge,
    /// To let go of the mutex for a moment.
    Pause,
    Done,
}

/// A set whose interests are all owed the same.
struct Walk<'a> {
    set: SetName<'a>,
    /// Only those with greater numbers.
    after: Number,
    due: Due,
}

impl<'a> Search<'a> {
    pub(super) fn new(
        group: Group<'a>,
        updates: usize,
        hashing: &'a Hashing,
        budgets: &'a Budgets,
    ) -> Self {
        let topics = group.topics.len();
        Self {
            hashing,
            budgets,
            walks: Vec::with_capacity(topics + 1),
            hits: Hits::with_capacity(topics),
            group,
            phase: Phase::Begin,
            last: 0,
            allowance: Allowance::new(budgets.group_steps(updates)),
            collected: Vec::new(),
            walk_of: HashMap::new(),
            private_checks: PRIVATE_CHECKS,
            has_patterns: false,
            gone: HashSet::new(),
        }
    }

    /// Goes on for a moment. Called under the router's mutex.
    pub(super) fn go_on(&mut self, index: &Index) -> Next {
        let mut room = self.budgets.hold;
        loop {
            match self.phase {
                Phase::Begin => {
                    self.last = index.newest();
                    let mut conditions = self.conditions();
                    self.has_patterns =
                        conditions.any(|condition| index.side(condition).has_patterns());
                    self.phase = if self.has_patterns {
                        Phase::Collect {
                            costly: false,
                            topic: 0,
                        }
                    } else {
                        Phase::Private { class: 0 }
                    };
                    if self.has_patterns && self.lacks_cards() {
                        return Next::Judge;
                    }
                }
                Phase::Collect { costly, topic } => {
                    let is_over = topic == self.group.topics.len();
                    if self.allowance.is_spent() || (is_over && costly) {
                        self.phase = Phase::Private { class: 0 };
                    } else if is_over {
                        self.phase = Phase::Collect {
                            costly: true,
                            topic: 0,
                        };
                    } else if self.collect(index, costly, topic, &mut room) {
                        self.phase = Phase::Collect {
                            costly,
                            topic: topic + 1,
                        };
                    } else {
                        return Next::Judge;
                    }
                    let moves_on =
                        !matches!(self.phase, Phase::Collect { costly: now, .. } if now == costly);
                    if !self.collected.is_empty() && (moves_on || room == 0) {
                        return Next::Judge;
                    }
                }
                Phase::Private { class } if class < self.group.private.len() => {
                    self.compare(index, class, &mut room);
                    self.phase = Phase::Private { class: class + 1 };
                }
                Phase::Private { .. } => self.phase = Phase::Plan { topic: 0 },
                Phase::Plan { topic } if topic < self.group.topics.len() => {
                    self.plan(index, topic, &mut room);
                    self.phase = Phase::Plan { topic: topic + 1 };
                }
                Phase::Plan { .. } => {
                    if let Some(due) = self.group.public.take() {
                        self.walks.push(Walk {
                            set: SetName::Any,
                            after: 0,
                            due,
                        });
                    }
                    self.phase = Phase::Walk { walk: 0, after: 0 };
                }
                Phase::Walk { walk, after } if walk < self.walks.len() => {
                    let reached = self.walk(index, walk, after, &mut room);
                    self.phase = match reached {
                        Some(after) => Phase::Walk { walk, after },
                        None => Phase::Walk {
                            walk: walk + 1,
                            after: 0,
                        },
                    };
                }
                Phase::Walk { .. } => self.phase = Phase::Done,
                Phase::Done => return Next::Done,
            }
            if room == 0 && !matches!(self.phase, Phase::Done) {
                return Next::Pause;
            }
        }
    }

    fn conditions(&self) -> impl Iterator<Item = Condition> + use<> {
        let granted = !self.group.private.is_empty();
        [Condition::Asked]
            .into_iter()
            .chain(granted.then_some(Condition::Granted))
    }

    /// Forgets matches of patterns that left the index, as far as there is room to look them up, if so
    /// many patterns match that [`Search::sets`] counts them: it must not count those.
    fn forget_gone(&mut self, index: &Index, condition: Condition, topic: usize, room: &mut usize) {
        let many = self.budgets.many_patterns;
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

    /// How many lengths [`Search::sets`] looks up for a topic at most.
    fn lengths(&self, index: &Index, condition: Condition, topic: usize) -> usize {
        let Some(card) = &self.group.topics[topic].card else {
            return 0;
        };
        let judged = card.judged(condition);
        let side = index.side(condition);
        let is_many = judged.matched.len() > self.budgets.many_patterns;
        let each = Family::ALL.into_iter().map(|family| {
            let newest = side.newest(family).min(self.last);
            let times = usize::from(is_many) + usize::from(judged.up_to[family as usize] < newest);
            let lengths = card.key(family).map(|key| side.lengths(family, key));
            times * lengths.unwrap_or_default()
        });
        each.sum()
    }

    /// Calls `found` with each set that a topic leads to, by one condition: after which number it
    /// counts, and whether it is certain that its members meet the condition.
    fn sets(
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
        let many = self.budgets.many_patterns;
        if judged.matched.len() > many {
            // Where a few interests hold most of them, those interests are fewer to walk over.
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

    /// Decides which sets a topic's public updates lead to.
    fn plan(&mut self, index: &Index, topic: usize, room: &mut usize) {
        *room = room.saturating_sub(1);
        self.forget_gone(index, Condition::Asked, topic, room);
        let lengths = self.lengths(index, Condition::Asked, topic);
        let wanted = &mut self.group.topics[topic];
        let Some(due) = wanted.public.take() else {
            return;
        };
        if wanted.card.is_none() {
            let set = SetName::Exact(wanted.hash, wanted.text);
            self.walks.push(Walk { set, after: 0, due });
            return;
        }
        let mut sets = Vec::new();
        self.sets(index, Condition::Asked, topic, |set, after, is_certain| {
            let due = if is_certain { due.clone() } else { due.skip() };
            sets.push(Walk { set, after, due });
        });
        *room = room.saturating_sub(sets.len() + lengths / LENGTHS);
        sets.into_iter().for_each(|walk| self.add_walk(walk));
    }

    fn add_walk(&mut self, walk: Walk<'a>) {
        // Only one topic leads to the set of an exact one.
        let is_exact = matches!(walk.set, SetName::Exact(..));
        if self.group.topics.len() > 1 && !is_exact {
            match self.walk_of.get(&walk.set) {
                Some(place) => {
                    let known = &mut self.walks[*place];
                    known.due.merge(&walk.due, self.budgets.lane_positions);
                    known.after = known.after.min(walk.after);
                    return;
                }
                None => _ = self.walk_of.insert(walk.set, self.walks.len()),
            }
        }
        self.walks.push(walk);
    }

    /// Notes the interests of a set; where it is if there are more than there is room for.
    fn walk(
        &mut self,
        index: &Index,
        walk: usize,
        after: Number,
        room: &mut usize,
    ) -> Option<Number> {
        let Walk {
            set,
            after: first,
            due,
        } = &self.walks[walk];
        *room = room.saturating_sub(1);
        let Some(members) = index.side(Condition::Asked).members(*set) else {
            if let SetName::Pattern(_, place) = set {
                self.gone.insert(place.serial);
            }
            return None;
        };
        for interest in members.after(after.max(*first)) {
            if interest.number > self.last {
                // It joined meanwhile, and so do all that follow.
                return None;
            }
            self.hits.add(interest, due, self.budgets.lane_positions);
            *room = room.saturating_sub(1);
            if *room == 0 {
                return Some(interest.number);
            }
        }
        None
    }

    /// Makes room for what the next part finds, so that it need not be made under the mutex.
    pub(super) fn make_room(&mut self) {
        self.hits.reserve(self.budgets.hold);
    }

    /// Whom the group concerns, once all are found.
    pub(super) fn hits(&self) -> &[Hit] {
        self.hits.all()
    }

    /// Gives the cards back.
    pub(super) fn finish(self, cards: &mut Cards) {
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
