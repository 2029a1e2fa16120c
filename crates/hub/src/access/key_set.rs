//! Key sets that issuers publish (RFC 7517). They are kept here; the program fetches them.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use talaria_protocol::error::Shown;
use tokio::sync::{Notify, watch};

use super::algorithm::Algorithm;
use super::cache::Digest;
use super::jwk::{self, Jwk};
use super::key::VerificationKey;
use super::key_identity::KeyIdentity;
use super::refusal::Refusal;
use crate::clock::Clock;

/// How long a request waits for the fetch that it asks for, unless
/// [`KeySet::with_patience`] says otherwise.
const PATIENCE: Duration = Duration::from_secs(17);
/// How long a token causes no further fetch after one that did not bring its key.
const IN_VAIN: Duration = Duration::from_secs(10);
/// How many tokens are remembered whose key a fetch did not bring.
const MAX_IN_VAIN: usize = 1024;
/// The most keys taken from one set: a token without `kid` is tried with all of them.
const MAX_KEYS: usize = 64;
/// The most unusable keys of a set that are named; the others are counted.
const MAX_FAULTS: usize = 8;

/// Why a fetched set was rejected. The earlier keys stay in force.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeySetError {
    /// It is not a JSON object with an array `keys`.
    #[error("it is not a JSON Web Key Set (an object with an array \"keys\")")]
    NotASet,
    /// None of its keys verifies signatures by an accepted algorithm.
    #[error("it has no key for signatures by {allowed}; skipped: {}", if .skipped.is_empty() { "none" } else { .skipped })]
    NoKey {
        /// The accepted algorithms.
        allowed: String,
        /// Its keys, each with the reason why it was skipped.
        skipped: String,
    },
}

/// What was taken from a fetched set.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Taken {
    /// How many keys were taken.
    pub keys: usize,
    /// How many keys of the earlier set are not in this one.
    pub lost: usize,
    /// The keys that were skipped, each with the reason: at most eight, then the number of the others.
    pub skipped: Vec<String>,
}

/// The keys of one issuer, as of the last time they were fetched. Other issuers do not share them, and
/// nothing in a token adds to them.
///
/// A token whose key is missing causes a fetch. Anyone can make such tokens, so there is a pause between
/// two fetches. No token is refused because of that pause: its request waits for the next fetch that
/// begins after it arrived. So a client that sends tokens with invented keys does not keep a good token
/// from the key that its issuer has just published.
///
/// The hub does not fetch: a task of the program waits until a set is [`wanted`](Self::wanted), and then
/// [replaces](Self::replace) or [keeps](Self::keep) it.
pub struct KeySet {
    algorithms: Box<[Algorithm]>,
    patience: Duration,
    current: watch::Sender<Arc<Keys>>,
    refresh: Mutex<Refresh>,
    wanted: Notify,
}

#[derive(Debug, Default)]
struct Keys {
    /// Counts the sets, so that a token is forgotten together with the key that verified it.
    generation: u64,
    keys: Vec<Named>,
}

/// A key and its `kid`.
type Named = (Option<String>, VerificationKey);

#[derive(Debug, Default)]
struct Refresh {
    /// Whether a request asked for a fetch that has not begun.
    asked: bool,
    /// How many fetches have begun, and how many have ended.
    begun: u64,
    ended: u64,
    /// Tokens whose key a fetch did not bring, and when; the oldest first.
    in_vain: VecDeque<(Digest, Instant)>,
}

impl KeySet {
    /// An empty set whose keys may be used with these algorithms. An empty list stands for all that take
    /// public keys (B-236).
    pub fn new(algorithms: &[Algorithm]) -> Self {
        let usual = || {
            Algorithm::ALL
                .into_iter()
                .filter(|algorithm| algorithm.hmac().is_none())
        };
        let algorithms = if algorithms.is_empty() {
            usual().collect()
        } else {
            algorithms.into()
        };
        Self {
            algorithms,
            patience: PATIENCE,
            current: watch::Sender::default(),
            refresh: Mutex::default(),
            wanted: Notify::new(),
        }
    }

