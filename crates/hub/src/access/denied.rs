//! Revoked tokens: a bounded list of those that a hub refuses although they are valid (ADR 0021).

use std::fmt;
use std::hash::RandomState;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{PoisonError, RwLock};

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

/// The entries by the claim of the fewest tokens.
type Entries = HashMap<Claim<Box<str>>, Vec<Revocation>, RandomState>;

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
            .filter_map(|claim| entries.get(&claim))
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
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        let known = entries.get_mut(&claim);
        let known = known.and_then(|known| known.iter_mut().find(|it| it.tokens == entry.tokens));
        if let Some(known) = known {
            *known = entry;
            return Ok(());
        }
        if self.count.load(Ordering::Relaxed) >= Self::MOST {
            retain(&mut entries, |entry| now < entry.until);
            self.count_again(&entries);
        }
        if self.count.load(Ordering::Relaxed) >= Self::MOST {
            return Err(TooManyRevocations { most: Self::MOST });
        }
        entries.entry(claim).or_default().push(entry);
        self.count.fetch_add(1, Ordering::Release);
        Ok(())
    }

    /// Removes the entries that have everything which is given. Returns them.
    pub(crate) fn remove(&self, tokens: &Tokens) -> Vec<Revocation> {
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        let mut removed = Vec::new();
        retain(&mut entries, |entry| {
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
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        let entries = entries.values().flatten();
        let mut list: Vec<Revocation> = entries.filter(|it| now < it.until).cloned().collect();
        list.sort_by(|one, other| one.since.seconds().total_cmp(&other.since.seconds()));
        list
    }

    fn count_again(&self, entries: &Entries) {
        let count = entries.values().map(Vec::len).sum();
        self.count.store(count, Ordering::Release);
    }
}

fn retain(entries: &mut Entries, mut stays: impl FnMut(&Revocation) -> bool) {
    entries.retain(|_, entries| {
        entries.retain(&mut stays);
        !entries.is_empty()
    });
    entries.shrink_to_fit();
}

#[cfg(not(talaria_loom))]
#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: f64) -> UnixTime {
        UnixTime::from_seconds(seconds)
    }

    fn tokens(issuer: &str, subject: &str, id: &str) -> Tokens {
        let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Tokens {
            issuer: given(issuer),
            subject: given(subject),
            id: given(id),
        }
    }

    fn entry(tokens: Tokens) -> Revocation {
        Revocation {
            tokens,
            issued_before: None,
            since: at(0.0),
            until: at(100.0),
            reason: None,
        }
    }

    const TOKEN: Token<'static> = Token {
        issuer: "i",
        subject: Some("s"),
        id: Some("t"),
        issued_at: None,
    };

    /// An entry refuses the tokens that have all of its claims, and no other.
    #[test]
    fn an_entry_means_the_tokens_that_have_its_claims() {
        for (given, is_meant) in [
            (tokens("i", "", ""), true),
            (tokens("", "s", ""), true),
            (tokens("", "", "t"), true),
            (tokens("i", "s", "t"), true),
            (tokens("other", "s", ""), false),
            (tokens("", "s", "other"), false),
            (tokens("", "t", ""), false),
            (tokens("s", "", ""), false),
        ] {
            let denied = Denied::default();
            denied.enter(entry(given.clone()), at(0.0)).expect("room");
            let found = denied.find(&TOKEN, at(1.0));
            assert_eq!(found.is_some(), is_meant, "{given}");
            assert_eq!(denied.find(&TOKEN, at(100.0)), None, "it has ended");
        }
        let bare = Token {
            subject: None,
            id: None,
            ..TOKEN
        };
        let denied = Denied::default();
        denied
            .enter(entry(tokens("", "s", "")), at(0.0))
            .expect("room");
        assert_eq!(denied.find(&bare, at(1.0)), None);
    }

    #[test]
    fn tokens_that_were_issued_later_may_be_exempt() {
        let denied = Denied::default();
        let before = Revocation {
            issued_before: Some(at(50.0)),
            ..entry(tokens("", "s", ""))
        };
        denied.enter(before, at(0.0)).expect("room");
        for (issued_at, is_denied) in [(None, true), (Some(49.9), true), (Some(50.0), false)] {
            let token = Token {
                issued_at: issued_at.map(at),
                ..TOKEN
            };
            assert_eq!(denied.find(&token, at(60.0)).is_some(), is_denied);
        }
    }

    #[test]
    fn entries_are_replaced_listed_and_removed() {
        let denied = Denied::default();
        for until in [10.0, 20.0] {
            let entry = Revocation {
                until: at(until),
                ..entry(tokens("i", "s", ""))
            };
            denied.enter(entry, at(0.0)).expect("room");
        }
        denied
            .enter(entry(tokens("i", "", "t")), at(0.0))
            .expect("room");
        let list = denied.list(at(1.0));
        assert_eq!(list.len(), 2);
        assert!(denied.find(&TOKEN, at(15.0)).is_some());
        assert_eq!(denied.remove(&tokens("", "s", "")).len(), 1);
        assert_eq!(denied.remove(&tokens("", "s", "")).len(), 0);
        assert_eq!(denied.remove(&tokens("i", "", "")).len(), 1);
        assert_eq!(denied.find(&TOKEN, at(1.0)), None);
    }

    /// The list is bounded; what has ended makes room.
    #[test]
    fn a_full_list_refuses_entries_until_one_has_ended() {
        let denied = Denied::default();
        for number in 0..Denied::MOST {
            let entry = Revocation {
                until: at(if number == 7 { 5.0 } else { 100.0 }),
                ..entry(tokens("", "", &number.to_string()))
            };
            denied.enter(entry, at(0.0)).expect("room");
        }
        let one_more = || entry(tokens("", "one more", ""));
        let full = denied.enter(one_more(), at(1.0)).expect_err("no room");
        assert!(full.to_string().contains("10000 entries"), "{full}");
        let known = entry(tokens("", "", "3"));
        denied.enter(known, at(1.0)).expect("it is there already");
        denied.enter(one_more(), at(5.0)).expect("one has ended");
        assert_eq!(denied.list(at(6.0)).len(), Denied::MOST);
    }
}
