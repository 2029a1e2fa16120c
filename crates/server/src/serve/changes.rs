//! Stores changes of revocations that are in force: in tasks of the program, which no client can break off.

use std::sync::Arc;
use std::time::Duration;

use talaria_config::Error;
use talaria_hub::access::Revocation;
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use crate::serve::log::in_one_line;
use crate::serve::revocations::RevocationFile;

/// Changes that may wait until they are stored.
const WAITING: usize = 32;
/// How long a change waits for its room, and for those before it.
const TURN: Duration = Duration::from_secs(10);

/// What becomes different in a file.
#[derive(Clone)]
pub(crate) enum Change {
    /// These tokens are refused.
    Enter(Vec<Revocation>),
    /// They are accepted again.
    Remove(Vec<Revocation>),
}

/// A change of the file of a hub.
pub(crate) struct Unstored {
    /// The name of the hub.
    pub hub: String,
    pub file: RevocationFile,
    pub change: Change,
}

/// The changes that are being stored.
pub(crate) struct Changes {
    room: Arc<Semaphore>,
    /// One after the other, in the order in which they came in force.
    turn: Arc<Mutex<()>>,
    tasks: TaskTracker,
}

/// Room for one more.
pub(crate) struct Room(OwnedSemaphorePermit);

impl Default for Changes {
    fn default() -> Self {
        Self {
            room: Arc::new(Semaphore::new(WAITING)),
            turn: Arc::default(),
            tasks: TaskTracker::new(),
        }
    }
}

impl Changes {
    /// Waits for room. Nothing must come in force without it, because it could not be stored.
    ///
    /// # Errors
    /// Others are not stored in time.
    pub(crate) async fn room(&self) -> Result<Room, Error> {
        match timeout(TURN, Arc::clone(&self.room).acquire_owned()).await {
            Ok(Ok(permit)) => Ok(Room(permit)),
            _ => Err(Error::new(
                "nothing has changed, because earlier revocations are not stored yet",
            )
            .remedy("look at the disk of the hub, and try again")),
        }
    }

    /// Stores each of the changes, whatever becomes of the others and of the caller. Returns what became of each.
    pub(crate) fn store(
        &self,
        room: Room,
        changes: Vec<Unstored>,
    ) -> impl Future<Output = Vec<Result<(), String>>> + use<> {
        let turn = Arc::clone(&self.turn);
        let stored = self.tasks.spawn(async move {
            // The file has a lock, too: a change goes on if one before it hangs.
            let turn = timeout(TURN, turn.lock_owned()).await;
            let mut outcomes = Vec::new();
            for Unstored { hub, file, change } in changes {
                outcomes.push(store(&hub, file, change).await);
            }
            drop((turn, room.0));
            outcomes
        });
        async { stored.await.unwrap_or_default() }
    }

    /// Waits until all are stored, but not for long.
    pub(crate) async fn finish(&self) {
        self.tasks.close();
        _ = timeout(TURN, self.tasks.wait()).await;
    }
}

/// Changes a file on a thread that may block.
async fn store(hub: &str, file: RevocationFile, change: Change) -> Result<(), String> {
    let stored = tokio::task::spawn_blocking(move || match change {
        Change::Enter(entries) => file.enter(&entries),
        Change::Remove(entries) => file.remove(&entries),
    });
    let stored = stored.await.map_err(Error::from_cause).flatten();
    stored.map_err(|error| {
        let error = in_one_line(&error);
        tracing::error!(name: "revocations_not_stored", hub, error, "revocations could not be stored");
        error
    })
}
