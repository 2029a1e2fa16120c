//! Summarizes the segments of earlier runs, once a look-up needs it.
//!
//! Each index is read once, which takes long in a large log. So one pass serves all look-ups that
//! come meanwhile, and readers of pages have their turn after each segment.

use std::sync::Arc;

use tokio::sync::watch;

use super::readers::Readers;
use super::shared::Shared;
use super::unreadable;
use crate::Unavailable;
use crate::sync::Mutex;

/// The pass that is under way, if there is one.
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
    /// Waits for the pass that is under way, or for one that begins now.
    ///
    /// # Errors
    /// When an index cannot be read now.
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

/// Goes through the segments; however that ends, it tells the look-ups that wait.
struct Pass {
    shared: Arc<Shared>,
    summaries: Arc<Summaries>,
    /// The number of the last segment that was dealt with.
    done: u64,
    outcome: Result<(), Unavailable>,
}

impl Pass {
    /// Summarizes the next segment; whether there may be more.
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
