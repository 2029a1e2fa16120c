//! Finds the interests that a group concerns.
//!
//! The index is behind the router's mutex and patterns cost what clients want them to, so a search
//! goes on in small parts: under the mutex it collects patterns that are new to a topic, or walks over
//! interests; outside it judges what it collected, within an allowance. What it has not judged by
//! then it need not know: whoever holds such a pattern is sent to the ring ([`Due::Skip`]).
//!
//! The index may change between two parts. What left it costs nothing. What joined it is the
//! router's business, which has it start behind the group.

use std::collections::{HashMap, HashSet};

use talaria_protocol::Base;

use super::Budgets;
use super::cards::Cards;
use super::due::{Due, Hit, Hits};
use super::group::Group;
use crate::interest::{
    Allowance, Candidates, Condition, Family, Hashing, Index, Members, Number, Serial, SetName,
};

/// What looking a topic up among the prefixes of a family costs, in steps.
const LOOK_UP_STEPS: u64 = 60;
/// What collecting a pattern costs.
const CANDIDATE_STEPS: u64 = 40;
/// How many times the conditions of interests may be compared for the private updates of a group,
/// which happens under the mutex.
const PRIVATE_CHECKS: usize = 1 << 15;

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
    /// Deciding which sets this topic leads to.
    Plan {
        topic: usize,
    },
    /// Comparing both conditions of these private updates.
    Private {
        class: usize,
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

/// Patterns that a topic has to be compared with.
struct Collected {
    topic: usize,
    condition: Condition,
    family: Family,
    candidates: Candidates,
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
        Self {
            hashing,
            budgets,
            group,
            phase: Phase::Begin,
            last: 0,
            allowance: Allowance::new(budgets.group_steps(updates)),
            collected: Vec::new(),
            walks: Vec::new(),
            walk_of: HashMap::new(),
            hits: Hits::default(),
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
                        Phase::Plan { topic: 0 }
                    };
                    if self.has_patterns && self.lacks_cards() {
                        return Next::Judge;
                    }
                }
                Phase::Collect { costly, topic } => {
                    let is_over = topic == self.group.topics.len();
                    if self.allowance.is_spent() || (is_over && costly) {
                        self.phase = Phase::Plan { topic: 0 };
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
                    self.phase = Phase::Private { class: 0 };
                }
                Phase::Private { class } if class < self.group.private.len() => {
                    self.compare(index, class, &mut room);
                    self.phase = Phase::Private { class: class + 1 };
                }
                Phase::Private { .. } => self.phase = Phase::Walk { walk: 0, after: 0 },
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

    fn lacks_cards(&self) -> bool {
        self.group.topics.iter().any(|topic| topic.card.is_none())
    }

    fn conditions(&self) -> impl Iterator<Item = Condition> + use<> {
        let granted = !self.group.private.is_empty();
        [Condition::Asked]
            .into_iter()
            .chain(granted.then_some(Condition::Granted))
    }

    /// Looks the topics up, and parses those that are not known.
    pub(super) fn take_cards(&mut self, cards: &mut Cards, base: &Base) {
        for topic in &mut self.group.topics {
            topic
                .card
                .get_or_insert_with(|| cards.take(topic.hash, topic.text, base));
        }
    }

    /// Collects what a topic has to be compared with; `false` if there is more than there is room
    /// for.
    fn collect(&mut self, index: &Index, costly: bool, topic: usize, room: &mut usize) -> bool {
        let (cheap, expensive) = Family::ALL.split_at(2);
        let families = if costly { expensive } else { cheap };
        let wanted = &mut self.group.topics[topic];
        let Some(card) = &mut wanted.card else {
            return true;
        };
        *room = room.saturating_sub(1);
        let mut all = true;
        for condition in [Condition::Asked, Condition::Granted] {
            if condition == Condition::Granted && !wanted.is_private {
                continue;
            }
            let side = index.side(condition);
            for family in families.iter().copied() {
                let up_to = card.judged(condition).up_to[family as usize];
                if up_to >= side.newest(family).min(self.last) {
                    continue;
                }
                let Some(key) = card.key(family) else {
                    continue;
                };
                self.allowance.spend(LOOK_UP_STEPS);
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

    /// Judges what was collected, as far as the allowance goes. Called without the mutex.
    pub(super) fn judge(&mut self, cards: &mut Cards, base: &Base) {
        self.take_cards(cards, base);
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
                    matched.push((family, candidate.place));
                }
                self.allowance.spend(spent);
            }
            card.judged_mut(condition).up_to[family as usize] = up_to;
        }
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
        let Some(due) = self.group.topics[topic].public.take() else {
            return;
        };
        let mut sets = Vec::new();
        self.sets(index, Condition::Asked, topic, |set, after, is_certain| {
            let due = if is_certain { due.clone() } else { due.skip() };
            sets.push(Walk { set, after, due });
        });
        *room = room.saturating_sub(sets.len());
        sets.into_iter().for_each(|walk| self.add_walk(walk));
    }

    fn add_walk(&mut self, walk: Walk<'a>) {
        if self.group.topics.len() > 1 || !self.group.private.is_empty() {
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

    /// Finds who both asks for private updates and may read them, or leaves it to the readers if
    /// that is much work.
    fn compare(&mut self, index: &Index, class: usize, room: &mut usize) {
        let due = self.group.private[class].due.clone();
        let asked = self.standing(index, Condition::Asked, class);
        let granted = self.standing(index, Condition::Granted, class);
        self.gone.extend(asked.gone.iter().chain(&granted.gone));
        let (walked, other) = if granted.cost(&asked) < asked.cost(&granted) {
            (&granted, &asked)
        } else {
            (&asked, &granted)
        };
        let cost = walked.cost(other) + asked.names.len() + granted.names.len();
        if cost > self.private_checks {
            *room = room.saturating_sub(asked.names.len());
            let due = due.skip();
            for (set, after) in asked.names {
                let due = due.clone();
                self.add_walk(Walk { set, after, due });
            }
            return;
        }
        self.private_checks -= cost;
        *room = room.saturating_sub(cost + 1);
        let most = self.budgets.lane_positions;
        let skip = due.skip();
        for interest in walked.certain.iter().flat_map(|members| members.after(0)) {
            match other.of(interest.number) {
                Some(true) => self.hits.add(interest, &due, most),
                Some(false) => self.hits.add(interest, &skip, most),
                None => {}
            }
        }
        for (members, after) in &walked.uncertain {
            for interest in members.after(*after) {
                let number = interest.number;
                if walked.of(number) == Some(false) && other.of(number).is_some() {
                    self.hits.add(interest, &skip, most);
                }
            }
        }
    }

    /// Who meets a condition on private updates.
    fn standing<'i>(
        &self,
        index: &'i Index,
        condition: Condition,
        class: usize,
    ) -> Standing<'i, 'a> {
        let mut standing = Standing::default();
        let mut find = |name, after, is_certain| match index.side(condition).members(name) {
            Some(members) if is_certain => {
                standing.certain.push(members);
                standing.names.push((name, after));
            }
            Some(members) => {
                standing.uncertain.push((members, after));
                standing.names.push((name, after));
            }
            None => {
                if let SetName::Pattern(_, place) = name {
                    standing.gone.push(place.serial);
                }
            }
        };
        find(SetName::Any, 0, true);
        for topic in &self.group.private[class].topics {
            self.sets(index, condition, *topic, &mut find);
        }
        standing
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
                for condition in [Condition::Asked, Condition::Granted] {
                    let matched = &mut card.judged_mut(condition).matched;
                    matched.retain(|(_, place)| !self.gone.contains(&place.serial));
                }
            }
            cards.put(card);
        }
    }
}

/// Who meets one condition on private updates.
#[derive(Default)]
struct Standing<'i, 'a> {
    certain: Vec<&'i Members>,
    /// Who may meet it: those after a number.
    uncertain: Vec<(&'i Members, Number)>,
    /// The same sets by their names.
    names: Vec<(SetName<'a>, Number)>,
    gone: Vec<Serial>,
}

impl Standing<'_, '_> {
    /// Whether it is certain that an interest meets the condition; `None` if it does not.
    fn of(&self, number: Number) -> Option<bool> {
        if self.certain.iter().any(|members| members.contains(number)) {
            return Some(true);
        }
        let mut uncertain = self.uncertain.iter();
        uncertain
            .any(|(members, after)| number > *after && members.contains(number))
            .then_some(false)
    }

    /// How many sets are looked at if this side is walked and the other compared.
    fn cost(&self, other: &Self) -> usize {
        let all = |side: &Self| {
            let certain: usize = side.certain.iter().map(|members| members.len()).sum();
            let uncertain = side.uncertain.iter().map(|(members, _)| members.len());
            certain + uncertain.sum::<usize>()
        };
        let sets = other.certain.len() + other.uncertain.len();
        all(self).saturating_mul(sets)
    }
}
