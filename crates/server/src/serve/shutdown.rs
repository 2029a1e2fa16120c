//! How connections learn that the program stops, and how the program learns that they have finished.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long the last answers may take to leave, once no request is under way.
const LAST_ANSWERS: Duration = Duration::from_millis(300);

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
        loop {
            self.requests.wait().await;
            tokio::time::sleep(LAST_ANSWERS).await;
            // HTTP/2 clients may begin a request until they have read that the connection ends.
            if self.requests.is_empty() {
                return;
            }
        }
    }
}
