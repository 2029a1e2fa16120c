//! The subscriptions that are active, as of the newest routed update.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use talaria_transport::Frame;

use super::{Document, NAMESPACE};

/// Follows the committed subscription events; the router advances it together with what is
/// visible.
#[derive(Debug, Default)]
pub(crate) struct Table {
    /// Those whose beginning is not committed yet.
    announced: HashMap<String, Arc<Document>>,
    active: BTreeMap<String, Arc<Document>>,
    /// The newest routed update.
    newest: Option<Arc<Frame>>,
}

impl Table {
    /// Expects the event of a subscription that begins.
    pub(crate) fn announce(&mut self, document: Arc<Document>) {
        self.announced.insert(document.topic.clone(), document);
    }

    /// Expects it no more.
    pub(crate) fn withdraw(&mut self, topic: &str) {
        self.announced.remove(topic);
    }

    /// Takes a committed group over, in its order.
    pub(crate) fn advance(&mut self, group: &[Arc<Frame>]) {
        for frame in group {
            let topic = frame.topics.first();
            // Nobody but the hub publishes there.
            if let Some(topic) = topic.filter(|topic| frame.private && topic.starts_with(NAMESPACE))
            {
                self.turn(topic);
            }
        }
        if let Some(last) = group.last() {
            self.newest = Some(Arc::clone(last));
        }
    }

    /// The first event of a topic begins its subscription, the second ends it.
    fn turn(&mut self, topic: &str) {
        match self.announced.remove_entry(topic) {
            Some((topic, document)) => _ = self.active.insert(topic, document),
            None => _ = self.active.remove(topic),
        }
    }

    /// The id of the newest routed update, `None` before the first; and what is active there.
    pub(crate) fn snapshot(&self) -> (Option<String>, Vec<Arc<Document>>) {
        let newest = self.newest.as_ref().map(|frame| frame.event_id.to_string());
        (newest, self.active.values().cloned().collect())
    }
}
