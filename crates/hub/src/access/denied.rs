//! Revoked tokens: a bounded list of those that a hub refuses although they are valid (ADR 0021).

use std::fmt;
use std::hash::RandomState;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{PoisonError, RwLock, RwLockWriteGuard};

use hashbrown::{Equivalent, HashMap};
use talaria_protocol::error::Shown;

use crate::clock::UnixTime;

/// The tokens that are meant: those that have every claim which is given here. At least one is given.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Tokens {
    /// The identifier of the trusted issuer whose key verifies them.
    pub issuer: Option<String>,
    /// Their `sub`.
    pub subject: Option<String>,
    /// Their `jti`.
    pub id: Option<String>,
}

impl Tokens {
    /// Whether no claim is given.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether everything that is given here is given in `other`, too.
    fn includes(&self, other: &Self) -> bool {
        let each = [
            (&self.issuer, &other.issuer),
            (&self.subject, &other.subject),
            (&self.id, &other.id),
        ];
        each.into_iter()
            .all(|(wanted, given)| wanted.is_none() || wanted == given)
    }

    fn mean(&self, token: &Token<'_>) -> bool {
        let each = [
            (&self.issuer, Some(token.issuer)),
            (&self.subject, token.subject),
            (&self.id, token.id),
        ];
        each.into_iter()
            .all(|(wanted, has)| wanted.is_none() || wanted.as_deref() == has)
    }

    /// The claim by which an entry is found: that of the fewest tokens.
    fn found_by(&self) -> Option<Claim<&str>> {
        None.or(self.id.as_deref().map(Claim::Id))
            .or(self.subject.as_deref().map(Claim::Subject))
            .or(self.issuer.as_deref().map(Claim::Issuer))
    }
}

impl fmt::Display for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let each = [
            ("jti", &self.id),
            ("subject", &self.subject),
            ("issuer", &self.issuer),
        ];
        let given = each
            .into_iter()
            .filter_map(|(name, value)| Some((name, value.as_deref()?)));
        for (index, (name, value)) in given.enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(f, "{separator}{name} {}", Shown(value))?;
        }
        Ok(())
    }
}

/// A claim by which entries are found.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Claim<T> {
    Id(T),
    Subject(T),
    Issuer(T),
}

/// Looks an entry up without a copy of the claim. Both forms of a text have the same hash.
impl Equivalent<Claim<Box<str>>> for Claim<&str> {
    fn equivalent(&self, key: &Claim<Box<str>>) -> bool {
        match (self, key) {
            (Self::Id(one), Claim::Id(other))
            | (Self::Subject(one), Claim::Subject(other))
            | (Self::Issuer(one), Claim::Issuer(other)) => *one == &**other,
            _ => false,
        }
    }
}

impl Claim<&str> {
    fn to_owned(&self) -> Claim<Box<str>> {
        match self {
            Self::Id(text) => Claim::Id((*text).into()),
            Self::Subject(text) => Claim::Subject((*text).into()),
            Self::Issuer(text) => Claim::Issuer((*text).into()),
        }
    }
}

/// An entry of the list: which tokens are refused, and for how long.
#[derive(Debug, Clone, PartialEq)]
pub struct Revocation {
    /// The tokens.
    pub tokens: Tokens,
    /// Only those that were issued before this time, by their `iat`, or do not say when.
    pub issued_before: Option<UnixTime>,
    /// When the entry was made.
    pub since: UnixTime,
    /// When it ends.
    pub until: UnixTime,
    /// Why it was made, for the operator.
    pub reason: Option<String>,
}

/// What an entry is compared with: the claims of a verified token.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Token<'a> {
    pub(crate) issuer: &'a str,
    pub(crate) subject: Option<&'a str>,
    pub(crate) id: Option<&'a str>,
    pub(crate) issued_at: Option<UnixTime>,
}

impl Revocation {
    fn concerns(&self, token: &Token<'_>, now: UnixTime) -> bool {
        let is_newer = match (self.issued_before, token.issued_at) {
            (Some(before), Some(issued_at)) => issued_at >= before,
            _ => false,
        };
        now < self.until && !is_newer && self.tokens.mean(token)
    }
}

/// The list has no room for another entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the list of revoked tokens has {most} entries, the most that it holds; remove some, or remove the key of the issuer from the configuration"
)]
pub struct TooManyRevocations {
    /// The most entries.
    pub most: usize,
}

