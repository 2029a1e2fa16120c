//! Whether the server of the log can be asked, as the parts of a node find out.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::backend::BackendError;
use crate::Health;

/// Why nothing is stored any more once a task of the node has panicked.
const FAILED: &str = "the log has failed; restart the hub";
const AWAY: &str = "the server of the log does not answer";
const NOT_DURABLE: &str = "too few replicas of the log confirm what is stored";
const LOST: &str = "this node is about to enter the log again";

/// What finds out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Tail,
    /// Beats and appends; a beat tells whether appends would be refused.
    Writes,
}

/// The state of the contact with the server.
#[derive(Debug, Default)]
pub(super) struct Contact(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    reasons: [Option<&'static str>; 2],
    away_since: Option<Instant>,
    failed: bool,
}

impl Contact {
    pub(super) fn health(&self) -> Health {
        let state = self.lock();
        let failed = state.failed.then_some(FAILED);
        let reason = failed.or_else(|| state.reason());
        reason.map_or(Health::Ready, Health::Refusing)
    }

    /// Notes that a call was answered.
    pub(super) fn works(&self, part: Part) {
        let mut state = self.lock();
        state.reasons[part as usize] = None;
        if state.reason().is_none()
            && let Some(since) = state.away_since.take()
        {
            let seconds = since.elapsed().as_secs_f64();
            drop(state);
            tracing::info!(
                name: "log_server_back",
                seconds,
                "the server of the log can be used again"
            );
        }
    }

    /// Notes that a call failed.
    pub(super) fn fails(&self, part: Part, error: &BackendError) {
        let reason = match error {
            BackendError::Refusing(reason) => reason,
            BackendError::NotDurable => NOT_DURABLE,
            BackendError::NoMember | BackendError::NoLog | BackendError::OutOfOrder => LOST,
            BackendError::Away(_) | BackendError::Fatal { .. } => AWAY,
        };
        let mut state = self.lock();
        state.reasons[part as usize] = Some(reason);
        if state.away_since.is_none() {
            state.away_since = Some(Instant::now());
            drop(state);
            tracing::warn!(
                name: "log_server_away",
                %error,
                "the server of the log cannot be used; publishes are refused, and streams stay open"
            );
        }
    }

    /// Nothing is stored any more.
    pub(super) fn fail(&self) {
        self.lock().failed = true;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn reason(&self) -> Option<&'static str> {
        self.reasons.into_iter().flatten().next()
    }
}

/// Pauses between attempts: they grow to a second, and differ between nodes.
#[derive(Debug)]
pub(super) struct Backoff {
    attempt: u32,
    random: u64,
}

impl Backoff {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            attempt: 0,
            random: seed,
        }
    }

    pub(super) fn reset(&mut self) {
        self.attempt = 0;
    }

    pub(super) fn next(&mut self) -> Duration {
        const FIRST: u64 = 20;
        const LONGEST: u64 = 1_000;
        let most = (FIRST << self.attempt.min(10)).min(LONGEST);
        self.attempt += 1;
        // The generator of xorshift; a pause need not be hard to guess.
        self.random = self.random.max(1);
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        Duration::from_millis(most / 2 + self.random % (most / 2))
    }

    pub(super) async fn pause(&mut self) {
        tokio::time::sleep(self.next()).await;
    }
}
