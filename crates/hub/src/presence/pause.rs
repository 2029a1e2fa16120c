//! When to append again what the log did not store.

use std::time::Duration;

use talaria_transport::AppendError;
use tokio::time::{Instant, sleep_until};

/// The pause after the first refusal; each further one is twice as long.
const SHORTEST: Duration = Duration::from_millis(100);
/// The longest pause.
const LONGEST: Duration = Duration::from_secs(2);
/// After an unknown outcome, how long an update may take to show in the log.
pub(super) const SETTLING: Duration = Duration::from_secs(2);

/// A pause between appends, which grows while the log stores nothing.
#[derive(Debug, Default)]
pub(super) struct Pause {
    until: Option<Instant>,
    length: Duration,
    is_told: bool,
}

impl Pause {
    /// Takes over how an append went. Logs the first failure and the recovery; `what` was appended.
    pub(super) fn note<T>(&mut self, outcome: &Result<T, AppendError>, what: &'static str) {
        let Err(error) = outcome else {
            if std::mem::take(&mut self.is_told) {
                tracing::info!("{what} are stored again");
            }
            self.length = Duration::ZERO;
            return;
        };
        if !std::mem::replace(&mut self.is_told, true) {
            tracing::warn!(%error, "{what} cannot be stored; the hub tries again until it can");
        }
        // What was in flight together fails together and counts once.
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

    /// Whether appending may go on.
    pub(super) fn is_over(&mut self) -> bool {
        if self.until.is_some_and(|until| until <= Instant::now()) {
            self.until = None;
        }
        self.until.is_none()
    }

    /// Waits for the end of the pause; for ever if there is none.
    pub(super) async fn elapse(&self) {
        match self.until {
            Some(until) => sleep_until(until).await,
            None => std::future::pending().await,
        }
    }
}
