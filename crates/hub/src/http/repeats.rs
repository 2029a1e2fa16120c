//! Publishes that a client repeats because it did not see the answer: they are stored once.
//!
//! This is off by default: by the specification, an update whose id was used before is stored again.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use aws_lc_rs::digest::{self, SHA256};
use talaria_protocol::Update;
use talaria_transport::{AppendError, RepeatKey, Transport};

/// The most publishes that are remembered. The oldest is forgotten first.
const MOST: usize = 100_000;

/// Whether an update is stored; locked while it is being stored. A publish whose outcome is unknown leaves
/// it unset, so that the repetition is stored, perhaps a second time: an update may be stored twice, since
/// the publisher sent it twice, but it must not be lost.
type Flag = Arc<tokio::sync::Mutex<bool>>;

/// The publishes of the last `window`. A log of several processes remembers them itself, for all of them.
pub(crate) struct Repeats {
    window: Duration,
    state: Arc<Mutex<State>>,
    /// Whether the log remembers them, once it was asked.
    log_remembers: OnceLock<bool>,
}

#[derive(Default)]
struct State {
    known: HashMap<RepeatKey, Flag>,
    order: VecDeque<(Instant, RepeatKey)>,
}

impl Repeats {
    /// Remembers publishes for `window`.
    pub(crate) fn new(window: Duration) -> Self {
        Self {
            window,
            state: Arc::default(),
            log_remembers: OnceLock::new(),
        }
    }

    /// The same memory, of another window.
    pub(crate) fn lasting(&self, window: Duration) -> Self {
        Self {
            window,
            state: Arc::clone(&self.state),
            log_remembers: self.log_remembers.clone(),
        }
    }

    /// Appends the updates with one commit, except those that repeat a stored one: an update that the same
    /// publisher (the issuer and the subject of the token) gave the same id. A repetition that comes while
    /// the first is under way waits for it. Returns the event ids of all.
    pub(crate) async fn append(
        &self,
        publisher: [&str; 2],
        updates: Vec<Update>,
        transport: &Arc<dyn Transport>,
        now: Instant,
    ) -> Result<Vec<String>, AppendError> {
        let key = |update: &Update| {
            let id = update.id.as_ref()?;
            Some(key([publisher[0], publisher[1], id]))
        };
        let keys: Vec<Option<RepeatKey>> = updates.iter().map(key).collect();
        if self.log_remembers(transport) {
            let updates = updates.into_iter().zip(keys).collect();
            let Some(appended) = transport.append_once(updates, self.window) else {
                return Err(AppendError::Refused("the log does not remember publishes"));
            };
            let appended = appended.await?.into_iter();
            return Ok(appended.map(|appended| appended.event_id).collect());
        }
        let flags: BTreeMap<RepeatKey, Flag> = keys
            .iter()
            .flatten()
            .map(|key| (*key, self.flag(*key, now)))
            .collect();
        let transport = Arc::clone(transport);
        // On a separate task, so that the outcome is remembered even if the publisher hangs up. The task
        // ends with the append, which always ends.
        let append = tokio::spawn(append(updates, keys, flags, transport));
        append.await.unwrap_or(Err(AppendError::Unknown))
    }

    /// Whether the log remembers publishes. It is asked with no updates, since the answer takes them.
    fn log_remembers(&self, transport: &Arc<dyn Transport>) -> bool {
        let ask = || transport.append_once(Vec::new(), self.window).is_some();
        *self.log_remembers.get_or_init(ask)
    }

    fn flag(&self, key: RepeatKey, now: Instant) -> Flag {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some((since, oldest)) = state.order.front() {
            if now.saturating_duration_since(*since) < self.window && state.order.len() < MOST {
                break;
            }
            let oldest = *oldest;
            state.order.pop_front();
            state.known.remove(&oldest);
        }
        if let Some(flag) = state.known.get(&key) {
            return Arc::clone(flag);
        }
        let flag = Flag::default();
        state.known.insert(key, Arc::clone(&flag));
        state.order.push_back((now, key));
        flag
    }
}

/// Appends the updates that are not stored yet. The flags are locked in the order of their keys, so that
/// two publishes of the same updates do not wait for each other.
async fn append(
    updates: Vec<Update>,
    keys: Vec<Option<RepeatKey>>,
    flags: BTreeMap<RepeatKey, Flag>,
    transport: Arc<dyn Transport>,
) -> Result<Vec<String>, AppendError> {
    let mut locked = BTreeMap::new();
    for (key, flag) in flags {
        locked.insert(key, flag.lock_owned().await);
    }
    let mut fresh = Vec::new();
    let mut ids = Vec::with_capacity(updates.len());
    for (update, key) in updates.into_iter().zip(keys) {
        let is_repeated = match key.and_then(|key| locked.get_mut(&key)) {
            // For the rest of these updates, too. It is unset again if they cannot be stored.
            Some(stored) => std::mem::replace(&mut **stored, true),
            None => false,
        };
        match &update.id {
            Some(id) if is_repeated => ids.push(Some(id.clone())),
            _ => {
                ids.push(None);
                fresh.push((key, update));
            }
        }
    }
    let (fresh_keys, fresh): (Vec<_>, Vec<_>) = fresh.into_iter().unzip();
    match transport.append_all(fresh).await {
        Ok(appended) => {
            let mut appended = appended.into_iter().map(|appended| appended.event_id);
            let ids = ids
                .into_iter()
                .filter_map(|id| id.or_else(|| appended.next()));
            Ok(ids.collect())
        }
        Err(error) => {
            for key in fresh_keys.into_iter().flatten() {
                if let Some(stored) = locked.get_mut(&key) {
                    **stored = false;
                }
            }
            Err(error)
        }
    }
}

fn key(parts: [&str; 3]) -> RepeatKey {
    let mut hash = digest::Context::new(&SHA256);
    for part in parts {
        // The length comes first, so that no part runs into the next.
        hash.update(&(part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    let mut key = RepeatKey::default();
    key.copy_from_slice(hash.finish().as_ref());
    key
}
