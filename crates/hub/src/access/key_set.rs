//! Key sets that issuers publish (RFC 7517): kept here, fetched by others.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, watch};

use super::jwk::{self, Jwk};
use super::{Algorithm, Refusal, VerificationKey};

/// How often an unknown `kid` may have a set fetched anew.
const AT_MOST_EVERY: Duration = Duration::from_secs(30);
/// How long a request waits for that.
const PATIENCE: Duration = Duration::from_secs(5);
/// Keys that are taken of one set: a token without `kid` is tried with all of them.
const MAX_KEYS: usize = 64;

/// Why a set was not taken, and the earlier one stays.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeySetError {
    /// No JSON object with an array `keys`.
    #[error("it is no JSON Web Key Set (an object with an array \"keys\")")]
    NotASet,
    /// None of its keys verifies signatures by an algorithm that may be used.
    #[error("it has no key for signatures by {allowed}; skipped: {}", if .skipped.is_empty() { "none" } else { .skipped })]
    NoKey {
        /// The algorithms that may be used.
        allowed: String,
        /// Its keys, each with the reason.
        skipped: String,
    },
}

/// What was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// How many keys.
    pub keys: usize,
    /// Which were not, each with the reason.
    pub skipped: Vec<String>,
}

/// The keys of one issuer, as of the last time they were fetched. They are shared with no other
/// issuer, and nothing in a token adds to them.
#[derive(Debug)]
pub struct KeySet {
    algorithms: Box<[Algorithm]>,
    current: watch::Sender<Arc<Keys>>,
    refresh: Mutex<Refresh>,
    wanted: Notify,
}

#[derive(Debug, Default)]
struct Keys {
    /// Counts the sets, so that nothing is remembered of a token longer than the key that signed it.
    generation: u64,
    keys: Vec<Named>,
}

/// A key and its `kid`.
type Named = (Option<String>, VerificationKey);

#[derive(Debug, Default)]
struct Refresh {
    /// The last time that somebody asked for it.
    asked: Option<Instant>,
    under_way: bool,
}

impl KeySet {
    /// An empty set whose keys may be used with these algorithms; all but shared secrets, if none
    /// is named (B-236).
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
            current: watch::Sender::default(),
            refresh: Mutex::default(),
            wanted: Notify::new(),
        }
    }

    /// The algorithms that tokens may use.
    pub fn algorithms(&self) -> &[Algorithm] {
        &self.algorithms
    }

    /// Takes the set that was fetched. One unusable key does not spoil it (B-969), and one without
    /// any usable key leaves the earlier keys in force.
    ///
    /// # Errors
    /// See [`KeySetError`].
    pub fn replace(&self, json: &[u8]) -> Result<Taken, KeySetError> {
        let taken = self.parse(json);
        let taken = taken.map(|(keys, skipped)| {
            let taken = Taken {
                keys: keys.len(),
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

    /// Ends an attempt to fetch the set that failed.
    pub fn keep(&self) {
        // Whoever waits is told that there is nothing to wait for.
        self.end_refresh(|_| {});
    }

    /// Waits until somebody needs a key that is not in the set.
    pub async fn wanted(&self) {
        self.wanted.notified().await;
    }

    /// Has the set fetched anew and waits for it, a few seconds at most; at once if that was done a
    /// moment ago.
    pub(crate) async fn refreshed(&self, now: Instant) {
        let Some(mut current) = self.begin_refresh(now) else {
            return;
        };
        // Elapsed or not, the caller looks at what there is.
        _ = tokio::time::timeout(PATIENCE, current.changed()).await;
    }

    /// What there is to wait for.
    fn begin_refresh(&self, now: Instant) -> Option<watch::Receiver<Arc<Keys>>> {
        let mut refresh = self.refresh.lock().unwrap_or_else(PoisonError::into_inner);
        let recently = refresh
            .asked
            .is_some_and(|asked| now.saturating_duration_since(asked) < AT_MOST_EVERY);
        if !recently {
            refresh.asked = Some(now);
            refresh.under_way = true;
            self.wanted.notify_one();
        }
        refresh.under_way.then(|| self.current.subscribe())
    }

    /// Both under the lock, so that nobody begins to wait for what has just come.
    fn end_refresh(&self, change: impl FnOnce(&mut Arc<Keys>)) {
        let mut refresh = self.refresh.lock().unwrap_or_else(PoisonError::into_inner);
        self.current.send_modify(change);
        refresh.under_way = false;
    }

    /// Counts the sets.
    pub(super) fn generation(&self) -> u64 {
        self.current.borrow().generation
    }

    /// Whether a key of the set made the signature: that of the token's `kid`, or any without one
    /// (B-451).
    pub(super) fn judge(
        &self,
        kid: Option<&str>,
        algorithm: &str,
        verifies: impl Fn(&VerificationKey) -> bool,
    ) -> Result<bool, Refusal> {
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
        Ok(candidates.any(|(_, key)| key.algorithm() == *algorithm && verifies(key)))
    }

    fn parse(&self, json: &[u8]) -> Result<(Vec<Named>, Vec<String>), KeySetError> {
        let listed = jwk::listed(json).ok_or(KeySetError::NotASet)?;
        let mut keys = Vec::new();
        let mut skipped = Vec::new();
        let mut entries = 0;
        for entry in &listed {
            let kid = entry.get("kid").and_then(|kid| kid.as_str());
            let mut unusable = |reason: &str| {
                let name =
                    kid.map_or_else(|| "a key without kid".to_owned(), |kid| format!("{kid:?}"));
                skipped.push(format!("{name} ({reason})"));
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
