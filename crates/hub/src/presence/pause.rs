//! Pauses between attempts to append what the log did not store.

use std::time::Duration;

use talaria_transport::AppendError;
use tokio::time::{Instant, sleep_until};

/// The pause after the first refusal; each further one is twice as long.
const SHORTEST: Duration = Duration::from_millis(100);
/// The longest pause.
const LONGEST: Duration = Duration::from_secs(2);
/// How long an update of unknown outcome may take to appear in the log.
pub(super) const SETTLING: Duration = Duration::from_secs(2);

/// A pause between appends, which grows while the log stores nothing.
#[derive(Debug, Default)]
pub(super) struct Pause {
    until: Option<Instant>,
    length: Duration,
    is_told: bool,
}

impl Pause {
    /// Notes the outcome of an append of `what`. Logs the first failure and the recovery.
    pub(super) fn note<T>(&mut self, outcome: &Result<T, AppendError>, what: &'static str) {
        let Err(error) = outcome else {
            if std::mem::take(&mut self.is_told) {
                tracing::info!(name: "presence_stored_again", "{what} are stored again");
            }
            self.length = Duration::ZERO;
            return;
        };
        if !std::mem::replace(&mut self.is_told, true) {
            tracing::warn!(name: "presence_not_stored", %error, "{what} cannot be stored; the hub tries again until it can");
        }
        // Appends that were in flight together fail together, and count once.
        if self.until.is_none() {
            self.length = (self.length * 2).clamp(SHORTEST, LONGEST);
        }
        let least = match error {
            AppendError::Unknown => SETTLING,
            AppendError::Refused(_) => Duration::ZERO,
        };
        let until = Instant::now() + self.length.max(least);
        self.until = self.until.max(Some(until));
    }

    /// Whether the pause is over, so that appending may go on.
    pub(super) fn is_over(&mut self) -> bool {
        if self.until.is_some_and(|until| until <= Instant::now()) {
            self.until = None;
        }
        self.until.is_none()
    }

    /// Waits for the end of the pause, or for ever if there is no pause.
    pub(super) async fn elapse(&self) {
        match self.until {
            Some(until) => sleep_until(until).await,
            None => std::future::pending().await,
        }
    }
}
