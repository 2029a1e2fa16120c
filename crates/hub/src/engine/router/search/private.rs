//! The interests that may receive private updates: they have to meet two conditions.

use super::state::{CONDITIONS, LENGTHS, Search};
use crate::engine::interests::{Condition, Index, Members, Number, Serial, SetName};
use crate::engine::router::due::Due;
use crate::engine::router::group::{Private, add};

/// The interests that meet one condition on private updates.
#[derive(Default)]
struct Standing<'i> {
    certain: Vec<&'i Members>,
    /// The sets whose members after a number may meet it.
    uncertain: Vec<(&'i Members, Number)>,
    gone: Vec<Serial>,
}

impl Standing<'_> {
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

    /// The number of look-ups if this side is walked and each member is looked up in the other.
    fn cost(&self, other: &Self) -> usize {
        let all = |side: &Self| {
            let certain: usize = side.certain.iter().map(|members| members.len()).sum();
            let uncertain = side.uncertain.iter().map(|(members, _)| members.len());
            certain + uncertain.sum::<usize>()
        };
        all(self).saturating_mul(other.sets())
    }

    fn sets(&self) -> usize {
        self.certain.len() + self.uncertain.len()
    }
}

impl Search<'_> {
    /// Finds the interests that both ask for private updates and may read them, or leaves it to the readers
    /// if that is too much work.
    pub(super) fn compare(&mut self, index: &Index, class: usize, room: &mut usize) {
        for nth in 0..self.group.private[class].topics.len() {
            let topic = self.group.private[class].topics[nth];
            for condition in CONDITIONS {
                self.forget_gone(index, condition, topic, room);
            }
        }
        let Private { topics, due } = &self.group.private[class];
        let due = due.clone();
        let lengths = topics
            .iter()
            .flat_map(|topic| CONDITIONS.map(|condition| self.lengths(index, condition, *topic)));
        let lengths: usize = lengths.sum();
        *room = room.saturating_sub(2 * topics.len() + lengths / LENGTHS);
        let known = topics.iter().filter_map(|topic| {
            let card = self.group.topics[*topic].card.as_ref()?;
            let [asked, granted] = CONDITIONS.map(|condition| card.judged(condition));
            Some(asked.matched.len() + granted.matched.len())
        });
        if 2 * topics.len() + lengths + known.sum::<usize>() > self.private_checks {
            return self.leave_to_readers(class, &due);
        }
        let asked = self.standing(index, Condition::Asked, class);
        let granted = self.standing(index, Condition::Granted, class);
        self.gone.extend(asked.gone.iter().chain(&granted.gone));
        let (walked, other) = if granted.cost(&asked) < asked.cost(&granted) {
            (&granted, &asked)
        } else {
            (&asked, &granted)
        };
        let cost = walked.cost(other) + asked.sets() + granted.sets();
        if cost > self.private_checks {
            return self.leave_to_readers(class, &due);
        }
        self.private_checks -= cost;
        *room = room.saturating_sub(cost + 1);
        let most = self.effort.lane_positions;
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

    /// Skips all interests that ask for private updates, whatever they may read.
    fn leave_to_readers(&mut self, class: usize, due: &Due) {
        let most = self.effort.lane_positions;
        let group = &mut self.group;
        let skip = due.skip();
        add(&mut group.public, &skip, most);
        for topic in &group.private[class].topics {
            add(&mut group.topics[*topic].public, &skip, most);
        }
    }

    /// Looks up the interests that meet a condition on private updates.
    fn standing<'i>(&self, index: &'i Index, condition: Condition, class: usize) -> Standing<'i> {
        let mut standing = Standing::default();
        let mut find = |name, after, is_certain| match index.side(condition).members(name) {
            Some(members) if is_certain => standing.certain.push(members),
            Some(members) => standing.uncertain.push((members, after)),
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
}
