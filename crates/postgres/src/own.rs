//! What this node appended, for its tail: read from the server it would be the same.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use talaria_transport::Position;
use talaria_transport::shared::backend::Record;
use tokio::sync::Notify;

/// Batches that are kept. A tail that is further behind reads them from the server.
const MOST: usize = 8;

/// The newest batches, in the order of the log.
#[derive(Default)]
pub(crate) struct Own {
    /// Each with the tag of its log.
    batches: Mutex<VecDeque<(i64, Vec<Record>)>>,
    added: Notify,
}

/// What this node knows of the records after a position.
pub(crate) enum Next {
    /// These are next.
    Known(Vec<Record>),
    /// There are some, and others are next.
    Others,
    Nothing,
}

impl Own {
    /// Keeps the records of a batch that is committed.
    pub(crate) fn add(&self, tag: i64, records: Vec<Record>) {
        let mut batches = self.lock();
        if batches.len() >= MOST {
            batches.pop_front();
        }
        batches.push_back((tag, records));
        drop(batches);
        self.added.notify_one();
    }

    /// Waits until there is another batch.
    pub(crate) async fn added(&self) {
        self.added.notified().await;
    }

    /// Takes what follows a position in a log. Positions of a run are dense, so nothing can come to be in between.
    pub(crate) fn take_after(&self, tag: i64, after: Position) -> Next {
        let mut batches = self.lock();
        while let Some((of, records)) = batches.pop_front() {
            let first = records.first().map(|record| record.position);
            let Some(first) = first.filter(|first| of == tag && *first > after) else {
                continue;
            };
            if first == after.next() {
                return Next::Known(records);
            }
            batches.push_front((of, records));
            return Next::Others;
        }
        Next::Nothing
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<(i64, Vec<Record>)>> {
        self.batches.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
