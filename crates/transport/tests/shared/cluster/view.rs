//! What one process of a node has shown: the route of its log.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::Value;
use talaria_protocol::{Update, event};
use talaria_transport::{Frame, Position, Ring, Route};
use tokio::sync::watch;

/// An update that was shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    pub position: Position,
    pub event_id: String,
    pub text: String,
    /// The topic, and whether the subscription is active, if this is a subscription event.
    pub event: Option<(String, bool)>,
}

#[derive(Debug, Default)]
pub struct State {
    pub shown: Vec<Shown>,
    /// The active subscriptions.
    pub table: BTreeSet<String>,
    /// How often the table was replaced.
    pub restores: usize,
}

/// Makes frames visible in a ring, and folds subscription events into a table.
#[derive(Debug)]
pub struct View {
    ring: Arc<Ring>,
    state: Mutex<State>,
    /// The newest position that is visible, and how often something changed.
    pub visible: watch::Sender<(Position, u64)>,
}

fn active(update: &Update) -> Option<bool> {
    let document: Value = serde_json::from_str(&update.data).ok()?;
    document.get("active")?.as_bool()
}

fn shown(frame: &Frame) -> Shown {
    let (update, _) = event::decode_update(&frame.bytes).expect("a frame is an event");
    let is_active = frame.by_hub.then(|| active(&update)).flatten();
    Shown {
        position: frame.position,
        event_id: frame.event_id.to_string(),
        text: update.data,
        event: is_active.map(|active| (frame.topics[0].to_string(), active)),
    }
}

impl View {
    pub fn new(ring: Arc<Ring>, head: Position) -> Self {
        Self {
            ring,
            state: Mutex::default(),
            visible: watch::Sender::new((head, 0)),
        }
    }

    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub fn is_active(&self, topic: &str) -> bool {
        self.lock().table.contains(topic)
    }

    pub fn ring(&self) -> &Ring {
        &self.ring
    }
}

impl Route for View {
    fn route(&self, group: &[Arc<Frame>], acknowledge: &mut dyn FnMut()) {
        self.ring.extend(group);
        let mut state = self.lock();
        for frame in group {
            let shown = shown(frame);
            match &shown.event {
                Some((topic, true)) => drop(state.table.insert(topic.clone())),
                Some((topic, false)) => drop(state.table.remove(topic)),
                None => {}
            }
            state.shown.push(shown);
        }
        drop(state);
        if let Some(last) = group.last() {
            let position = last.position;
            self.visible
                .send_modify(|(visible, count)| (*visible, *count) = (position, *count + 1));
        }
        acknowledge();
    }

    fn restore(&self, begun: &[Update]) {
        let mut state = self.lock();
        state.table = begun
            .iter()
            .map(|update| update.topics[0].clone())
            .collect();
        state.restores += 1;
        drop(state);
        self.visible.send_modify(|(_, count)| *count += 1);
    }
}
