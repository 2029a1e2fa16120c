//! A log that several nodes share: one engine over the servers that can keep one.
//!
//! What a node appends goes to the server, in numbered batches, one at a time (`driver`). What all nodes appended
//! comes back by the tail, which alone makes updates visible and acknowledges them (`tail`). Readers are served from
//! the ring, and behind it from parts of the log that are read once for all of them (`pages`). Each node shows that it
//! lives, and ends the subscriptions of those that do not (`members`). What another log held is taken over without a node
//! (`import`).

pub mod backend;
mod contact;
mod driver;
pub mod flight;
mod identity;
mod import;
mod ledger;
mod measures;
mod members;
mod node;
mod open;
mod options;
pub mod outcomes;
mod pages;
mod passed;
mod read;
#[cfg(feature = "simulation")]
pub mod simulated;
mod tail;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::Value;
use talaria_protocol::Update;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

pub use self::backend::Backend;
use self::backend::{BackendError, Condition, Continue};
pub use self::import::{Import, Imported};
use self::ledger::Note;
use self::node::Node;
pub use self::options::SharedOptions;
use crate::committer::answers;
use crate::measures::Figures;
use crate::{
    Admit, AppendError, Appended, Bounds, Health, Lookup, Nodes, Page, Pending, Position,
    ReadError, RepeatKey, Ring, Route, Transport, Unavailable,
};

/// A node of a log that several processes share.
///
/// Its tasks run on the runtime in which it was opened, and end when it is dropped.
pub struct Shared<B> {
    node: Arc<Node<B>>,
    _tasks: JoinSet<()>,
}

impl<B: Backend> Shared<B> {
    /// Enters the log, and reads its newest part into the ring.
    ///
    /// # Errors
    /// What the server answers, or that it does not: then the caller may try again.
    pub async fn open(backend: Arc<B>, options: SharedOptions) -> Result<Self, BackendError> {
        let node = Arc::new(open::open(backend, options).await?);
        let mut tasks = JoinSet::new();
        let shared = Arc::clone(&node);
        tasks.spawn(async move { tail::follow(&shared).await });
        let shared = Arc::clone(&node);
        tasks.spawn(async move { driver::drive(&shared).await });
        let shared = Arc::clone(&node);
        tasks.spawn(async move { driver::expire(&shared).await });
        let shared = Arc::clone(&node);
        tasks.spawn(async move { members::beat(&shared).await });
        Ok(Self {
            node,
            _tasks: tasks,
        })
    }

    /// Leaves the log, so that the other nodes need not wait until this one counts as dead. The caller stops
    /// appending before.
    ///
    /// # Errors
    /// What the server answers, or that it does not; then the others find out by themselves.
    pub async fn leave(&self) -> Result<(), BackendError> {
        let member = self.node.member().await;
        self.node.has_left.store(true, Ordering::Release);
        self.node.backend.leave(member).await
    }

    /// How many members the log had at this node's last beat, this one included. A node that ended without leaving
    /// counts until the others have buried it.
    pub fn members(&self) -> u64 {
        self.node.measures.members.load(Ordering::Relaxed)
    }

    /// The server's side.
    pub fn backend(&self) -> &Arc<B> {
        &self.node.backend
    }

    fn join(
        &self,
        updates: Vec<(Update, Condition)>,
    ) -> Result<Vec<tokio::sync::oneshot::Receiver<answers::Answer>>, AppendError> {
        if let Health::Refusing(reason) = self.node.contact.health() {
            // Those of the hub are not publishes.
            let publishes = updates.iter().filter(|(update, _)| !update.by_hub);
            self.node.measures.refused.add(publishes.count() as u64);
            return Err(AppendError::Refused(reason));
        }
        let deadline = Instant::now() + self.node.options.publish_timeout;
        let noted = updates.into_iter().map(|(update, condition)| {
            let note = Note {
                condition,
                deadline,
            };
            (update, note)
        });
        let joined = self.node.queue().join_all_noted(noted.collect());
        self.node.queued.notify_one();
        self.node.owing.notify_one();
        joined
    }
}

/// On what condition an update is stored: subscription events carry theirs.
fn condition(update: &Update) -> Condition {
    if !update.by_hub || update.id.is_some() {
        return Condition::Always;
    }
    let document: Option<Value> = serde_json::from_str(&update.data).ok();
    let active = document.and_then(|document| document.get("active")?.as_bool());
    match active {
        Some(true) => Condition::Begins,
        Some(false) => Condition::Ends,
        None => Condition::Always,
    }
}

