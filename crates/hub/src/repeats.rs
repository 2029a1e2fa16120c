//! Publishes that a client repeats, because it never saw the answer: stored once.
//!
//! Off by default, since the specification stores an update again whose id was used before.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use aws_lc_rs::digest::{self, SHA256};
use talaria_protocol::Update;
use talaria_transport::{AppendError, Transport};
use tokio::sync::OnceCell;

/// The most publishes that are remembered; the oldest is forgotten first.
const MOST: usize = 100_000;

/// The hash of who published, and under which id: small, however long these are.
type Key = [u8; 32];

/// Set once the update is stored. A publish whose outcome is unknown leaves it unset, so that its
/// repetition is stored, perhaps a second time: twice is what the publisher asked for, never is not.
type Stored = Arc<OnceCell<()>>;

/// What was published within the window.
pub(crate) struct Repeats {
    window: Duration,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    known: HashMap<Key, Stored>,
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

    /// Appends the update, unless it repeats a stored one: one with the same id of the publisher's
    /// own by the same publisher (the token's issuer and subject). A repetition that comes while
    /// the first is under way waits for it. Returns the event id.
    pub(crate) async fn append(
        &self,
        publisher: [&str; 2],
        update: Update,
        transport: &Arc<dyn Transport>,
        now: Instant,
    ) -> Result<String, AppendError> {
        let Some(id) = update.id.clone() else {
            let appended = transport.append(update).await?;
            return Ok(appended.event_id);
        };
        let stored = self.stored(key([publisher[0], publisher[1], &id]), now);
        let transport = Arc::clone(transport);
        // On a task of its own, so that the outcome is remembered though the publisher hangs up. It
        // ends with the append, which always does.
        let append = tokio::spawn(async move {
            let append = || async { transport.append(update).await.map(drop) };
            stored.get_or_try_init(append).await.copied()
        });
        append.await.unwrap_or(Err(AppendError::Unknown))?;
        Ok(id)
    }

    fn stored(&self, key: Key, now: Instant) -> Stored {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some((since, oldest)) = state.order.front() {
            if now.saturating_duration_since(*since) < self.window && state.order.len() < MOST {
                break;
            }
            let oldest = *oldest;
            state.order.pop_front();
            state.known.remove(&oldest);
        }
        if let Some(stored) = state.known.get(&key) {
            return Arc::clone(stored);
        }
        let stored = Stored::default();
        state.known.insert(key, Arc::clone(&stored));
        state.order.push_back((now, key));
        stored
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
