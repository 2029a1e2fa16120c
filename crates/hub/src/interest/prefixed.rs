//! Patterns by the literal prefix that every match begins with.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::index::{Members, Number};

/// What is found by its prefix, then evaluated once for all who hold an equal one.
pub(super) trait Pattern: PartialEq {
    /// What the key of every match begins with.
    fn literal_prefix(&self) -> &str;
}

/// Patterns of one kind, and the interests that hold each.
#[derive(Debug)]
pub(super) struct Prefixed<P> {
    patterns: HashMap<Box<str>, Vec<(Arc<P>, Members)>>,
    /// How many prefixes of each length there are, so that only those lengths are looked up.
    lengths: BTreeMap<usize, usize>,
}

impl<P> Default for Prefixed<P> {
    fn default() -> Self {
        Self {
            patterns: HashMap::new(),
            lengths: BTreeMap::new(),
        }
    }
}

impl<P: Pattern> Prefixed<P> {
    pub(super) fn insert(&mut self, number: Number, pattern: &Arc<P>) {
        let prefix = pattern.literal_prefix();
        if !self.patterns.contains_key(prefix) {
            *self.lengths.entry(prefix.len()).or_default() += 1;
        }
        let patterns = self.patterns.entry(prefix.into()).or_default();
        match patterns.iter_mut().find(|(known, _)| known == pattern) {
            Some((_, members)) => members.insert(number),
            None => patterns.push((Arc::clone(pattern), Members::One(number))),
        }
    }

    pub(super) fn remove(&mut self, number: Number, pattern: &Arc<P>) {
        let prefix = pattern.literal_prefix();
        let Some(patterns) = self.patterns.get_mut(prefix) else {
            return;
        };
        if let Some((_, members)) = patterns.iter_mut().find(|(known, _)| known == pattern) {
            members.remove(number);
        }
        patterns.retain(|(_, members)| !members.is_empty());
        if patterns.is_empty() {
            self.patterns.remove(prefix);
            if let Some(count) = self.lengths.get_mut(&prefix.len()) {
                *count -= 1;
                if *count == 0 {
                    self.lengths.remove(&prefix.len());
                }
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// Adds the holders of every pattern that matches, judged only where the key has its prefix.
    pub(super) fn hits<'a>(
        &'a self,
        key: &str,
        matches: impl Fn(&P) -> bool,
        members: &mut Vec<&'a Members>,
    ) {
        for length in self.lengths.range(..=key.len()).map(|(length, _)| *length) {
            let patterns = key
                .get(..length)
                .and_then(|prefix| self.patterns.get(prefix));
            let matching = patterns
                .into_iter()
                .flatten()
                .filter(|(pattern, _)| matches(pattern));
            members.extend(matching.map(|(_, members)| members));
        }
    }
}