/// The entries of a list.
#[derive(Debug, Default)]
struct Entries {
    /// By the claim of the fewest tokens.
    by_claim: HashMap<Claim<Box<str>>, Vec<Revocation>, RandomState>,
    /// None ends before this time.
    next_end: Option<UnixTime>,
}

impl Entries {
    fn retain(&mut self, mut stays: impl FnMut(&Revocation) -> bool) {
        self.by_claim.retain(|_, entries| {
            entries.retain(&mut stays);
            !entries.is_empty()
        });
        self.by_claim.shrink_to_fit();
        let entries = self.by_claim.values().flatten();
        self.next_end = entries.map(|entry| entry.until).reduce(earlier);
    }
}

fn earlier(one: UnixTime, other: UnixTime) -> UnixTime {
    if other < one { other } else { one }
}

/// The list of a hub and of those beside it.
#[derive(Debug, Default)]
pub(crate) struct Denied {
    /// The number of entries, so that a hub without any looks no further.
    count: AtomicUsize,
    entries: RwLock<Entries>,
}

impl Denied {
    /// The most entries of a list.
    pub(crate) const MOST: usize = 10_000;

    /// Whether a token is revoked: the entry that says so.
    pub(crate) fn find(&self, token: &Token<'_>, now: UnixTime) -> Option<Revocation> {
        if self.count.load(Ordering::Acquire) == 0 {
            return None;
        }
        let claims = [
            token.id.map(Claim::Id),
            token.subject.map(Claim::Subject),
            Some(Claim::Issuer(token.issuer)),
        ];
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        let mut found = claims
            .into_iter()
            .flatten()
            .filter_map(|claim| entries.by_claim.get(&claim))
            .flatten();
        found.find(|entry| entry.concerns(token, now)).cloned()
    }

    /// Enters a revocation, in place of one for the same tokens.
    ///
    /// # Errors
    /// There is no room for it.
    pub(crate) fn enter(&self, entry: Revocation, now: UnixTime) -> Result<(), TooManyRevocations> {
        let Some(claim) = entry.tokens.found_by() else {
            return Ok(());
        };
        let claim = claim.to_owned();
        let mut entries = self.pruned(now);
        entries.next_end = entries
            .next_end
            .map(|end| earlier(end, entry.until))
            .or(Some(entry.until));
        let known = entries.by_claim.get_mut(&claim);
        let known = known.and_then(|known| known.iter_mut().find(|it| it.tokens == entry.tokens));
        if let Some(known) = known {
            *known = entry;
            return Ok(());
        }
        if self.count.load(Ordering::Relaxed) >= Self::MOST {
            return Err(TooManyRevocations { most: Self::MOST });
        }
        entries.by_claim.entry(claim).or_default().push(entry);
        self.count.fetch_add(1, Ordering::Release);
        Ok(())
    }

    /// Removes the entries that have everything which is given. Returns them.
    pub(crate) fn remove(&self, tokens: &Tokens, now: UnixTime) -> Vec<Revocation> {
        let mut entries = self.pruned(now);
        let mut removed = Vec::new();
        entries.retain(|entry| {
            let stays = !tokens.includes(&entry.tokens);
            if !stays {
                removed.push(entry.clone());
            }
            stays
        });
        self.count_again(&entries);
        removed
    }

    /// The entries that have not ended, the oldest first.
    pub(crate) fn list(&self, now: UnixTime) -> Vec<Revocation> {
        drop(self.pruned(now));
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        let mut list: Vec<Revocation> = entries.by_claim.values().flatten().cloned().collect();
        list.retain(|entry| now < entry.until);
        list.sort_by(|one, other| one.since.seconds().total_cmp(&other.since.seconds()));
        list
    }

    /// The entries without those that have ended, so that a list without any costs one load again.
    fn pruned(&self, now: UnixTime) -> RwLockWriteGuard<'_, Entries> {
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        if entries.next_end.is_some_and(|end| end <= now) {
            entries.retain(|entry| now < entry.until);
            self.count_again(&entries);
        }
        entries
    }

    fn count_again(&self, entries: &Entries) {
        let count = entries.by_claim.values().map(Vec::len).sum();
        self.count.store(count, Ordering::Release);
    }
}

#[cfg(not(talaria_loom))]
#[cfg(test)]
mod tests;
