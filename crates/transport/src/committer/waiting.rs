//! An update that waits for its group, and what it counts while it waits.

use talaria_protocol::Update;
use tokio::sync::oneshot;

use super::answers::{Answer, Answers};

/// An update that waits for its group.
pub(crate) struct Waiting<N = ()> {
    pub(crate) update: Update,
    /// What the log notes with it.
    pub(crate) note: N,
    pub(crate) acknowledge: oneshot::Sender<Answer>,
    /// Whether the next update must be in the same group.
    pub(super) goes_with_next: bool,
}

/// Separates the updates of a group from the answers to their publishers.
pub(super) fn split(waiting: Vec<Waiting>) -> (Vec<Update>, Answers) {
    let mut updates = Vec::with_capacity(waiting.len());
    let mut answers = Answers::with_room(waiting.len());
    for waiting in waiting {
        updates.push(waiting.update);
        answers.push(waiting.acknowledge);
    }
    (updates, answers)
}

/// At least the bytes that an update occupies while it waits, and at least its frame's weight.
pub(crate) fn size(update: &Update) -> usize {
    /// Structures, allocator overhead, an id of the hub's, and the names of single fields.
    const FIXED: usize = 512;
    const TOPIC: usize = 48;
    const TRACE: usize = 128;
    const DATA_FIELD: usize = "data: \n".len();
    let length = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    let line_ends = update
        .data
        .bytes()
        .filter(|byte| matches!(byte, b'\r' | b'\n'));
    let lines = line_ends.count() + 1;
    let topics: usize = update.topics.iter().map(|topic| topic.len() + TOPIC).sum();
    // A frame holds its id twice: beside its bytes and in them.
    let trace = update
        .trace
        .as_ref()
        .map_or(0, |trace| TRACE + trace.state.len());
    FIXED
        + trace
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
            let update = Update { topics, data, id, event_type, retry, private, by_hub: false, trace: None };
            let id = update.id.clone().unwrap_or_else(|| format!("urn:uuid:{}", "0".repeat(36)));
            let estimate = size(&update);
            prop_assert!(Frame::new(Position(1), id, update).weight() <= estimate);
        }
    }
}
