//! Publishes that a client repeats, because it never saw the answer: stored once.
//!
//! Off by default, since the specification stores an update again whose id was used before.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use talaria_protocol::Update;
use talaria_transport::{AppendError, Appended, Transport};
use tokio::sync::OnceCell;

/// The most publishes that are remembered; the oldest is forgotten first.
const MOST: usize = 100_000;

/// Who published, and under which id.
type Key = (String, String);

/// The outcome of a publish, once it has one.
type Outcome = Arc<OnceCell<Appended>>;

/// What was published within the window.
pub(crate) struct Repeats {
    window: Duration,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    known: HashMap<Key, (Instant, Outcome)>,
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

    /// Appends the update, or gives the outcome of the publish that this one repeats: one with the
    /// same id of the publisher's own by the same token subject. A repetition that comes while the
    /// first is under way waits for it.
    pub(crate) async fn append(
        &self,
        subject: String,
        update: Update,
        transport: &Arc<dyn Transport>,
        now: Instant,
    ) -> Result<Appended, AppendError> {
        let Some(id) = update.id.clone() else {
            return transport.append(update).await;
        };
        let outcome = self.outcome((subject, id), now);
        let transport = Arc::clone(transport);
        // On a task of its own, so that the outcome is remembered though the publisher hangs up. It
        // ends with the append, which always does.
        let append = tokio::spawn(async move {
            outcome
                .get_or_try_init(|| transport.append(update))
                .await
                .cloned()
        });
        append.await.unwrap_or(Err(AppendError::Unknown))
    }

    fn outcome(&self, key: Key, now: Instant) -> Outcome {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some((since, oldest)) = state.order.front() {
            if now.saturating_duration_since(*since) < self.window && state.order.len() <= MOST {
                break;
            }
            let (since, oldest) = (*since, oldest.clone());
            state.order.pop_front();
            // It may have been published again since.
            if state.known.get(&oldest).is_some_and(|(at, _)| *at == since) {
                state.known.remove(&oldest);
            }
        }
        if let Some((_, outcome)) = state.known.get(&key) {
            return Arc::clone(outcome);
        }
        let outcome = Outcome::default();
        state.known.insert(key.clone(), (now, Arc::clone(&outcome)));
        state.order.push_back((now, key));
        outcome
    }
}
