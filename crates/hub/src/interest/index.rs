//! Finds the interests that an update concerns without a walk over all of them.
//!
//! Exact topics are found by hash, patterns by their literal prefix and then evaluated once per
//! distinct pattern. Matchers and grants are indexed alike, so that a private update walks the
//! smaller of the two sets.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use hashbrown::HashTable;
use talaria_protocol::matcher::{UriTemplate, UrlPattern};
use talaria_protocol::{Matcher, MatcherSet, Topic};
use talaria_transport::Frame;

use super::prefixed::{Pattern, Prefixed};
use super::{Interest, Selection};

/// An interest's number while it is in use.
pub(super) type Number = u32;

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
    patterns: Prefixed<UrlPattern>,
    templates: Prefixed<UriTemplate>,
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
                Matcher::UrlPattern(pattern) => self.patterns.insert(number, pattern),
                Matcher::Template(template) => self.templates.insert(number, template),
            }
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
                Matcher::UrlPattern(pattern) => self.patterns.remove(number, pattern),
                Matcher::Template(template) => self.templates.remove(number, template),
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
        let text = topic.text();
        self.templates
            .hits(text, |template| template.matches(text), members);
        if self.patterns.is_empty() {
            return;
        }
        if let Some(url) = topic.url() {
            self.patterns
                .hits(url.key(), |pattern| pattern.matches(url), members);
        }
    }
}

impl Pattern for UrlPattern {
    fn literal_prefix(&self) -> &str {
        self.literal_prefix()
    }
}

impl Pattern for UriTemplate {
    fn literal_prefix(&self) -> &str {
        self.literal_prefix()
    }
}

/// A set of interests; mostly of one.
#[derive(Debug)]
pub(super) enum Members {
    One(Number),
    Many(HashSet<Number>),
}

impl Default for Members {
    fn default() -> Self {
        Self::Many(HashSet::new())
    }
}

impl Members {
    pub(super) fn insert(&mut self, number: Number) {
        match self {
            Self::One(only) if *only == number => {}
            Self::One(only) => *self = Self::Many(HashSet::from([*only, number])),
            Self::Many(numbers) => _ = numbers.insert(number),
        }
    }

    pub(super) fn remove(&mut self, number: Number) {
        match self {
            Self::One(only) if *only == number => *self = Self::default(),
            Self::One(_) => {}
            Self::Many(numbers) => _ = numbers.remove(&number),
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::One(_) => 1,
            Self::Many(numbers) => numbers.len(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
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
