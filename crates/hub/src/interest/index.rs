//! Finds the interests that an update concerns without a walk over all of them.
//!
//! Exact topics are found by hash, patterns by their literal prefix and then evaluated once per
//! distinct pattern. Matchers and grants are indexed alike, so that a private update walks the
//! smaller of the two sets.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use hashbrown::HashTable;
use talaria_protocol::matcher::UrlPattern;
use talaria_protocol::{Matcher, MatcherSet, Topic};
use talaria_transport::Frame;

use super::{Interest, Selection};

/// An interest's number while it is in use.
type Number = u32;

/// All interests in use.
#[derive(Debug, Default)]
pub(crate) struct Index {
    entries: Vec<Option<Entry>>,
    free: Vec<Number>,
    /// Numbers by selection; the selection itself is compared in the entry.
    numbers: HashTable<Number>,
    hasher: RandomState,
    matchers: Side,
    grants: Side,
    turn: u64,
}

#[derive(Debug)]
struct Entry {
    interest: Arc<Interest>,
    /// The turn in which it was last visited.
    visited: u64,
}

impl Index {
    /// The interest of a selection, made if it is the first of its kind.
    pub(crate) fn find_or_insert(
        &mut self,
        selection: Selection,
        make: impl FnOnce(Selection) -> Interest,
    ) -> Arc<Interest> {
        let hash = self.hasher.hash_one(&selection);
        let entries = &self.entries;
        let of = |number: &Number| entries.get(*number as usize).and_then(Option::as_ref);
        let same =
            |number: &Number| of(number).is_some_and(|entry| entry.interest.selection == selection);
        if let Some(entry) = self.numbers.find(hash, same).and_then(of) {
            return Arc::clone(&entry.interest);
        }
        let interest = Arc::new(make(selection));
        let entry = Some(Entry {
            interest: Arc::clone(&interest),
            visited: 0,
        });
        let number = match self.free.pop() {
            Some(number) => {
                self.entries[number as usize] = entry;
                number
            }
            None => {
                // More than 2³² interests do not fit into memory.
                self.entries.push(entry);
                Number::try_from(self.entries.len() - 1).unwrap_or(Number::MAX)
            }
        };
        self.matchers.insert(number, &interest.selection.matchers);
        self.grants.insert(number, &interest.selection.grants);
        let (entries, hasher) = (&self.entries, &self.hasher);
        self.numbers.insert_unique(hash, number, |number| {
            let entry = entries.get(*number as usize).and_then(Option::as_ref);
            entry.map_or(0, |entry| hasher.hash_one(&entry.interest.selection))
        });
        interest
    }

    /// Forgets an interest whose last reader left.
    pub(crate) fn remove(&mut self, interest: &Arc<Interest>) {
        let hash = self.hasher.hash_one(&interest.selection);
        let entries = &self.entries;
        let same = |number: &Number| {
            let entry = entries.get(*number as usize).and_then(Option::as_ref);
            entry.is_some_and(|entry| Arc::ptr_eq(&entry.interest, interest))
        };
        let Ok(found) = self.numbers.find_entry(hash, same) else {
            return;
        };
        let (number, _) = found.remove();
        self.matchers.remove(number, &interest.selection.matchers);
        self.grants.remove(number, &interest.selection.grants);
        self.entries[number as usize] = None;
        self.free.push(number);
    }

    /// Calls `visit` once for each interest that may receive the frame.
    pub(crate) fn visit(
        &mut self,
        frame: &Frame,
        topics: &[Topic<'_>],
        mut visit: impl FnMut(&Arc<Interest>),
    ) {
        self.turn += 1;
        let asked = self.matchers.hits(topics);
        let granted = frame.private.then(|| self.grants.hits(topics));
        // Whichever set is walked, the other condition is judged interest by interest.
        let (walked, other): (_, Option<Other>) = match granted {
            None => (asked, None),
            Some(granted) if granted.total < asked.total => {
                (granted, Some(|selection| &selection.matchers))
            }
            Some(_) => (asked, Some(|selection| &selection.grants)),
        };
        for number in walked.members.into_iter().flat_map(Members::iter) {
            let Some(entry) = self
                .entries
                .get_mut(number as usize)
                .and_then(Option::as_mut)
            else {
                continue;
            };
            if std::mem::replace(&mut entry.visited, self.turn) == self.turn {
                continue;
            }
            let other = other.map(|other| other(&entry.interest.selection));
            if other.is_none_or(|other| other.matches_any(topics)) {
                visit(&entry.interest);
            }
        }
    }

    /// All interests in use.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Interest>> {
        self.entries.iter().flatten().map(|entry| &entry.interest)
    }
}

/// The condition that the walked side does not show.
type Other = fn(&Selection) -> &MatcherSet;

