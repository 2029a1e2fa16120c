//! The index: finds the interests that may receive an update without a walk over all of them.
//!
//! Exact topics are found by hash, patterns by their literal prefix; each distinct pattern is
//! judged once, outside, by the search. Matchers and grants are indexed alike, so that a
//! private update walks the smaller of the two sets. Everything here takes constant or logarithmic
//! time for each matcher that comes or goes.

use std::sync::Arc;

use talaria_protocol::{Matcher, MatcherSet};

use super::interest::{Interest, Number, Serial};
use super::keys::{Hashing, Key, Keys};
use super::members::Members;
use super::patterns::{Candidates, Patterns, Place};
use super::selection::Selection;
use super::table::{SHARDS, Table};

/// All interests in use.
#[derive(Debug, Default)]
pub(crate) struct Index {
    interests: Table<Arc<Interest>>,
    matchers: Side,
    grants: Side,
    /// Counts interests, patterns and groups of patterns.
    serial: Serial,
}

/// One of the two conditions that an interest puts on an update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Condition {
    Asked,
    Granted,
}

/// Patterns that are found and judged alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Family {
    UrlPattern,
    Template,
    CostlyUrlPattern,
    CostlyTemplate,
}

/// A pattern with at least this many states is a costly one. Ordinary patterns have some tens.
const COSTLY: usize = 32;

impl Family {
    /// All of them, the cheap ones first.
    pub(crate) const ALL: [Self; 4] = [
        Self::UrlPattern,
        Self::Template,
        Self::CostlyUrlPattern,
        Self::CostlyTemplate,
    ];

    fn of(matcher: &Matcher) -> Option<Self> {
        let is_costly = matcher.states() >= COSTLY;
        match matcher {
            Matcher::Any | Matcher::Exact(_) => None,
            Matcher::UrlPattern(_) if is_costly => Some(Self::CostlyUrlPattern),
            Matcher::UrlPattern(_) => Some(Self::UrlPattern),
            Matcher::Template(_) if is_costly => Some(Self::CostlyTemplate),
            Matcher::Template(_) => Some(Self::Template),
        }
    }

    /// Whether its patterns are compared with a topic's URL, not with its text.
    pub(crate) fn of_urls(self) -> bool {
        matches!(self, Self::UrlPattern | Self::CostlyUrlPattern)
    }
}

/// The name of a set of interests. It is valid as long as the set exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum SetName<'a> {
    /// The interests with `*`.
    Any,
    /// The interests with an exact topic, which has this hash.
    Exact(u64, &'a str),
    /// The interests with a pattern.
    Pattern(Family, Place),
    /// The interests with a pattern of a group.
    Group(Family, Place),
}

impl Index {
    /// The interest of a selection.
    pub(crate) fn find(&self, selection: &Selection, keys: &Keys) -> Option<&Arc<Interest>> {
        let same = |known: &Arc<Interest>| known.selection == *selection;
        self.interests.find(keys.whole, same)
    }

    /// Enters a new interest, for a selection that has none.
    pub(crate) fn insert(
        &mut self,
        selection: Selection,
        keys: Keys,
        make: impl FnOnce(Number, Selection, Keys) -> Interest,
    ) -> Arc<Interest> {
        // At least the serial of any pattern that the interest holds, whether the pattern is new or
        // known. Each matcher adds at most one pattern and one group.
        let count = keys.matchers.len() + keys.grants.len();
        let number = self.serial + 2 * count as Serial + 1;
        let interest = Arc::new(make(number, selection, keys));
        let (selection, keys) = (&interest.selection, &interest.keys);
        let serial = &mut self.serial;
        self.matchers
            .insert(&interest, (&selection.matchers, &keys.matchers), serial);
        self.grants
            .insert(&interest, (&selection.grants, &keys.grants), serial);
        self.serial = number;
        self.interests.insert(keys.whole, Arc::clone(&interest));
        interest
    }

    /// Removes an interest whose last reader left. The caller frees what is put into `left_over` when it
    /// no longer holds a lock.
    pub(crate) fn remove(&mut self, interest: &Arc<Interest>, left_over: &mut Vec<Matcher>) {
        let keys = &interest.keys;
        let same = |known: &Arc<Interest>| Arc::ptr_eq(known, interest);
        if self.interests.remove(keys.whole, same).is_none() {
            return;
        }
        let (number, selection) = (interest.number, &interest.selection);
        self.matchers
            .remove(number, (&selection.matchers, &keys.matchers), left_over);
        self.grants
            .remove(number, (&selection.grants, &keys.grants), left_over);
    }

