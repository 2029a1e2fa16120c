//! The one task that publishes subscription events: for each subscription its beginning strictly
//! before its end, and each once.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use talaria_transport::{AppendError, Transport};
use tokio::sync::{Notify, oneshot};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

use super::{Document, recovery};
use crate::drain::Drain;
use crate::router::Router;

/// How long until an end that could not be stored is tried again.
pub(super) const AGAIN: Duration = Duration::from_secs(1);

/// What a subscriber's connection holds while it lasts.
pub(crate) struct Announced {
    queue: Arc<Queue>,
    documents: Arc<[Arc<Document>]>,
    drain: Arc<Drain>,
}

impl Drop for Announced {
    fn drop(&mut self) {
        for document in &*self.documents {
            // The share of the drain keeps a stopping hub waiting for the event.
            let (document, drain) = (Arc::clone(document), Arc::clone(&self.drain));
            self.queue.push(Job::End(document, drain));
        }
    }
}

enum Job {
    Begin(Arc<[Arc<Document>]>, oneshot::Sender<()>),
    End(Arc<Document>, Arc<Drain>),
}

/// What is to be published. It holds at most one beginning for each request under way and one end
/// for each subscription, so it needs no bound of its own.
#[derive(Default)]
struct Queue {
    jobs: Mutex<Vec<Job>>,
    bell: Notify,
}

impl Queue {
    fn push(&self, job: Job) {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        jobs.push(job);
        drop(jobs);
        self.bell.notify_one();
    }

    fn take(&self) -> Vec<Job> {
        std::mem::take(&mut self.jobs.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Owns the task.
pub(crate) struct Reconciler {
    queue: Arc<Queue>,
    transport: Arc<dyn Transport>,
    router: Arc<Router>,
    task: OnceLock<JoinHandle<()>>,
}

impl Drop for Reconciler {
    fn drop(&mut self) {
        if let Some(task) = self.task.get() {
            task.abort();
        }
    }
}

impl Reconciler {
    /// A reconciler whose task starts now, or with the first subscription if there is no runtime
    /// yet.
    pub(crate) fn new(transport: Arc<dyn Transport>, router: Arc<Router>) -> Self {
        let reconciler = Self {
            queue: Arc::default(),
            transport,
            router,
            task: OnceLock::new(),
        };
        if tokio::runtime::Handle::try_current().is_ok() {
            reconciler.start();
        }
        reconciler
    }

    fn start(&self) {
        self.task.get_or_init(|| {
            let (queue, transport) = (Arc::clone(&self.queue), Arc::clone(&self.transport));
            let router = Arc::clone(&self.router);
            // Read before anything of this process is published.
            let head = transport.bounds().head;
            tokio::spawn(async move {
                tokio::join!(
                    recovery::end_what_a_crash_left(&*transport, head),
                    reconcile(&queue, &transport, &router),
                );
            })
        });
    }

    /// Publishes that these subscriptions began; returns when that is committed, or could not be.
    /// Whatever happens to the caller, their end follows when what it holds is dropped.
    pub(crate) async fn begin(&self, documents: Vec<Document>, drain: Arc<Drain>) -> Announced {
        self.start();
        let documents: Arc<[_]> = documents.into_iter().map(Arc::new).collect();
        let announced = Announced {
            queue: Arc::clone(&self.queue),
            documents: Arc::clone(&documents),
            drain,
        };
        let (committed, wait) = oneshot::channel();
        self.queue.push(Job::Begin(documents, committed));
        // It is gone only with the hub.
        _ = wait.await;
        announced
    }
}

type End = (Arc<Document>, Arc<Drain>);

async fn reconcile(queue: &Queue, transport: &Arc<dyn Transport>, router: &Arc<Router>) {
    let mut unsent: Vec<End> = Vec::new();
    loop {
        let rung = queue.bell.notified();
        let jobs = queue.take();
        if jobs.is_empty() && unsent.is_empty() {
            rung.await;
            continue;
        }
        if jobs.is_empty() {
            // Whichever comes first, what is unsent is tried again.
            _ = timeout(AGAIN, rung).await;
        }
        let mut ends = std::mem::take(&mut unsent);
        let mut begins = JoinSet::new();
        let mut waiting = Vec::new();
        for job in jobs {
            match job {
                Job::Begin(documents, committed) => {
                    for document in &*documents {
                        router.announce(Arc::clone(document));
                        let (transport, router) = (Arc::clone(transport), Arc::clone(router));
                        begins.spawn(begin(transport, router, Arc::clone(document)));
                    }
                    waiting.push(committed);
                }
                Job::End(document, drain) => ends.push((document, drain)),
            }
        }
        all(begins).await;
        for committed in waiting {
            // The subscriber may have hung up; its end is in the queue then.
            _ = committed.send(());
        }
        let mut ending = JoinSet::new();
        for (document, drain) in ends {
            if document.is_begun() {
                ending.spawn(end(Arc::clone(transport), document, drain));
            }
        }
        unsent.extend(all(ending).await.into_iter().flatten());
    }
}

/// What all tasks return. One that panicked has been reported as every panic is, and takes nobody
/// with it.
async fn all<T: 'static>(mut tasks: JoinSet<T>) -> Vec<T> {
    let mut returned = Vec::with_capacity(tasks.len());
    while let Some(done) = tasks.join_next().await {
        returned.extend(done);
    }
    returned
}

async fn begin(transport: Arc<dyn Transport>, router: Arc<Router>, document: Arc<Document>) {
    match transport.append(document.update(true)).await {
        Ok(_) | Err(AppendError::Unknown) => document.mark_begun(),
        Err(AppendError::Refused(reason)) => {
            router.withdraw(&document.topic);
            tracing::warn!(
                reason,
                "a subscription event could not be stored; its subscriber is served and not announced"
            );
        }
    }
}

/// Gives back what must be tried again.
async fn end(
    transport: Arc<dyn Transport>,
    document: Arc<Document>,
    drain: Arc<Drain>,
) -> Option<End> {
    match transport.append(document.update(false)).await {
        Ok(_) | Err(AppendError::Unknown) => None,
        Err(AppendError::Refused(_)) => Some((document, drain)),
    }
}