/// One of the two conditions on an update, by what it compares.
#[derive(Debug, Default)]
struct Side {
    any: Members,
    exact: HashMap<Arc<str>, Members>,
    patterns: HashMap<Box<str>, Vec<Pattern>>,
    /// How many prefixes of each length there are, so that only those lengths are looked up.
    prefix_lengths: BTreeMap<usize, usize>,
}

#[derive(Debug)]
struct Pattern {
    pattern: Arc<UrlPattern>,
    members: Members,
}

/// The interests that one side of an update concerns, with duplicates.
struct Hits<'a> {
    members: Vec<&'a Members>,
    total: usize,
}

impl Side {
    fn insert(&mut self, number: Number, set: &MatcherSet) {
        for matcher in set {
            match matcher {
                Matcher::Any => self.any.insert(number),
                Matcher::Exact(text) => match self.exact.get_mut(text) {
                    Some(members) => members.insert(number),
                    None => _ = self.exact.insert(Arc::clone(text), Members::One(number)),
                },
                Matcher::UrlPattern(pattern) => self.insert_pattern(number, pattern),
            }
        }
    }

    fn insert_pattern(&mut self, number: Number, pattern: &Arc<UrlPattern>) {
        let prefix = pattern.literal_prefix();
        if !self.patterns.contains_key(prefix) {
            *self.prefix_lengths.entry(prefix.len()).or_default() += 1;
        }
        let patterns = self.patterns.entry(prefix.into()).or_default();
        match patterns.iter_mut().find(|known| known.pattern == *pattern) {
            Some(known) => known.members.insert(number),
            None => patterns.push(Pattern {
                pattern: Arc::clone(pattern),
                members: Members::One(number),
            }),
        }
    }

    fn remove(&mut self, number: Number, set: &MatcherSet) {
        for matcher in set {
            match matcher {
                Matcher::Any => self.any.remove(number),
                Matcher::Exact(text) => {
                    if let Some(members) = self.exact.get_mut(text) {
                        members.remove(number);
                        if members.is_empty() {
                            self.exact.remove(text);
                        }
                    }
                }
                Matcher::UrlPattern(pattern) => self.remove_pattern(number, pattern),
            }
        }
    }

    fn remove_pattern(&mut self, number: Number, pattern: &Arc<UrlPattern>) {
        let prefix = pattern.literal_prefix();
        let Some(patterns) = self.patterns.get_mut(prefix) else {
            return;
        };
        if let Some(known) = patterns.iter_mut().find(|known| known.pattern == *pattern) {
            known.members.remove(number);
        }
        patterns.retain(|known| !known.members.is_empty());
        if patterns.is_empty() {
            self.patterns.remove(prefix);
            if let Some(count) = self.prefix_lengths.get_mut(&prefix.len()) {
                *count -= 1;
                if *count == 0 {
                    self.prefix_lengths.remove(&prefix.len());
                }
            }
        }
    }

    fn hits(&self, topics: &[Topic<'_>]) -> Hits<'_> {
        let mut members = Vec::new();
        if !self.any.is_empty() {
            members.push(&self.any);
        }
        for topic in topics {
            members.extend(self.exact.get(topic.text()));
            self.pattern_hits(topic, &mut members);
        }
        let total = members.iter().map(|members| members.len()).sum();
        Hits { members, total }
    }

    fn pattern_hits<'a>(&'a self, topic: &Topic<'_>, members: &mut Vec<&'a Members>) {
        if self.patterns.is_empty() {
            return;
        }
        let Some(url) = topic.url() else { return };
        let key = url.key();
        for length in self
            .prefix_lengths
            .range(..=key.len())
            .map(|(length, _)| *length)
        {
            let patterns = key
                .get(..length)
                .and_then(|prefix| self.patterns.get(prefix));
            let matching = patterns
                .into_iter()
                .flatten()
                .filter(|known| known.pattern.matches(url));
            members.extend(matching.map(|known| &known.members));
        }
    }
}

/// A set of interests; mostly of one.
#[derive(Debug)]
enum Members {
    One(Number),
    Many(HashSet<Number>),
}

impl Default for Members {
    fn default() -> Self {
        Self::Many(HashSet::new())
    }
}

impl Members {
    fn insert(&mut self, number: Number) {
        match self {
            Self::One(only) if *only == number => {}
            Self::One(only) => *self = Self::Many(HashSet::from([*only, number])),
            Self::Many(numbers) => _ = numbers.insert(number),
        }
    }

    fn remove(&mut self, number: Number) {
        match self {
            Self::One(only) if *only == number => *self = Self::default(),
            Self::One(_) => {}
            Self::Many(numbers) => _ = numbers.remove(&number),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::One(_) => 1,
            Self::Many(numbers) => numbers.len(),
        }
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn iter(&self) -> impl Iterator<Item = Number> {
        let (one, many) = match self {
            Self::One(number) => (Some(*number), None),
            Self::Many(numbers) => (None, Some(numbers)),
        };
        one.into_iter().chain(many.into_iter().flatten().copied())
    }
}
