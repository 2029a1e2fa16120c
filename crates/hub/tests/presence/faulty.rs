//! A log that stores, delays, refuses or answers "unknown", as the test says.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock};
use std::time::Duration;

use talaria_protocol::{Update, event};
use talaria_transport::{
    Admit, AppendError, Appended, Bounds, Frame, Lookup, Memory, MemoryOptions, Page, Pending,
    Position, ReadError, Ring, Route, Transport, Unavailable, Verdict,
};
use tokio::sync::watch;

use super::Event;

const NAMESPACE: &str = "/.well-known/mercure/subscriptions";
/// How much later an update is stored whose outcome was unknown.
const LATE: Duration = Duration::from_millis(200);

/// The fate of an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Store,
    Refuse,
    /// The outcome is unknown, and the update …
    UnknownStored,
    UnknownLost,
    UnknownStoredLate,
    /// The log panics instead of answering.
    Panic,
}

type Plan = Box<dyn FnMut(&Event) -> Fate + Send>;

/// A log in memory whose appends of subscription events have fates.
pub(crate) struct Faulty {
    inner: Memory,
    route: Arc<Switch>,
    plan: Mutex<Plan>,
    /// Whether appends go on.
    open: watch::Sender<bool>,
    latency: Mutex<Duration>,
    /// The most appends in flight. More are refused, as a full queue refuses them.
    room: AtomicUsize,
    in_flight: AtomicUsize,
    /// The most appends of subscription events that were in flight.
    pub(crate) most_in_flight: AtomicUsize,
    /// How many appends of subscription events were tried.
    pub(crate) tries: AtomicUsize,
    /// How many reads fail before one succeeds.
    pub(crate) failing_reads: AtomicUsize,
    /// Changes whenever something happens.
    pub(crate) happened: watch::Sender<()>,
}

/// Passes committed groups on to the hub that was started last: a restart of the hub, not of the log.
pub(crate) struct Switch {
    newest: Mutex<Option<Arc<dyn Route>>>,
    /// Whether what is committed waits before it is routed.
    held_back: Mutex<bool>,
    released: Condvar,
    is_started: AtomicBool,
    happened: OnceLock<watch::Sender<()>>,
}

impl Route for Switch {
    fn route(&self, group: &[Arc<Frame>], acknowledge: &mut dyn FnMut()) {
        let held_back = self.held_back.lock().expect("no panic");
        drop(self.released.wait_while(held_back, |held_back| *held_back));
        let route = self.newest.lock().expect("no panic").clone();
        match route {
            Some(route) => route.route(group, acknowledge),
            None => acknowledge(),
        }
        if let Some(happened) = self.happened.get() {
            happened.send_replace(());
        }
    }
}

struct Everything;

impl Admit for Everything {
    fn judge(&self, frame: &Frame) -> Verdict {
        (frame.private && frame.topics[0].starts_with(NAMESPACE)).into()
    }
}

impl Faulty {
    pub(crate) fn new(plan: impl FnMut(&Event) -> Fate + Send + 'static) -> Arc<Self> {
        let mut options = MemoryOptions::default();
        // Reserved, not used: a full run stores 200,000 events.
        options.max_bytes = 1 << 30;
        options.events.bytes = 1 << 30;
        options.events.count = usize::MAX;
        let happened = watch::Sender::new(());
        let route = Switch {
            newest: Mutex::default(),
            held_back: Mutex::default(),
            released: Condvar::new(),
            is_started: AtomicBool::new(false),
            happened: OnceLock::from(happened.clone()),
        };
        Arc::new(Self {
            inner: Memory::open(options).expect("threads and randomness"),
            route: Arc::new(route),
            plan: Mutex::new(Box::new(plan)),
            open: watch::Sender::new(true),
            latency: Mutex::default(),
            room: AtomicUsize::new(usize::MAX),
            in_flight: AtomicUsize::new(0),
            most_in_flight: AtomicUsize::new(0),
            tries: AtomicUsize::new(0),
            failing_reads: AtomicUsize::new(0),
            happened,
        })
    }

    /// Sets the fate of appends from now on.
    pub(crate) fn plan(&self, plan: impl FnMut(&Event) -> Fate + Send + 'static) {
        *self.plan.lock().expect("no panic") = Box::new(plan);
    }

    /// Stalls appends, or lets them go on.
    pub(crate) fn stall(&self, stalled: bool) {
        self.open.send_replace(!stalled);
    }

    /// Each append takes a while from now on, and at most `room` are in flight.
    pub(crate) fn slow(&self, latency: Duration, room: usize) {
        *self.latency.lock().expect("no panic") = latency;
        self.room.store(room, Ordering::Relaxed);
    }

    /// Holds back what is committed, so that it is not routed, or lets it go on.
    pub(crate) fn hold_back(&self, held_back: bool) {
        *self.route.held_back.lock().expect("no panic") = held_back;
        self.route.released.notify_all();
    }

    /// The subscription events in the log up to a position, in order.
    pub(crate) async fn events_up_to(&self, up_to: Position) -> Vec<Event> {
        let frames = self.frames_up_to(up_to).await;
        let events = frames.iter().map(|frame| {
            let (update, _) = event::decode_update(&frame.bytes).expect("an update");
            Event::of(&update)
        });
        events.collect()
    }