    /// Makes requests wait at most this long for the fetch that they ask for. In that time a fetch that is
    /// under way may have to end, the pause to pass, and their own fetch to end.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// The algorithms that tokens may use.
    pub fn algorithms(&self) -> &[Algorithm] {
        &self.algorithms
    }

    /// Takes the keys of the set that was fetched. Unusable keys are skipped (B-969); a set without a
    /// usable key leaves the earlier keys in force.
    ///
    /// # Errors
    /// See [`KeySetError`].
    pub fn replace(&self, json: &[u8]) -> Result<Taken, KeySetError> {
        let taken = self.parse(json);
        let taken = taken.map(|(keys, skipped)| {
            let earlier = Arc::clone(&self.current.borrow());
            let is_lost = |own: &VerificationKey| {
                let mut keys = keys.iter();
                !keys.any(|(_, key)| key.identity() == own.identity())
            };
            let taken = Taken {
                keys: keys.len(),
                lost: earlier.keys.iter().filter(|(_, own)| is_lost(own)).count(),
                skipped,
            };
            self.end_refresh(|current| {
                let generation = current.generation + 1;
                *current = Arc::new(Keys { generation, keys });
            });
            taken
        });
        if taken.is_err() {
            self.keep();
        }
        taken
    }

    /// Keeps the earlier keys, because a fetch failed.
    pub fn keep(&self) {
        // Requests that wait for the fetch learn that it has ended.
        self.end_refresh(|_| {});
    }

    /// Waits until a request needs a key that the set does not have, and until `pause`, which began with
    /// the last fetch, is over. The caller must fetch then.
    pub async fn wanted(&self, pause: impl Future<Output = ()>) {
        tokio::join!(self.wanted.notified(), pause);
        while !self.is_wanted() {
            self.wanted.notified().await;
        }
        self.begin();
    }

    /// Notes that a fetch begins that no request asked for. It also serves the requests that have asked
    /// since.
    pub fn begin(&self) {
        let mut refresh = self.refresh();
        refresh.asked = false;
        refresh.begun += 1;
    }

    /// Whether a request asked for a fetch that has not begun.
    pub fn is_wanted(&self) -> bool {
        self.refresh().asked
    }

    /// Asks for a fetch for a token, and waits for it at most as long as the set's patience: until
    /// `judge`, which is called after each change, returns a verdict. Returns `None` at once if a fetch
    /// did not bring the token's key a moment ago.
    pub(super) async fn refreshed_for<T>(
        &self,
        token: &Digest,
        clock: &dyn Clock,
        judge: impl Fn() -> Option<T>,
    ) -> Option<T> {
        let (fetch, mut current) = self.ask(token, clock.now())?;
        let judged = async {
            while current.changed().await.is_ok() {
                let judged = judge();
                if judged.is_some() || self.refresh().ended >= fetch {
                    return judged;
                }
            }
            None
        };
        // Without an answer from the issuer, the key may still be published.
        let judged = tokio::time::timeout(self.patience, judged).await.ok()?;
        if judged.is_none() {
            self.note_in_vain(*token, clock.now());
        }
        judged
    }

    /// Asks for a fetch; returns its number, and where the set will appear.
    fn ask(&self, token: &Digest, now: Instant) -> Option<(u64, watch::Receiver<Arc<Keys>>)> {
        let mut refresh = self.refresh();
        let mut in_vain = refresh.in_vain.iter();
        if in_vain
            .any(|(known, asked)| known == token && now.saturating_duration_since(*asked) < IN_VAIN)
        {
            return None;
        }
        if !refresh.asked {
            refresh.asked = true;
            self.wanted.notify_one();
        }
        // A fetch that is under way may have been answered before the key was published.
        Some((refresh.begun + 1, self.current.subscribe()))
    }

    fn note_in_vain(&self, token: Digest, now: Instant) {
        let mut refresh = self.refresh();
        if refresh.in_vain.len() >= MAX_IN_VAIN {
            refresh.in_vain.pop_front();
        }
        refresh.in_vain.push_back((token, now));
    }

