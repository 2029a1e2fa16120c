//! Patterns by the literal prefix that every match begins with.

use std::collections::BTreeMap;
use std::sync::Arc;

use talaria_protocol::Matcher;

use super::interest::{Interest, Number, Serial};
use super::keys::{Hashing, Key, literal_prefix};
use super::members::Members;
use super::table::Table;

/// The distinct patterns of all interests, and the interests that hold each. A pattern is judged once
/// for all of them.
#[derive(Debug, Default)]
pub(super) struct Patterns {
    slots: Table<Slot>,
    groups: Table<Group>,
    /// How many groups have a prefix of each length, so that only those lengths are looked up.
    lengths: BTreeMap<usize, usize>,
    /// The serial of the newest pattern, even if that has left.
    newest: Serial,
}

/// A pattern in use.
#[derive(Debug)]
struct Slot {
    /// Distinguishes the pattern from an equal one that was in use before.
    serial: Serial,
    pattern: Matcher,
    members: Members,
}

/// The patterns of one prefix.
#[derive(Debug)]
struct Group {
    serial: Serial,
    prefix: Box<str>,
    /// The patterns in the order in which they came, each with its hash.
    patterns: BTreeMap<Serial, (u64, Matcher)>,
    /// The interests that hold any of the patterns.
    holders: Members,
}

/// The place of a slot or of a group. It is valid as long as that is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    hash: u64,
    pub(crate) serial: Serial,
}

/// A pattern to judge.
#[derive(Debug)]
pub(crate) struct Candidate {
    pub(crate) place: Place,
    pub(crate) pattern: Matcher,
}

/// Patterns to judge, the oldest first.
#[derive(Debug)]
pub(crate) struct Candidates {
    pub(crate) found: Vec<Candidate>,
    /// All patterns up to this serial are in `found`.
    pub(crate) complete_to: Serial,
}

impl Patterns {
    /// Adds a holder of a pattern. `serial` counts the patterns and groups that this adds.
    pub(super) fn insert(
        &mut self,
        interest: &Arc<Interest>,
        pattern: &Matcher,
        key: Key,
        serial: &mut Serial,
    ) {
        let prefix = literal_prefix(pattern);
        let same = |group: &Group| *group.prefix == *prefix;
        if self.groups.find(key.prefix, same).is_none() {
            *serial += 1;
            let group = Group {
                serial: *serial,
                prefix: prefix.into(),
                patterns: BTreeMap::new(),
                holders: Members::One(Arc::clone(interest)),
            };
            self.groups.insert(key.prefix, group);
            *self.lengths.entry(prefix.len()).or_default() += 1;
        }
        let Some(group) = self.groups.find_mut(key.prefix, same) else {
            return;
        };
        group.holders.insert(interest);
        match self
            .slots
            .find_mut(key.hash, |slot| slot.pattern == *pattern)
        {
            Some(slot) => slot.members.insert(interest),
            None => {
                *serial += 1;
                self.newest = *serial;
                group.patterns.insert(*serial, (key.hash, pattern.clone()));
                let slot = Slot {
                    serial: *serial,
                    pattern: pattern.clone(),
                    members: Members::One(Arc::clone(interest)),
                };
                self.slots.insert(key.hash, slot);
            }
        }
    }

