//! Clients that send nothing more, but may wait for an answer.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};

/// How long such a client waits for an answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often to check whether it has its answer.
const LOOK: Duration = Duration::from_millis(100);

/// A client that has shut down its side of the connection.
pub(super) struct HalfClosed {
    until: Instant,
    look: Pin<Box<Sleep>>,
}

impl HalfClosed {
    /// Begins to wait.
    pub(super) fn begin() -> Self {
        Self {
            until: Instant::now() + PATIENCE,
            look: Box::pin(sleep(LOOK)),
        }
    }

    /// Ready once the time is up. Until then the task is woken again and again, to check for the answer.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        while self.look.as_mut().poll(context).is_ready() {
            let now = Instant::now();
            if now >= self.until {
                return Poll::Ready(());
            }
            self.look.as_mut().reset(now + LOOK);
        }
        Poll::Pending
    }
}