    /// Both under the lock, so that no request begins to wait for a set that has just arrived.
    fn end_refresh(&self, change: impl FnOnce(&mut Arc<Keys>)) {
        let mut refresh = self.refresh();
        refresh.ended = refresh.begun;
        if refresh.asked {
            // The fetch that ends began before this one was asked for.
            self.wanted.notify_one();
        }
        self.current.send_modify(change);
    }

    fn refresh(&self) -> MutexGuard<'_, Refresh> {
        self.refresh.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of the current set.
    pub(super) fn generation(&self) -> u64 {
        self.current.borrow().generation
    }

    /// Whether the set has a key now.
    pub(super) fn has(&self, key: KeyIdentity) -> bool {
        let current = Arc::clone(&self.current.borrow());
        current.keys.iter().any(|(_, own)| own.identity() == key)
    }

    /// The key of the set that made the signature: the one that the token's `kid` names, or any key if the
    /// token names none (B-451). `None` if none of these made it.
    pub(super) fn judge(
        &self,
        kid: Option<&str>,
        algorithm: &str,
        verifies: impl Fn(&VerificationKey) -> bool,
    ) -> Result<Option<KeyIdentity>, Refusal> {
        let allowed = self
            .algorithms
            .iter()
            .find(|known| known.name() == algorithm);
        let Some(algorithm) = allowed else {
            return Err(Refusal::AlgNotListed {
                received: algorithm.to_owned(),
                allowed: self.algorithms.to_vec(),
            });
        };
        let current = Arc::clone(&self.current.borrow());
        if current.keys.is_empty() {
            return Err(Refusal::NoKeySet);
        }
        let named = |own: &Option<String>| kid.is_none() || own.as_deref() == kid;
        let mut candidates = current.keys.iter().filter(|(own, _)| named(own)).peekable();
        if candidates.peek().is_none() {
            return Err(Refusal::KidUnknown(kid.unwrap_or_default().to_owned()));
        }
        let made_it = |key: &VerificationKey| key.algorithm() == *algorithm && verifies(key);
        let key = candidates.find(|(_, key)| made_it(key));
        Ok(key.map(|(_, key)| key.identity()))
    }

    fn parse(&self, json: &[u8]) -> Result<(Vec<Named>, Vec<String>), KeySetError> {
        let listed = jwk::listed(json).ok_or(KeySetError::NotASet)?;
        let mut keys = Vec::new();
        let mut skipped = Vec::new();
        let (mut entries, mut faults) = (0, 0);
        for entry in &listed {
            let kid = entry.get("kid").and_then(|kid| kid.as_str());
            let mut unusable = |reason: &str| {
                faults += 1;
                if faults <= MAX_FAULTS {
                    let name = kid.map_or_else(
                        || "a key without kid".to_owned(),
                        |kid| Shown(kid).to_string(),
                    );
                    skipped.push(format!("{name} ({reason})"));
                }
            };
            if entries >= MAX_KEYS {
                unusable("one too many");
                continue;
            }
            match Jwk::read(entry).and_then(|jwk| jwk.verifiers(&self.algorithms)) {
                Ok(verifiers) => {
                    entries += 1;
                    keys.extend(
                        verifiers
                            .into_iter()
                            .map(|key| (kid.map(str::to_owned), key)),
                    );
                }
                Err(reason) => unusable(reason),
            }
        }
        if let Some(more @ 1..) = faults.checked_sub(MAX_FAULTS) {
            skipped.push(format!("and {more} more"));
        }
        if keys.is_empty() {
            let names: Vec<_> = self.algorithms.iter().map(|known| known.name()).collect();
            return Err(KeySetError::NoKey {
                allowed: names.join(", "),
                skipped: skipped.join(", "),
            });
        }
        Ok((keys, skipped))
    }
}

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeySet")
            .field("algorithms", &self.algorithms)
            .field("keys", &self.current.borrow().keys.len())
            .finish_non_exhaustive()
    }
}