impl<B> fmt::Debug for Shared<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("options", &self.node.options)
            .finish_non_exhaustive()
    }
}

impl<B: Backend> Transport for Shared<B> {
    fn name(&self) -> &'static str {
        self.node.backend.name()
    }

    fn ring(&self) -> &Arc<Ring> {
        &self.node.ring
    }

    fn start(&self, route: Arc<dyn Route>) {
        // A second route would split the log; the first one stays.
        if self.node.route.set(Arc::clone(&route)).is_ok() {
            route.restore(&self.node.begun.take());
        }
        self.node.started.notify_one();
    }

    fn append(&self, update: Update) -> Pending<'static, Result<Appended, AppendError>> {
        let condition = condition(&update);
        let joined = self.join(vec![(update, condition)]);
        answers::one(joined.and_then(|mut joined| joined.pop().ok_or(AppendError::Unknown)))
    }

    fn append_all(
        &self,
        updates: Vec<Update>,
    ) -> Pending<'static, Result<Vec<Appended>, AppendError>> {
        if updates.is_empty() {
            return answers::all(Ok(Vec::new()));
        }
        let updates = updates.into_iter().map(|update| {
            let condition = condition(&update);
            (update, condition)
        });
        answers::all(self.join(updates.collect()))
    }

    fn append_once(
        &self,
        updates: Vec<(Update, Option<RepeatKey>)>,
        window: Duration,
    ) -> Option<Pending<'static, Result<Vec<Appended>, AppendError>>> {
        if updates.is_empty() {
            return Some(answers::all(Ok(Vec::new())));
        }
        let updates = updates.into_iter().map(|(update, key)| {
            let once = key.map(|key| Condition::Once(key, window));
            let condition = once.unwrap_or_else(|| condition(&update));
            (update, condition)
        });
        Some(answers::all(self.join(updates.collect())))
    }

    fn nodes(&self) -> Option<&dyn Nodes> {
        Some(self)
    }

    fn read(
        &self,
        from: Position,
        up_to: Position,
        limit: usize,
        filter: Arc<dyn Admit>,
    ) -> Pending<'_, Result<Page, ReadError>> {
        Box::pin(async move {
            let page = read::read(&self.node, from, up_to, limit, &*filter).await?;
            // The reader comes back at once for the rest; other tasks of the worker have a turn before.
            tokio::task::yield_now().await;
            Ok(page)
        })
    }

    fn position_of<'a>(&'a self, event_id: &'a str) -> Pending<'a, Result<Lookup, Unavailable>> {
        Box::pin(async move { open::look_up(&self.node, event_id).await })
    }

    fn bounds(&self) -> Bounds {
        let place = self.node.place();
        Bounds {
            floor: place.floor.min(place.head),
            head: place.head,
        }
    }

    fn newest_id(&self) -> Option<String> {
        let place = self.node.place();
        let newest = place.newest.as_ref();
        newest.map(|frame| frame.event_id.to_string())
    }

    fn health(&self) -> Health {
        self.node.contact.health()
    }

    fn figures(&self) -> Figures {
        let (waiting, waiting_bytes) = self.node.queue().waiting();
        Figures {
            waiting: waiting as u64,
            waiting_bytes: waiting_bytes as u64,
            shared: Some(Box::new(
                self.node.measures.read(self.node.options.survives),
            )),
            ..Figures::default()
        }
    }
}

impl<B: Backend> Nodes for Shared<B> {
    fn orphans(&self) -> Pending<'_, Vec<Update>> {
        Box::pin(async move {
            let node = &self.node;
            let mut backoff = node.backoff();
            loop {
                let member = match node.orphans.next() {
                    Ok(member) => member,
                    Err(None) => {
                        node.orphans.changed.notified().await;
                        continue;
                    }
                    Err(Some(due)) => {
                        // Either of the two is as good as the other.
                        _ = timeout(due - Instant::now(), node.orphans.changed.notified()).await;
                        continue;
                    }
                };
                let begun = node
                    .backend
                    .subscriptions(Some(member), &Continue::default())
                    .await;
                match begun {
                    Ok(begun) if begun.begun.is_empty() => node.orphans.remove(member),
                    Ok(begun) => {
                        return begun.begun.into_iter().map(|(_, update)| update).collect();
                    }
                    Err(error) => {
                        tracing::debug!(%error, "the subscriptions of a dead node cannot be read");
                        node.beat_now.notify_one();
                        backoff.pause().await;
                    }
                }
            }
        })
    }
}
