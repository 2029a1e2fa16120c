//! Summarizes the segments of earlier runs when the first look-up needs it.
//!
//! A pass reads each index once, which takes long in a large log. So one pass serves all look-ups that
//! come meanwhile, and other readers have a turn after each segment.

use std::sync::Arc;

use tokio::sync::watch;

use super::readers::Readers;
use super::shared::Shared;
use super::unreadable;
use crate::Unavailable;
use crate::sync::Mutex;

/// The pass that is under way, if there is one, and the look-ups that wait for it.
pub(super) struct Summaries {
    under_way: Mutex<bool>,
    ended: watch::Sender<Result<(), Unavailable>>,
}

impl Default for Summaries {
    fn default() -> Self {
        Self {
            under_way: Mutex::new(false),
            ended: watch::Sender::new(Ok(())),
        }
    }
}

impl Summaries {
    /// Waits for the pass that is under way, or starts one and waits for it.
    ///
    /// # Errors
    /// If an index cannot be read now.
    pub(super) async fn complete(
        self: &Arc<Self>,
        shared: &Arc<Shared>,
        readers: &Readers,
    ) -> Result<(), Unavailable> {
        let mut ended = self.join(shared, readers);
        ended.changed().await.map_err(|_| Unavailable)?;
        *ended.borrow()
    }

    fn join(
        self: &Arc<Self>,
        shared: &Arc<Shared>,
        readers: &Readers,
    ) -> watch::Receiver<Result<(), Unavailable>> {
        let mut under_way = self.under_way.lock();
        let ended = self.ended.subscribe();
        if !std::mem::replace(&mut *under_way, true) {
            let mut pass = Pass {
                shared: Arc::clone(shared),
                summaries: Arc::clone(self),
                done: 0,
                outcome: Err(Unavailable),
            };
            drop(under_way);
            readers.repeat(move || pass.go_on());
        }
        ended
    }
}

/// A pass over the segments. Dropping it tells its outcome to the look-ups that wait.
struct Pass {
    shared: Arc<Shared>,
    summaries: Arc<Summaries>,
    /// The number of the last segment that was summarized.
    done: u64,
    outcome: Result<(), Unavailable>,
}

impl Pass {
    /// Summarizes the next segment; returns whether there may be more.
    fn go_on(&mut self) -> bool {
        let floor = self.shared.floor();
        let segments = self.shared.segments();
        let next = segments.partition_point(|segment| segment.number <= self.done);
        let next = segments[next..]
            .iter()
            .find(|segment| segment.last() > floor && !segment.is_summarized());
        let Some(segment) = next else {
            self.outcome = Ok(());
            return false;
        };
        self.done = segment.number;
        match segment.summarize(&self.shared.files) {
            Ok(()) => true,
            Err(error) => unreadable::judge(&self.shared, segment, &error).is_ok(),
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut under_way = self.summaries.under_way.lock();
        *under_way = false;
        _ = self.summaries.ended.send_replace(self.outcome);
    }
}