    /// Removes a holder of a pattern, which leaves with all its patterns. The caller frees what is put
    /// into `left_over`.
    pub(super) fn remove(
        &mut self,
        number: Number,
        pattern: &Matcher,
        key: Key,
        left_over: &mut Vec<Matcher>,
    ) {
        let prefix = literal_prefix(pattern);
        let in_use = |slot: &Slot| slot.pattern == *pattern;
        let mut gone = None;
        if let Some(slot) = self.slots.find_mut(key.hash, in_use)
            && slot.members.remove(number)
        {
            gone = self.slots.remove(key.hash, in_use);
        }
        let same = |group: &Group| *group.prefix == *prefix;
        let Some(group) = self.groups.find_mut(key.prefix, same) else {
            return;
        };
        group.holders.remove(number);
        if let Some(slot) = gone {
            let listed = group.patterns.remove(&slot.serial);
            left_over.extend(listed.map(|(_, pattern)| pattern));
            left_over.push(slot.pattern);
        }
        if group.patterns.is_empty() {
            self.groups.remove(key.prefix, same);
            if let Some(count) = self.lengths.get_mut(&prefix.len()) {
                *count -= 1;
                if *count == 0 {
                    self.lengths.remove(&prefix.len());
                }
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lengths.is_empty()
    }

    /// The number of different lengths of the prefixes.
    pub(super) fn lengths(&self) -> usize {
        self.lengths.len()
    }

    pub(super) fn newest(&self) -> Serial {
        self.newest
    }

    /// The groups whose prefix the key begins with, each with its hash.
    fn groups_of<'a>(
        &'a self,
        key: &'a str,
        hashing: &Hashing,
    ) -> impl Iterator<Item = (u64, &'a Group)> {
        let mut rolling = hashing.rolling(key);
        let mut hashed = 0;
        let lengths = self.lengths.range(..=key.len());
        lengths.filter_map(move |(length, _)| {
            let hash = rolling.advance(length - hashed);
            hashed = *length;
            let prefix = key.as_bytes().get(..*length)?;
            let group = self
                .groups
                .find(hash, |group| group.prefix.as_bytes() == prefix)?;
            Some((hash, group))
        })
    }

    /// The patterns that may match a key and came after `after` and not after `last`; at most about
    /// `room` of them.
    pub(super) fn candidates(
        &self,
        key: &str,
        hashing: &Hashing,
        (after, last): (Serial, Serial),
        room: usize,
    ) -> Candidates {
        let concerned: Vec<&Group> = self
            .groups_of(key, hashing)
            .map(|(_, group)| group)
            .filter(|group| {
                let newest = group.patterns.last_key_value();
                newest.is_some_and(|(newest, _)| *newest > after)
            })
            .collect();
        let each = (room / concerned.len().max(1)).max(1);
        let mut complete_to = last;
        let mut found = Vec::new();
        for group in concerned {
            let newer = group.patterns.range(after + 1..).enumerate();
            for (nth, (serial, (hash, pattern))) in newer {
                if nth == each || *serial > complete_to {
                    complete_to = complete_to.min(serial - 1);
                    break;
                }
                found.push(Candidate {
                    place: Place {
                        hash: *hash,
                        serial: *serial,
                    },
                    pattern: pattern.clone(),
                });
            }
        }
        found.retain(|candidate| candidate.place.serial <= complete_to);
        found.sort_unstable_by_key(|candidate| candidate.place.serial);
        Candidates { found, complete_to }
    }

    /// The groups whose patterns may match a key, if at least one of the patterns came after `after`.
    pub(super) fn groups_after<'a>(
        &'a self,
        key: &'a str,
        hashing: &Hashing,
        after: Serial,
    ) -> impl Iterator<Item = Place> {
        let all = self.groups_of(key, hashing);
        let newer = all.filter(move |(_, group)| {
            let newest = group.patterns.last_key_value();
            newest.is_some_and(|(newest, _)| *newest > after)
        });
        newer.map(|(hash, group)| Place {
            hash,
            serial: group.serial,
        })
    }

    /// The interests that hold the pattern of a slot.
    pub(super) fn members(&self, slot: Place) -> Option<&Members> {
        let found = self
            .slots
            .find(slot.hash, |known| known.serial == slot.serial);
        found.map(|slot| &slot.members)
    }

    /// The interests that hold any pattern of a group.
    pub(super) fn holders(&self, group: Place) -> Option<&Members> {
        let found = self
            .groups
            .find(group.hash, |known| known.serial == group.serial);
        found.map(|group| &group.holders)
    }
}
