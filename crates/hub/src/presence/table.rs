//! The subscriptions that are active, as of the newest routed update.

use std::sync::Arc;

use serde_json::Value;
use talaria_protocol::event;
use talaria_transport::Frame;

use super::members::Known;
use super::{Document, Members};

/// Follows the committed subscription events; the router advances it together with what is
/// visible.
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

/// What the subscription events of a group say, in its order. Reading them takes microseconds each,
/// so the router does it before it takes its mutex.
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

/// The topic of a subscription event; `None` for other updates. Only the hub's own mark says what is
/// one: a publisher may find a topic, or an importer bring one, that looks like it.
pub(super) fn event_topic(frame: &Frame) -> Option<&str> {
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

    /// Expects them no more.
    pub(crate) fn withdraw(&mut self, topic: &str) {
        self.known.remove(topic);
    }

    /// Takes a committed group over: what its subscription events say, and its newest update. An event
    /// that is there twice changes nothing the second time.
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

    /// The newest routed update, `None` before the first; and the subscriptions there. It takes as long
    /// for many as for few.
    pub(crate) fn snapshot(&self) -> (Option<Arc<Frame>>, Members) {
        (self.newest.clone(), self.known.clone())
    }
}
