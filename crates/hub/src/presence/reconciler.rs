//! The reconciler: the one task that publishes subscription events. For each subscription it stores the
//! beginning strictly before the end, and each once.
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

use talaria_transport::{AppendError, Appended, Health, Position, Transport};
use tokio::sync::{Notify, mpsc};
use tokio::task::coop::consume_budget;
use tokio::task::{Id, JoinHandle, JoinSet};
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;

use super::agenda::{Agenda, Due, Entered};
use super::options::PresenceOptions;
use super::orphans;
use super::pause::Pause;
use super::recovery;
use super::visit::{Visit, Visitor};
use crate::access::Access;
use crate::engine::active::{Document, Elsewhere, Serial};
use crate::engine::drain::UnderWay;
use crate::engine::router::Router;
use crate::limits::ClientAddress;

/// The longest time that the head of a stream waits for its beginning to be stored.
const HEAD_WAIT: Duration = Duration::from_secs(2);

/// The announced subscriptions of a subscriber. Their ends are published when this is dropped.
pub(crate) struct Announced {
    shared: Arc<Shared>,
    entered: Entered,
    drain: UnderWay,
}

impl Drop for Announced {
    fn drop(&mut self) {
        let forgotten = self.shared.agenda().unsubscribe(&self.entered, &self.drain);
        for document in forgotten {
            self.shared.router.withdraw(&document.topic);
        }
        self.shared.bell.notify_one();
    }
}

/// What subscribers and the task share.
struct Shared {
    agenda: Mutex<Agenda>,
    /// Rung when something is put on the agenda.
    bell: Notify,
    /// Whether the newest outcome says that the log stores nothing at the moment.
    is_away: AtomicBool,
    /// Whether a client that announces too fast was logged.
    is_told: AtomicBool,
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
    /// The id of the newest update when it was made, which counts while nothing was routed to this process.
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
    /// A reconciler whose task starts now, or with the first subscription if there is no runtime yet, and
    /// which announces this many bytes in a second for each client; 0 for no bound. Expects that this process
    /// has announced nothing yet.
    pub(crate) fn new(
        bytes_per_second: u64,
        transport: Arc<dyn Transport>,
        router: Arc<Router>,
    ) -> Self {
        let reconciler = Self {
            shared: Arc::new(Shared {
                agenda: Mutex::new(Agenda::new(bytes_per_second, transport.nodes().is_some())),
                bell: Notify::new(),
                is_away: AtomicBool::new(false),
                is_told: AtomicBool::new(false),
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
                    end_what_others_left(&*transport, head),
                    reconcile(&shared, &transport),
                );
            })
        });
    }

    /// The id at which the list of active subscriptions stands before anything is routed. An id that is
    /// asked for later could be newer than the list.
    pub(crate) fn newest_at_start(&self) -> Option<&str> {
        self.newest_at_start.as_deref()
    }

    /// Announces this many bytes in a second for each client from now on; 0 for no bound.
    pub(crate) fn set_rate(&self, bytes_per_second: u64) {
        let is_new = self
            .shared
            .agenda()
            .set_rate(bytes_per_second, Instant::now());
        if is_new {
            self.shared.bell.notify_one();
        }
    }

    /// A visit without subscriptions, for [`Self::begin`]; `None` if such visitors are not announced.
    pub(crate) fn visit(
        options: &PresenceOptions,
        access: Option<&Access>,
        address: Option<ClientAddress>,
        subscriber: Uuid,
        answers_older: bool,
    ) -> Option<Visit> {
        if access.is_none() && options.token_holders_only {
            return None;
        }
        let visitor = Visitor::of(access, address);
        let most_bytes = options.bytes_per_request;
        Some(Visit::new(visitor, most_bytes, subscriber, answers_older))
    }

    /// Publishes that these subscriptions began. Returns when that is stored, and at the latest after
    /// [`HEAD_WAIT`]. While the log stores nothing or says so, or if the client announces too fast, it returns at once
    /// and the events follow. The ends are published when the returned value is dropped.
    pub(crate) async fn begin(&self, visit: Visit, drain: UnderWay) -> Announced {
        self.start();
        let (waiting, mut tried) = mpsc::channel(1);
        let (entered, bytes_per_second) = {
            let mut agenda = self.shared.agenda();
            let entered = agenda.subscribe(&visit, &waiting, Instant::now());
            (entered, agenda.bytes_per_second())
        };
        drop(waiting);
        if entered.is_held_back && !self.shared.is_told.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                name: "presence_rate_limited",
                bytes_per_second,
                "subscription announcements of a client are rate-limited by `subscription_events_per_second` (logged once)"
            );
        }
        let announced = Announced {
            shared: Arc::clone(&self.shared),
            entered,
            drain,
        };
        self.shared.bell.notify_one();
        if !self.shared.is_away.load(Ordering::Relaxed)
            && self.transport.health() == Health::Ready
            && timeout(HEAD_WAIT, tried.recv()).await.is_err()
        {
            self.shared.is_away.store(true, Ordering::Relaxed);
        }
        announced
    }
}