    /// The bytes that the subscription events take: as they are sent, with their topics and ids.
    pub(crate) async fn bytes(&self) -> usize {
        let frames = self.frames_up_to(self.inner.bounds().head).await;
        let bytes = frames
            .iter()
            .map(|frame| frame.bytes.len() + frame.topics[0].len() + frame.event_id.len());
        bytes.sum()
    }

    async fn frames_up_to(&self, up_to: Position) -> Vec<Arc<Frame>> {
        let mut frames = Vec::new();
        let mut from = Position::ORIGIN;
        while from < up_to {
            let page = self.inner.read(from, up_to, 1 << 20, Arc::new(Everything));
            let page = page.await.expect("everything is kept");
            from = page.looked_up_to;
            frames.extend(page.frames);
        }
        frames
    }

    pub(crate) async fn events(&self) -> Vec<Event> {
        self.events_up_to(self.inner.bounds().head).await
    }

    fn is_event(update: &Update) -> bool {
        update.private && update.topics[0].starts_with(NAMESPACE)
    }
}

/// A handle that is the transport of hubs.
#[derive(Clone)]
pub(crate) struct Log(pub(crate) Arc<Faulty>);

impl Log {
    /// Appends updates that share a fate.
    fn append_with_fate(
        &self,
        updates: Vec<Update>,
    ) -> Pending<'static, Result<Vec<Appended>, AppendError>> {
        let log = Arc::clone(&self.0);
        if !Faulty::is_event(&updates[0]) {
            return log.inner.append_all(updates);
        }
        log.tries.fetch_add(updates.len(), Ordering::Relaxed);
        let event = Event::of(&updates[0]);
        let fate = log.plan.lock().expect("no panic")(&event);
        if fate == Fate::Panic {
            log.happened.send_replace(());
            std::panic::resume_unwind(Box::new("the log panics"));
        }
        let in_flight = log.in_flight.fetch_add(updates.len(), Ordering::SeqCst) + updates.len();
        log.most_in_flight.fetch_max(in_flight, Ordering::SeqCst);
        let has_room = in_flight <= log.room.load(Ordering::Relaxed);
        let mut open = log.open.subscribe();
        let latency = *log.latency.lock().expect("no panic");
        let count = updates.len();
        if fate == Fate::Store && has_room && *open.borrow() && latency.is_zero() {
            // As a real log does: the call itself decides on the order.
            let outcome = log.inner.append_all(updates);
            return Box::pin(async move {
                let outcome = outcome.await;
                log.in_flight.fetch_sub(count, Ordering::SeqCst);
                outcome
            });
        }
        let task = tokio::spawn(async move {
            open.wait_for(|open| *open).await.expect("the log lives");
            if !latency.is_zero() {
                tokio::time::sleep(latency).await;
            }
            let outcome = match fate {
                _ if !has_room => Err(AppendError::Refused("too many updates wait to be stored")),
                Fate::Store => log.inner.append_all(updates).await,
                Fate::Refuse => Err(AppendError::Refused("the disk is full")),
                Fate::UnknownLost | Fate::Panic => Err(AppendError::Unknown),
                Fate::UnknownStored => {
                    _ = log.inner.append_all(updates).await;
                    Err(AppendError::Unknown)
                }
                Fate::UnknownStoredLate => {
                    let log = Arc::clone(&log);
                    tokio::spawn(async move {
                        tokio::time::sleep(LATE).await;
                        log.inner.append_all(updates).await
                    });
                    Err(AppendError::Unknown)
                }
            };
            log.in_flight.fetch_sub(count, Ordering::SeqCst);
            log.happened.send_replace(());
            outcome
        });
        Box::pin(async move { task.await.unwrap_or(Err(AppendError::Unknown)) })
    }
}

impl Transport for Log {
    fn ring(&self) -> &Arc<Ring> {
        self.0.inner.ring()
    }

    fn start(&self, route: Arc<dyn Route>) {
        let switch = &self.0.route;
        *switch.newest.lock().expect("no panic") = Some(route);
        if !switch.is_started.swap(true, Ordering::Relaxed) {
            self.0.inner.start(Arc::clone(switch) as _);
        }
    }

    fn append(&self, update: Update) -> Pending<'static, Result<Appended, AppendError>> {
        let appended = self.append_with_fate(vec![update]);
        Box::pin(async move { Ok(appended.await?.remove(0)) })
    }

    fn append_all(
        &self,
        updates: Vec<Update>,
    ) -> Pending<'static, Result<Vec<Appended>, AppendError>> {
        self.append_with_fate(updates)
    }

    fn read(
        &self,
        from: Position,
        up_to: Position,
        limit: usize,
        filter: Arc<dyn Admit>,
    ) -> Pending<'_, Result<Page, ReadError>> {
        let fail = |left: usize| left.checked_sub(1);
        let failing = &self.0.failing_reads;
        if failing
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, fail)
            .is_ok()
        {
            return Box::pin(async move { Err(ReadError::Passed(from)) });
        }
        self.0.inner.read(from, up_to, limit, filter)
    }

    fn position_of<'a>(&'a self, event_id: &'a str) -> Pending<'a, Result<Lookup, Unavailable>> {
        self.0.inner.position_of(event_id)
    }

    fn bounds(&self) -> Bounds {
        self.0.inner.bounds()
    }

    fn newest_id(&self) -> Option<String> {
        self.0.inner.newest_id()
    }
}
