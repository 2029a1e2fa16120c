//! Key sets that issuers publish (RFC 7517): kept here, fetched by others.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use talaria_protocol::error::Shown;
use tokio::sync::{Notify, watch};

use super::cache::Digest;
use super::jwk::{self, Jwk};
use super::{Algorithm, Refusal, VerificationKey};
use crate::clock::Clock;

/// How long a request waits for a set that it has fetched anew, if nothing else is said.
const PATIENCE: Duration = Duration::from_secs(17);
/// How long a token for which a set was fetched in vain has it fetched no more.
const IN_VAIN: Duration = Duration::from_secs(10);
/// How many such tokens are remembered.
const MAX_IN_VAIN: usize = 1024;
/// Keys that are taken of one set: a token without `kid` is tried with all of them.
const MAX_KEYS: usize = 64;
/// Faults of a set that are named; the others are counted.
const MAX_FAULTS: usize = 8;

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
    /// Which were not, each with the reason: eight at most, and the number of the others.
    pub skipped: Vec<String>,
}

/// The keys of one issuer, as of the last time they were fetched. They are shared with no other
/// issuer, and nothing in a token adds to them.
///
/// A token whose key is not here has the set fetched. Anybody can make such tokens, so fetches have a
/// pause between them. But none is refused for that pause: a request waits for the next fetch that
/// begins after it came, so that a client that sends tokens with invented keys does not keep a good
/// token from the key that its issuer has just published.
#[derive(Debug)]
pub struct KeySet {
    algorithms: Box<[Algorithm]>,
    patience: Duration,
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
    /// Whether a fetch is asked for that has not begun.
    asked: bool,
    /// How many have begun, and how many have ended.
    begun: u64,
    ended: u64,
    /// Tokens for which one was in vain, and when, the oldest first.
    in_vain: VecDeque<(Digest, Instant)>,
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
            patience: PATIENCE,
            current: watch::Sender::default(),
            refresh: Mutex::default(),
            wanted: Notify::new(),
        }
    }

    /// Has requests wait this long at most for the fetch that they ask for. That is one which may be
    /// under way, the pause after its beginning, and their own.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
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

    /// Waits until a request needs a key that is not in the set, and until `pause`, which is that
    /// since the last fetch began, is over. A fetch must begin then.
    pub async fn wanted(&self, pause: impl Future<Output = ()>) {
        tokio::join!(self.wanted.notified(), pause);
        while !self.is_wanted() {
            self.wanted.notified().await;
        }
        self.begin();
    }

    /// Notes that a fetch begins that no request asked for; it is that of requests which asked meanwhile.
    pub fn begin(&self) {
        let mut refresh = self.refresh();
        refresh.asked = false;
        refresh.begun += 1;
    }

    /// Whether a fetch is asked for that has not begun.
    pub fn is_wanted(&self) -> bool {
        self.refresh().asked
    }

    /// Has the set fetched anew for a token and waits for it, some seconds at most: until `judge`,
    /// which is asked after each change, says something. At once `None` if a fetch was in vain for
    /// the token a moment ago.
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
        // Without an answer of the issuer it is unknown whether it was in vain.
        let judged = tokio::time::timeout(self.patience, judged).await.ok()?;
        if judged.is_none() {
            self.note_in_vain(*token, clock.now());
        }
        judged
    }

    /// Asks for a fetch; returns its number, and where the set will be.
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
        // One that is under way may have been answered before the key was published.
        Some((refresh.begun + 1, self.current.subscribe()))
    }

    fn note_in_vain(&self, token: Digest, now: Instant) {
        let mut refresh = self.refresh();
        if refresh.in_vain.len() >= MAX_IN_VAIN {
            refresh.in_vain.pop_front();
        }
        refresh.in_vain.push_back((token, now));
    }

    /// Both under the lock, so that nobody begins to wait for what has just come.
    fn end_refresh(&self, change: impl FnOnce(&mut Arc<Keys>)) {
        let mut refresh = self.refresh();
        refresh.ended = refresh.begun;
        if refresh.asked {
            // The fetch that ends began before it was asked for.
            self.wanted.notify_one();
        }
        self.current.send_modify(change);
    }

    fn refresh(&self) -> MutexGuard<'_, Refresh> {
        self.refresh.lock().unwrap_or_else(PoisonError::into_inner)
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
