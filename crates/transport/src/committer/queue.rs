//! The updates that wait for their group, within bounds.

use std::collections::VecDeque;

use talaria_protocol::Update;
use tokio::sync::oneshot;

use crate::{AppendError, Appended};

/// Updates that may wait for their group; beyond it publishers are refused.
const MAX_WAITING: usize = 65_536;
/// The bytes of the same.
const MAX_WAITING_BYTES: usize = 64 << 20;
#[derive(Default)]
pub(super) struct Queue {
    pub(super) waiting: VecDeque<Waiting>,
    pub(super) bytes: usize,
    pub(super) committer: Role,
    /// Why no update is taken any more.
    pub(super) closed: Option<&'static str>,
}

impl Queue {
    /// Refuses so many updates of so many bytes, if they find no room.
    pub(super) fn refuse_more_than(&self, count: usize, bytes: usize) -> Result<(), AppendError> {
        if let Some(reason) = self.closed {
            return Err(AppendError::Refused(reason));
        }
        // Nothing is too large for an empty queue: it would be refused for ever.
        let is_full = !self.waiting.is_empty()
            && (self.waiting.len() + count > MAX_WAITING || self.bytes + bytes > MAX_WAITING_BYTES);
        if is_full {
            return Err(AppendError::Refused("too many updates wait to be stored"));
        }
        Ok(())
    }

    pub(super) fn push(
        &mut self,
        mut update: Update,
        goes_with_next: bool,
    ) -> oneshot::Receiver<Answer> {
        let (acknowledge, acknowledged) = oneshot::channel();
        // An event has an id that this log makes, so that it need not be stored to be resumed from.
        update.by_hub &= update.id.is_none();
        self.bytes += size(&update);
        self.waiting.push_back(Waiting {
            update,
            acknowledge,
            goes_with_next,
        });
        acknowledged
    }
}

/// Who commits at the moment.
#[derive(Default, PartialEq, Eq)]
pub(super) enum Role {
    #[default]
    Nobody,
    Publisher,
    Thread,
}

pub(super) type Answer = Result<Appended, AppendError>;

pub(super) struct Waiting {
    pub(super) update: Update,
    pub(super) acknowledge: oneshot::Sender<Answer>,
    /// Whether the next one must be of the same group.
    pub(super) goes_with_next: bool,
}

/// At least what an update occupies while it waits, and at least its frame's weight.
pub(super) fn size(update: &Update) -> usize {
    /// Structures, allocator overhead, an id of the hub's, and the names of single fields.
    const FIXED: usize = 512;
    const TOPIC: usize = 48;
    const DATA_FIELD: usize = "data: \n".len();
    let length = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    let line_ends = update
        .data
        .bytes()
        .filter(|byte| matches!(byte, b'\r' | b'\n'));
    let lines = line_ends.count() + 1;
    let topics: usize = update.topics.iter().map(|topic| topic.len() + TOPIC).sum();
    // A frame has its id beside its bytes.
    FIXED
        + update.data.len()
        + lines * DATA_FIELD
        + 2 * length(&update.id)
        + length(&update.event_type)
        + topics
}

#[cfg(not(talaria_loom))]
#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::option;
    use proptest::prelude::*;

    use super::*;
    use crate::{Frame, Position};

    proptest! {
        /// Groups and the queue are bounded by an estimate made before there are frames.
        #[test]
        fn the_estimate_is_at_least_the_frame(
            topics in vec(".{0,80}", 1..20),
            data in "[a\r\n]{0,300}",
            id in option::of(".{0,300}"),
            event_type in option::of(".{0,300}"),
            retry: Option<u64>,
            private: bool,
        ) {
            let update = Update { topics, data, id, event_type, retry, private, by_hub: false };
            let id = update.id.clone().unwrap_or_else(|| format!("urn:uuid:{}", "0".repeat(36)));
            let estimate = size(&update);
            prop_assert!(Frame::new(Position(1), id, update).weight() <= estimate);
        }
    }
}
