//! Connections without a place, which get one answer.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::serve::lock::lock;

/// Guests that may wait for room. The same number may be answered and closed meanwhile.
pub(super) const GUESTS: usize = 16;

/// The guests of the program.
pub(super) struct Guests {
    waiting: Mutex<VecDeque<oneshot::Sender<()>>>,
    permits: Arc<Semaphore>,
}

impl Default for Guests {
    fn default() -> Self {
        Self {
            waiting: Mutex::default(),
            permits: Arc::new(Semaphore::new(2 * GUESTS)),
        }
    }
}

impl Guests {
    /// Accepts a guest; `None` if there are too many. If more than [`GUESTS`] wait, the oldest is answered at
    /// once, so that silent peers do not delay a health check.
    pub(super) fn accept(&self) -> Option<Guest> {
        let permit = Arc::clone(&self.permits).try_acquire_owned().ok()?;
        let (keep, displaced) = oneshot::channel();
        let mut waiting = lock(&self.waiting);
        waiting.retain(|guest| !guest.is_closed());
        waiting.push_back(keep);
        if waiting.len() > GUESTS {
            waiting.pop_front();
        }
        Some(Guest {
            _permit: permit,
            displaced,
        })
    }
}

/// A connection without a place.
pub(crate) struct Guest {
    _permit: OwnedSemaphorePermit,
    displaced: oneshot::Receiver<()>,
}

impl Guest {
    /// Waits until a later guest needs the room. Must not be called again after that.
    pub(crate) async fn displaced(&mut self) {
        // Nothing is sent: the sender is dropped.
        _ = (&mut self.displaced).await;
    }
}
