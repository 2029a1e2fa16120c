//! Publishes that a client repeats, because it never saw the answer: stored once.
//!
//! Off by default, since the specification stores an update again whose id was used before.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use aws_lc_rs::digest::{self, SHA256};
use talaria_protocol::Update;
use talaria_transport::{AppendError, Transport};

/// The most publishes that are remembered; the oldest is forgotten first.
const MOST: usize = 100_000;

/// The hash of who published, and under which id: small, however long these are.
type Key = [u8; 32];

/// Set once the update is stored, and locked while it is being stored. A publish whose outcome is
/// unknown leaves it unset, so that its repetition is stored, perhaps a second time: twice is what
/// the publisher asked for, never is not.
type Flag = Arc<tokio::sync::Mutex<bool>>;

/// What was published within the window.
pub(crate) struct Repeats {
    window: Duration,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    known: HashMap<Key, Flag>,
    order: VecDeque<(Instant, Key)>,
}

impl Repeats {
    /// Remembers publishes for so long.
    pub(crate) fn new(window: Duration) -> Self {
        Self {
            window,
            state: Mutex::default(),
        }
    }

    /// Appends the updates with one commit, but for those that repeat a stored one: one with the
    /// same id of the publisher's own by the same publisher (the token's issuer and subject). A
    /// repetition that comes while the first is under way waits for it. Returns all event ids.
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
        let keys: Vec<Option<Key>> = updates.iter().map(key).collect();
        let flags: BTreeMap<Key, Flag> = keys
            .iter()
            .flatten()
            .map(|key| (*key, self.flag(*key, now)))
            .collect();
        let transport = Arc::clone(transport);
        // On a task of its own, so that the outcome is remembered though the publisher hangs up. It
        // ends with the append, which always does.
        let append = tokio::spawn(append(updates, keys, flags, transport));
        append.await.unwrap_or(Err(AppendError::Unknown))
    }

    fn flag(&self, key: Key, now: Instant) -> Flag {
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

/// Appends what is not stored yet. The flags are locked in the order of their keys, so that two
/// publishes of the same updates do not wait for each other.
async fn append(
    updates: Vec<Update>,
    keys: Vec<Option<Key>>,
    flags: BTreeMap<Key, Flag>,
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
            // For the rest of these updates as well; taken back if they cannot be stored.
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

fn key(parts: [&str; 3]) -> Key {
    let mut hash = digest::Context::new(&SHA256);
    for part in parts {
        // The length first, so that no part runs into the next.
        hash.update(&(part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    let mut key = Key::default();
    key.copy_from_slice(hash.finish().as_ref());
    key
}
