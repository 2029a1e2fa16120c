//! How connections learn that the program stops, and how the program learns that they have finished.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How often to look whether a request has begun.
const LOOK: Duration = Duration::from_millis(50);
/// How often none must have been found. Meanwhile the last answers leave, and HTTP/2 clients read that the
/// connection ends.
const LOOKS: usize = 6;

/// What the connections of all listeners share. Cloning shares it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shutdown {
    /// Cancelled when the program stops listening.
    pub stopping: CancellationToken,
    /// Holds a token for each request that is under way, and for each open stream.
    pub requests: TaskTracker,
}

impl Shutdown {
    /// Ends when no request is under way, no stream is open, and the last answers had time to leave.
    pub(crate) async fn idle(&self) {
        self.requests.close();
        let mut looks = 0;
        while looks < LOOKS {
            self.requests.wait().await;
            tokio::time::sleep(LOOK).await;
            looks = if self.requests.is_empty() {
                looks + 1
            } else {
                0
            };
        }
    }
}
