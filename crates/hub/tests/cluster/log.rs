//! A log in memory that several hubs of this process share, as processes share a server. It keeps open subscriptions
//! beside the log and remembers keys, and its nodes can die, be taken for dead, or find it away.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use serde_json::Value;
use talaria_protocol::Update;
use talaria_transport::{
    AppendError, Appended, Frame, Memory, MemoryOptions, Pending, Position, RepeatKey, Ring, Route,
    Transport as _,
};
use tokio::sync::watch;

pub(crate) const RING_BYTES: usize = 32 << 20;

/// The log.
#[derive(Clone)]
pub(crate) struct Cluster(pub(crate) Arc<Log>);

pub(crate) struct Log {
    pub(crate) inner: Memory,
    /// Locked while updates are put in order, and while a node enters.
    pub(crate) beside: Mutex<Beside>,
    /// The keys of stored updates. Locked while updates with keys are stored.
    pub(crate) keys: Arc<tokio::sync::Mutex<HashMap<RepeatKey, Appended>>>,
    pub(crate) seats: Arc<Mutex<Vec<Arc<Seat>>>>,
    pub(crate) next_member: AtomicU64,
    pub(crate) is_away: watch::Sender<bool>,
    /// Changes whenever something happens.
    pub(crate) happened: watch::Sender<()>,
}

/// What is kept beside the log.
#[derive(Default)]
pub(crate) struct Beside {
    /// By topic, the member that announced a subscription, and the event that began it.
    pub(crate) subscriptions: BTreeMap<String, (u64, Update)>,
    /// The members that are dead, or taken for dead.
    pub(crate) dead: BTreeSet<u64>,
}

/// A node's place at the log.
pub(crate) struct Seat {
    pub(crate) member: AtomicU64,
    pub(crate) is_alive: AtomicBool,
    pub(crate) ring: Arc<Ring>,
    /// The newest position when it entered.
    pub(crate) entered_at: Position,
    pub(crate) route: OnceLock<Arc<dyn Route>>,
}

/// Routes committed groups to all nodes.
struct Everywhere {
    ring: Arc<Ring>,
    seats: Arc<Mutex<Vec<Arc<Seat>>>>,
    happened: watch::Sender<()>,
}

impl Route for Everywhere {
    fn route(&self, group: &[Arc<Frame>], acknowledge: &mut dyn FnMut()) {
        self.ring.extend(group);
        for seat in &*self.seats.lock().expect("no panic") {
            if let (Some(route), true) = (seat.route.get(), seat.is_alive()) {
                route.route(group, &mut || {});
            }
        }
        acknowledge();
        self.happened.send_replace(());
    }
}

impl Seat {
    pub(crate) fn is_alive(&self) -> bool {
        self.is_alive.load(Ordering::SeqCst)
    }
}

impl Cluster {
    pub(crate) fn new() -> Self {
        let mut options = MemoryOptions::default();
        options.max_bytes = RING_BYTES;
        let inner = Memory::open(options).expect("threads and randomness");
        let (happened, seats) = (watch::Sender::new(()), Arc::default());
        inner.start(Arc::new(Everywhere {
            ring: Arc::clone(inner.ring()),
            seats: Arc::clone(&seats),
            happened: happened.clone(),
        }));
        Self(Arc::new(Log {
            inner,
            beside: Mutex::default(),
            keys: Arc::default(),
            seats,
            next_member: AtomicU64::new(1),
            is_away: watch::Sender::new(false),
            happened,
        }))
    }

    /// The server goes away, or comes back.
    pub(crate) fn be_away(&self, is_away: bool) {
        self.0.is_away.send_replace(is_away);
        self.0.happened.send_replace(());
    }

    pub(crate) fn happened(&self) -> watch::Receiver<()> {
        self.0.happened.subscribe()
    }

    pub(crate) fn ring(&self) -> &Ring {
        self.0.inner.ring()
    }

    pub(crate) fn head(&self) -> Position {
        self.0.inner.bounds().head
    }

    /// The log loses the subscriptions that `is_lost` names by their documents, as a failover to an older copy does,
    /// and all nodes learn what is left.
    pub(crate) fn lose(&self, is_lost: impl Fn(&Value) -> bool) {
        let mut beside = self.0.beside();
        beside.subscriptions.retain(|_, (_, begun)| {
            let document = serde_json::from_str(&begun.data).expect("JSON");
            !is_lost(&document)
        });
        let begun = beside.begun();
        for seat in &*self.0.seats.lock().expect("no panic") {
            if let (Some(route), true) = (seat.route.get(), seat.is_alive()) {
                route.restore(&begun);
            }
        }
    }
}

impl Beside {
    /// The events that began the open subscriptions.
    pub(crate) fn begun(&self) -> Vec<Update> {
        let begun = self.subscriptions.values();
        begun.map(|(_, begun)| begun.clone()).collect()
    }

    /// Whether an update is stored: always, except the beginning of a subscription that is kept, and the end of one
    /// that is not kept under this member or a dead one.
    fn admits(&mut self, update: &Update, member: u64) -> bool {
        if !update.by_hub {
            return true;
        }
        let topic = &update.topics[0];
        if is_beginning(update) {
            let begun = (member, update.clone());
            let before = self.subscriptions.insert(topic.clone(), begun);
            return before.is_none_or(|(owner, _)| owner != member);
        }
        let owner = self.subscriptions.get(topic).map(|(owner, _)| *owner);
        let may_end = owner.is_some_and(|owner| owner == member || self.dead.contains(&owner));
        may_end && self.subscriptions.remove(topic).is_some()
    }
}

fn is_beginning(update: &Update) -> bool {
    let document: Value = serde_json::from_str(&update.data).expect("JSON");
    document["active"].as_bool().expect("a boolean")
}

impl Log {
    pub(crate) fn beside(&self) -> MutexGuard<'_, Beside> {
        self.beside.lock().expect("no panic")
    }

    /// Appends those updates of a node that are to be stored.
    pub(crate) fn append(&self, updates: Vec<Update>, seat: &Seat) -> Pending<'static, Stored> {
        let mut beside = self.beside();
        let member = seat.member.load(Ordering::SeqCst);
        let admitted: Vec<bool> = updates
            .iter()
            .map(|update| beside.admits(update, member))
            .collect();
        let stored = updates.into_iter().zip(&admitted);
        let stored = stored.filter_map(|(update, admitted)| admitted.then_some(update));
        // The order of the log is decided in the call, while the lock is held.
        let stored = self.inner.append_all(stored.collect());
        drop(beside);
        Box::pin(async move {
            let mut stored = stored.await?.into_iter();
            let ended_before = || Appended {
                position: Position::ORIGIN,
                event_id: String::new(),
            };
            let place = |admitted| match admitted {
                true => stored.next().expect("one for each"),
                false => ended_before(),
            };
            Ok(admitted.into_iter().map(place).collect())
        })
    }
}

pub(crate) type Stored = Result<Vec<Appended>, AppendError>;
