//! Nodes of one log, without subscribers. Each has a thread to itself, with its publishers, as it would be a process, and
//! as redis-benchmark has one for all its connections.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{JoinHandle, spawn};

use talaria_protocol::Update;
use talaria_transport::shared::{Backend, Shared, SharedOptions};
use talaria_transport::{Frame, Ring, Route, Transport as _};
use tokio::runtime::{Builder, Handle};
use tokio::sync::{oneshot, watch};

use super::server::Server;
use crate::clock::now_ns;
use crate::error::Problem;
use crate::histogram::Histogram;

/// The router's part, without subscribers.
pub(crate) struct Arrivals {
    ring: Arc<Ring>,
    groups: AtomicU64,
    count: watch::Sender<u64>,
    /// When each update that is expected was published.
    expected: Mutex<VecDeque<u64>>,
    took: Mutex<Histogram>,
}

impl Arrivals {
    /// Notes that an update is published now.
    pub(crate) fn expect(&self) {
        let mut expected = self.expected.lock().unwrap_or_else(PoisonError::into_inner);
        expected.push_back(now_ns());
    }

    /// How many groups have arrived.
    pub(crate) fn groups(&self) -> u64 {
        self.groups.load(Ordering::Relaxed)
    }

    /// Waits until `count` updates have arrived.
    pub(crate) async fn has(&self, count: u64) {
        // The sender is this one, and stays.
        _ = self
            .count
            .subscribe()
            .wait_for(|known| *known >= count)
            .await;
    }

    /// How long those that were expected took to arrive.
    pub(crate) fn took(&self) -> Histogram {
        self.took
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Route for Arrivals {
    fn route(&self, group: &[Arc<Frame>], acknowledge: &mut dyn FnMut()) {
        self.ring.extend(group);
        self.groups.fetch_add(1, Ordering::Relaxed);
        let now = now_ns();
        let mut expected = self.expected.lock().unwrap_or_else(PoisonError::into_inner);
        let begun: Vec<u64> = group.iter().map_while(|_| expected.pop_front()).collect();
        drop(expected);
        let mut took = self.took.lock().unwrap_or_else(PoisonError::into_inner);
        for begun in begun {
            took.record(now.saturating_sub(begun));
        }
        drop(took);
        acknowledge();
        self.count.send_modify(|count| *count += group.len() as u64);
    }
}

/// Where a node's tasks run, until this is dropped.
struct Thread {
    lives: oneshot::Sender<()>,
    ended: JoinHandle<()>,
}

/// A node of the log.
pub(crate) struct Node<B: Backend> {
    /// The log, as a hub has it.
    pub(crate) log: Arc<Shared<B>>,
    /// What has arrived at this node.
    pub(crate) arrivals: Arc<Arrivals>,
    /// Where its tasks and those of its publishers run.
    pub(crate) runtime: Handle,
    thread: Thread,
}

impl<B: Backend> Node<B> {
    /// Enters the log.
    ///
    /// # Errors
    /// If it cannot be used.
    pub(crate) async fn enter(server: &impl Server<Log = B>) -> Result<Self, Problem> {
        let backend = Arc::new(server.log()?);
        let own = Builder::new_current_thread().enable_all().build();
        let own = own.map_err(Problem::Runtime)?;
        let runtime = own.handle().clone();
        let (lives, ended) = oneshot::channel::<()>();
        // It ends with the node: an error says that the sender is dropped.
        let ended = spawn(move || _ = own.block_on(ended));
        let opened = runtime
            .spawn(async move { Shared::open(backend, SharedOptions::default()).await })
            .await;
        let shared = opened.map_err(|_| Problem::Panicked)?;
        let log = Arc::new(shared.map_err(Problem::log)?);
        let arrivals = Arc::new(Arrivals {
            ring: Arc::clone(log.ring()),
            groups: AtomicU64::new(0),
            count: watch::channel(0).0,
            expected: Mutex::default(),
            took: Mutex::default(),
        });
        log.start(Arc::clone(&arrivals) as _);
        Ok(Self {
            log,
            arrivals,
            runtime,
            thread: Thread { lives, ended },
        })
    }

    /// Enters an empty log with several nodes.
    ///
    /// # Errors
    /// If it cannot be used.
    pub(crate) async fn enter_all(
        server: &impl Server<Log = B>,
        nodes: usize,
    ) -> Result<Vec<Self>, Problem> {
        server.remove().await?;
        let mut all = Vec::new();
        for _ in 0..nodes {
            all.push(Self::enter(server).await?);
        }
        Ok(all)
    }

    /// Leaves the log.
    ///
    /// # Errors
    /// If the server refuses it.
    pub(crate) async fn leave(self) -> Result<(), Problem> {
        let left = self.log.leave().await.map_err(Problem::log);
        drop(self.thread.lives);
        self.thread.ended.join().map_err(|_| Problem::Panicked)?;
        left
    }
}

/// An update with `payload` bytes of data.
pub(crate) fn update(publisher: usize, payload: usize) -> Update {
    Update {
        topics: vec![format!("https://example.com/topics/{publisher}")],
        data: "x".repeat(payload),
        ..Update::default()
    }
}
