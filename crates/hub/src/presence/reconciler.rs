//! The one task that publishes subscription events: for each subscription its beginning strictly
//! before its end, and each once.
//!
//! An event is appended until its outcome is known. After a refusal it is not in the log and is
//! appended again. After an unknown outcome it may be in the log: nothing is appended for
//! [`SETTLING`], and then it is appended again only if the router has not routed it meanwhile.

use std::collections::HashMap;
use std::future::ready;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use talaria_transport::{AppendError, Appended, Transport};
use tokio::sync::{Notify, mpsc};
use tokio::task::coop::consume_budget;
use tokio::task::{Id, JoinHandle, JoinSet};
use tokio::time::timeout;

use super::agenda::{Agenda, Due, Serial};
use super::pause::Pause;
use super::{Document, recovery};
use crate::drain::Drain;
use crate::router::Router;

/// The longest time that the head of a stream waits for its beginning to be stored.
const HEAD_WAIT: Duration = Duration::from_secs(2);

/// What a subscriber's connection holds while it lasts.
pub(crate) struct Announced {
    shared: Arc<Shared>,
    /// The serial of the first document; the others follow.
    first: Serial,
    documents: Box<[Arc<Document>]>,
    drain: Arc<Drain>,
}

impl Drop for Announced {
    fn drop(&mut self) {
        let mut agenda = self.shared.agenda();
        let forgotten: Vec<_> = (self.first..)
            .zip(&self.documents)
            .filter(|(serial, document)| !agenda.unsubscribe(*serial, document, &self.drain))
            .collect();
        drop(agenda);
        for (_, document) in forgotten {
            self.shared.router.withdraw(&document.topic);
        }
        self.shared.bell.notify_one();
    }
}

/// What subscribers and the task share.
struct Shared {
    agenda: Mutex<Agenda>,
    /// Rung when something was put on the agenda.
    bell: Notify,
    /// Whether the newest outcome says that the log stores nothing at the moment.
    is_away: AtomicBool,
    router: Arc<Router>,
}

impl Shared {
    fn agenda(&self) -> MutexGuard<'_, Agenda> {
        self.agenda.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Owns the task.
pub(crate) struct Reconciler {
    shared: Arc<Shared>,
    transport: Arc<dyn Transport>,
    /// The id of the newest update before anything was routed to this process.
    newest_at_start: Option<String>,
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
    /// yet. Expects that nothing was routed yet.
    pub(crate) fn new(transport: Arc<dyn Transport>, router: Arc<Router>) -> Self {
        let reconciler = Self {
            shared: Arc::new(Shared {
                agenda: Mutex::default(),
                bell: Notify::new(),
                is_away: AtomicBool::new(false),
                router,
            }),
            newest_at_start: transport.newest_id(),
            transport,
            task: OnceLock::new(),
        };
        if tokio::runtime::Handle::try_current().is_ok() {
            reconciler.start();
        }
        reconciler
    }

    fn start(&self) {
        self.task.get_or_init(|| {
            let (shared, transport) = (Arc::clone(&self.shared), Arc::clone(&self.transport));
            // Read before anything of this process is published.
            let head = transport.bounds().head;
            tokio::spawn(async move {
                tokio::join!(
                    recovery::end_what_a_crash_left(&*transport, head),
                    reconcile(&shared, &transport),
                );
            })
        });
    }

    /// Where a list stands before anything was routed. An id asked for later could be newer than the
    /// list.
    pub(crate) fn newest_at_start(&self) -> Option<&str> {
        self.newest_at_start.as_deref()
    }

    /// Publishes that these subscriptions began. Returns when that is stored, at the latest after
    /// [`HEAD_WAIT`], and at once while the log stores nothing: then the events follow. Whatever
    /// happens to the caller, the end follows when what it holds is dropped.
    pub(crate) async fn begin(&self, documents: Vec<Document>, drain: Arc<Drain>) -> Announced {
        self.start();
        let documents: Box<[_]> = documents.into_iter().map(Arc::new).collect();
        let (waiting, mut tried) = mpsc::channel(1);
        let first = self.shared.agenda().subscribe(&documents, &waiting);
        drop(waiting);
        let announced = Announced {
            shared: Arc::clone(&self.shared),
            first,
            documents,
            drain,
        };
        self.shared.bell.notify_one();
        if !self.shared.is_away.load(Ordering::Relaxed)
            && timeout(HEAD_WAIT, tried.recv()).await.is_err()
        {
            self.shared.is_away.store(true, Ordering::Relaxed);
        }
        announced
    }
}

/// The outcome of an append, with the task that awaited it.
type Finished = (Id, Result<Appended, AppendError>);

async fn reconcile(shared: &Shared, transport: &Arc<dyn Transport>) {
    let mut appends = JoinSet::new();
    let mut serials: HashMap<Id, Serial> = HashMap::new();
    let mut pause = Pause::default();
    loop {
        if pause.is_over() {
            append_due(shared, transport, &mut appends, &mut serials).await;
        }
        tokio::select! {
            Some(finished) = appends.join_next_with_id() => {
                let (task, outcome): Finished = finished
                    .unwrap_or_else(|error| (error.id(), Err(AppendError::Unknown)));
                if let Some(serial) = serials.remove(&task) {
                    finish(shared, serial, &outcome, &mut pause);
                }
            }
            () = shared.bell.notified() => {}
            () = pause.elapse() => {}
        }
    }
}

/// Appends what is due, in the order of the agenda. An append that panics has been reported as every
/// panic is; whether its event was stored is unknown.
async fn append_due(
    shared: &Shared,
    transport: &Arc<dyn Transport>,
    appends: &mut JoinSet<Result<Appended, AppendError>>,
    serials: &mut HashMap<Id, Serial>,
) {
    loop {
        // A log in memory commits within `append`, so others get their turn.
        consume_budget().await;
        // In a statement of its own, so that the agenda is free again.
        let due = shared.agenda().next();
        match due {
            None => return,
            Some(Due::Forget(document)) => shared.router.withdraw(&document.topic),
            Some(Due::Append {
                serial,
                document,
                active,
            }) => {
                if active {
                    shared.router.announce(Arc::clone(&document));
                }
                let append = || transport.append(document.update(active));
                let append = catch_unwind(AssertUnwindSafe(append))
                    .unwrap_or_else(|_| Box::pin(ready(Err(AppendError::Unknown))));
                serials.insert(appends.spawn(append).id(), serial);
            }
        }
    }
}

fn finish(
    shared: &Shared,
    serial: Serial,
    outcome: &Result<Appended, AppendError>,
    pause: &mut Pause,
) {
    // Before a head is released, so that the next one sees it.
    shared.is_away.store(outcome.is_err(), Ordering::Relaxed);
    pause.note(outcome, "subscription events");
    let forgotten = shared.agenda().finish(serial, outcome);
    if let Some(document) = forgotten {
        shared.router.withdraw(&document.topic);
    }
}
