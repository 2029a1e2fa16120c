//! Walks over the sets of interests that topics lead to.

use super::state::{LENGTHS, Search, Walk};
use crate::engine::interests::{Condition, Index, Number, SetName};

impl<'a> Search<'a> {
    /// Plans walks over the sets that the public updates on a topic lead to.
    pub(super) fn plan(&mut self, index: &Index, topic: usize, room: &mut usize) {
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
        // Only one topic leads to the set of an exact topic.
        let is_exact = matches!(walk.set, SetName::Exact(..));
        if self.group.topics.len() > 1 && !is_exact {
            match self.walk_of.get(&walk.set) {
                Some(place) => {
                    let known = &mut self.walks[*place];
                    known.due.merge(&walk.due, self.effort.lane_positions);
                    known.after = known.after.min(walk.after);
                    return;
                }
                None => _ = self.walk_of.insert(walk.set, self.walks.len()),
            }
        }
        self.walks.push(walk);
    }

    /// Notes what is due to the interests of a set. Returns the number of the last one, if there are more
    /// than there is room for.
    pub(super) fn walk(
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
                // It joined meanwhile, as did all that follow.
                return None;
            }
            self.hits.add(interest, due, self.effort.lane_positions);
            *room = room.saturating_sub(1);
            if *room == 0 {
                return Some(interest.number);
            }
        }
        None
    }
}
