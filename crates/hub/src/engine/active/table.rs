//! The active subscriptions, as of the newest routed update.

use std::sync::Arc;

use serde_json::Value;
use talaria_protocol::event;
use talaria_transport::Frame;

use super::document::Document;
use super::members::{Known, Members};

/// The active subscriptions. It follows the committed subscription events: the router advances it
/// together with the newest visible position.
#[derive(Debug, Default)]
pub(crate) struct Table {
    /// What this process has announced and not ended.
    known: Members,
    /// The newest routed update.
    newest: Option<Arc<Frame>>,
}

/// What a subscription event says.
#[derive(Debug)]
pub(crate) struct Change<'a> {
    topic: &'a str,
    active: bool,
}

/// What the subscription events of a group say, in the order of the group. Each takes microseconds to
/// read, so the router reads them before it takes its mutex.
pub(crate) fn changes(group: &[Arc<Frame>]) -> Vec<Change<'_>> {
    group.iter().filter_map(|frame| change(frame)).collect()
}

fn change(frame: &Frame) -> Option<Change<'_>> {
    let topic = event_topic(frame)?;
    let (update, _) = event::decode_update(&frame.bytes)?;
    let document: Value = serde_json::from_str(&update.data).ok()?;
    let active = document.get("active")?.as_bool()?;
    Some(Change { topic, active })
}

/// The topic of a subscription event; `None` for other updates. Only the mark of the hub distinguishes
/// them: a publisher or an importer may bring an update whose topic looks like that of an event.
pub(crate) fn event_topic(frame: &Frame) -> Option<&str> {
    let topic = frame.topics.first()?;
    frame.by_hub.then_some(topic)
}

impl Table {
    /// Expects the events of a subscription.
    pub(crate) fn announce(&mut self, document: Arc<Document>) {
        self.known.insert(Known {
            document,
            is_active: false,
        });
    }

    /// Stops expecting the events of a subscription.
    pub(crate) fn withdraw(&mut self, topic: &str) {
        self.known.remove(topic);
    }

    /// Applies a committed group: the changes that its subscription events say, and its newest update. An
    /// event that the log holds twice changes nothing the second time.
    pub(crate) fn advance(&mut self, changes: &[Change<'_>], newest: &Arc<Frame>) {
        for Change { topic, active } in changes {
            if *active {
                if let Some(known) = self.known.get_mut(topic) {
                    known.is_active = true;
                    known.document.mark_stored(true);
                }
            } else if let Some(known) = self.known.remove(topic) {
                known.document.mark_stored(false);
            }
        }
        self.newest = Some(Arc::clone(newest));
    }

    /// The newest routed update, `None` before the first, and the subscriptions as of that update. It
    /// takes constant time.
    pub(crate) fn snapshot(&self) -> (Option<Arc<Frame>>, Members) {
        (self.newest.clone(), self.known.clone())
    }
}