/// The outcome of an append, with the task that awaited it.
type Finished = (Id, Result<Appended, AppendError>);

/// Ends the subscriptions of other processes that have died: those that were there before this one, up to `head`, or
/// those that append to the log at the same time.
async fn end_what_others_left(transport: &dyn Transport, head: Position) {
    match transport.nodes() {
        None => recovery::end_what_a_crash_left(transport, head).await,
        Some(nodes) => orphans::end_orphans(nodes, transport).await,
    }
}

/// Waits until others have ended open subscriptions, and takes these; for ever on a log of one process.
async fn ended_elsewhere(elsewhere: Option<&Elsewhere>) -> Vec<(Serial, Arc<Document>)> {
    match elsewhere {
        Some(elsewhere) => elsewhere.ended().await,
        None => std::future::pending().await,
    }
}

async fn reconcile(shared: &Shared, transport: &Arc<dyn Transport>) {
    let elsewhere = shared.router.elsewhere();
    let mut appends = JoinSet::new();
    let mut serials: HashMap<Id, Serial> = HashMap::new();
    let mut pause = Pause::default();
    loop {
        let mut due_in = None;
        if pause.is_over() {
            // While the log stores nothing, one append tells whether it does again.
            let at_most = match transport.health() {
                Health::Ready => usize::MAX,
                Health::Refusing(_) => 1,
            };
            append_due(shared, transport, &mut appends, &mut serials, at_most).await;
            due_in = shared.agenda().due_in(Instant::now());
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
            ended = ended_elsewhere(elsewhere.as_deref()) => {
                let mut agenda = shared.agenda();
                for (serial, document) in ended {
                    agenda.ended_elsewhere(serial, document);
                }
            }
            () = pause.elapse() => {}
            () = sleep(due_in.unwrap_or(Duration::MAX)), if due_in.is_some() => {}
        }
    }
}

/// Appends what is due, in the order of the agenda, until `at_most` appends are in flight. An append that panics has been reported as every
/// panic is; whether its event was stored is unknown.
async fn append_due(
    shared: &Shared,
    transport: &Arc<dyn Transport>,
    appends: &mut JoinSet<Result<Appended, AppendError>>,
    serials: &mut HashMap<Id, Serial>,
    at_most: usize,
) {
    while appends.len() < at_most {
        // A log in memory commits within `append`, so other tasks get their turn here.
        consume_budget().await;
        // A separate statement, so that the lock is released.
        let due = shared.agenda().next(Instant::now());
        match due {
            None => return,
            Some(Due::Forget(document)) => shared.router.withdraw(&document.topic),
            Some(Due::Append {
                serial,
                document,
                active,
            }) => {
                if active {
                    shared.router.announce(serial, Arc::clone(&document));
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
    // This comes before a head is released, so that the next one sees it.
    shared.is_away.store(outcome.is_err(), Ordering::Relaxed);
    pause.note(outcome, "subscription events");
    let forgotten = shared.agenda().finish(serial, outcome);
    if let Some(document) = forgotten {
        shared.router.withdraw(&document.topic);
    }
}