    /// How many interests there are.
    pub(crate) fn len(&self) -> usize {
        self.interests.len()
    }

    /// The newest serial: what comes later has a greater one.
    pub(crate) fn newest(&self) -> Serial {
        self.serial
    }

    pub(crate) fn side(&self, condition: Condition) -> &Side {
        match condition {
            Condition::Asked => &self.matchers,
            Condition::Granted => &self.grants,
        }
    }

    /// The number of parts that the interests are divided into.
    pub(crate) const PARTS: usize = SHARDS;

    /// The interests of a part.
    pub(crate) fn part(&self, part: usize) -> impl Iterator<Item = &Arc<Interest>> {
        self.interests.shard(part)
    }
}

/// The interests by one of the two conditions on an update.
#[derive(Debug, Default)]
pub(crate) struct Side {
    any: Members,
    exact: Table<Exact>,
    /// In the order of [`Family::ALL`].
    families: [Patterns; 4],
}

#[derive(Debug)]
struct Exact {
    text: Arc<str>,
    members: Members,
}

impl Side {
    fn insert(
        &mut self,
        interest: &Arc<Interest>,
        (set, keys): (&MatcherSet, &[Key]),
        serial: &mut Serial,
    ) {
        for (matcher, key) in set.iter().zip(keys) {
            if let Some(family) = Family::of(matcher) {
                self.families[family as usize].insert(interest, matcher, *key, serial);
            } else if let Matcher::Exact(text) = matcher {
                match self.exact.find_mut(key.hash, |exact| exact.text == *text) {
                    Some(exact) => exact.members.insert(interest),
                    None => {
                        let exact = Exact {
                            text: Arc::clone(text),
                            members: Members::One(Arc::clone(interest)),
                        };
                        self.exact.insert(key.hash, exact);
                    }
                }
            } else {
                self.any.insert(interest);
            }
        }
    }

    fn remove(
        &mut self,
        number: Number,
        (set, keys): (&MatcherSet, &[Key]),
        left_over: &mut Vec<Matcher>,
    ) {
        for (matcher, key) in set.iter().zip(keys) {
            if let Some(family) = Family::of(matcher) {
                self.families[family as usize].remove(number, matcher, *key, left_over);
            } else if let Matcher::Exact(text) = matcher {
                let same = |exact: &Exact| exact.text == *text;
                if let Some(exact) = self.exact.find_mut(key.hash, same)
                    && exact.members.remove(number)
                {
                    self.exact.remove(key.hash, same);
                }
            } else {
                self.any.remove(number);
            }
        }
    }

    /// Whether any pattern is in use.
    pub(crate) fn has_patterns(&self) -> bool {
        self.families.iter().any(|patterns| !patterns.is_empty())
    }

    /// The serial of the newest pattern of a family, even if that has left.
    pub(crate) fn newest(&self, family: Family) -> Serial {
        self.families[family as usize].newest()
    }

    /// The most prefixes of a key that are looked up among those of a family.
    pub(crate) fn lengths(&self, family: Family, key: &str) -> usize {
        self.families[family as usize].lengths().min(key.len() + 1)
    }

    /// See [`Patterns::candidates`].
    pub(crate) fn candidates(
        &self,
        family: Family,
        key: &str,
        hashing: &Hashing,
        between: (Serial, Serial),
        room: usize,
    ) -> Candidates {
        self.families[family as usize].candidates(key, hashing, between, room)
    }

    /// See [`Patterns::groups_after`].
    pub(crate) fn groups_after<'a>(
        &'a self,
        family: Family,
        key: &'a str,
        hashing: &Hashing,
        after: Serial,
    ) -> impl Iterator<Item = Place> {
        self.families[family as usize].groups_after(key, hashing, after)
    }

    /// A set, if it still exists.
    pub(crate) fn members(&self, name: SetName<'_>) -> Option<&Members> {
        match name {
            SetName::Any => Some(&self.any),
            SetName::Exact(hash, text) => {
                let exact = self.exact.find(hash, |exact| *exact.text == *text);
                exact.map(|exact| &exact.members)
            }
            SetName::Pattern(family, place) => self.families[family as usize].members(place),
            SetName::Group(family, place) => self.families[family as usize].holders(place),
        }
    }
}
