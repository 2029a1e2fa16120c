//! The processes that share the log.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use talaria_protocol::Update;
use talaria_transport::{
    Admit, AppendError, Appended, Bounds, Health, Lookup, Nodes, Page, Pending, Position,
    ReadError, RepeatKey, Ring, Route, Transport, Unavailable,
};

use super::log::{Cluster, Log, RING_BYTES, Seat, Stored};

const REFUSED: AppendError = AppendError::Refused("the log is away");

/// What becomes of an append of subscription events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Store,
    Refuse,
    /// The outcome is unknown, and the events are stored …
    UnknownStored,
    /// … or not.
    UnknownLost,
    /// It is never answered.
    Stall,
}

type Plan = Box<dyn FnMut(&[Update]) -> Fate + Send>;

/// The transport of one hub.
#[derive(Clone)]
pub(crate) struct Node {
    log: Arc<Log>,
    seat: Arc<Seat>,
    plan: Arc<Mutex<Plan>>,
}

impl Node {
    /// A new node.
    pub(crate) fn enter(cluster: &Cluster) -> Self {
        let log = Arc::clone(&cluster.0);
        let head = cluster.head();
        let seat = Arc::new(Seat {
            member: AtomicU64::new(log.next_member.fetch_add(1, Ordering::Relaxed)),
            is_alive: AtomicBool::new(true),
            ring: Arc::new(Ring::new(RING_BYTES, head)),
            entered_at: head,
            route: OnceLock::new(),
        });
        log.seats.lock().expect("no panic").push(Arc::clone(&seat));
        Self {
            log,
            seat,
            plan: Arc::new(Mutex::new(Box::new(|_| Fate::Store))),
        }
    }

    /// The process dies: it appends and learns nothing from here on, and the others find out.
    pub(crate) fn kill(&self) {
        self.seat.is_alive.store(false, Ordering::SeqCst);
        self.bury();
    }

    /// The others take the process for dead. It comes back as another member.
    pub(crate) fn cut_off(&self) {
        let next = self.log.next_member.fetch_add(1, Ordering::Relaxed);
        let mut beside = self.log.beside();
        // Nothing is stored for the dead member afterwards.
        let dead = self.seat.member.swap(next, Ordering::SeqCst);
        beside.dead.insert(dead);
        drop(beside);
        self.log.happened.send_replace(());
    }

    fn bury(&self) {
        let member = self.seat.member.load(Ordering::SeqCst);
        self.log.beside().dead.insert(member);
        self.log.happened.send_replace(());
    }

    /// Sets the fate of subscription events that this node appends from now on.
    pub(crate) fn plan(&self, plan: impl FnMut(&[Update]) -> Fate + Send + 'static) {
        *self.plan.lock().expect("no panic") = Box::new(plan);
    }

    fn fate(&self, updates: &[Update]) -> Fate {
        let is_event = updates.first().is_some_and(|update| update.by_hub);
        match is_event {
            true => self.plan.lock().expect("no panic")(updates),
            false => Fate::Store,
        }
    }
}

impl Nodes for Node {
    fn orphans(&self) -> Pending<'_, Vec<Update>> {
        /// As many as a server might return at a time.
        const MOST: usize = 500;
        let mut happened = self.log.happened.subscribe();
        Box::pin(async move {
            loop {
                let orphans: Vec<Update> = {
                    let beside = self.log.beside();
                    let all = beside.subscriptions.values();
                    let orphans = all.filter(|(member, _)| beside.dead.contains(member));
                    orphans.map(|(_, begun)| begun.clone()).take(MOST).collect()
                };
                if !orphans.is_empty() {
                    return orphans;
                }
                // Ends with the log.
                happened.changed().await.expect("the log lives");
            }
        })
    }
}

impl Transport for Node {
    fn ring(&self) -> &Arc<Ring> {
        &self.seat.ring
    }

    fn start(&self, route: Arc<dyn Route>) {
        let beside = self.log.beside();
        let seats = self.log.seats.lock().expect("no panic");
        route.restore(&beside.begun());
        let (from, head) = (self.seat.entered_at, self.log.inner.bounds().head);
        let missed = self.log.inner.ring().page(from, head, usize::MAX);
        let missed = missed.expect("the ring holds all");
        if !missed.is_empty() {
            route.route(&missed, &mut || {});
        }
        assert!(self.seat.route.set(route).is_ok(), "a node starts once");
        drop(seats);
    }

    fn append(&self, update: Update) -> Pending<'static, Result<Appended, AppendError>> {
        let appended = self.append_all(vec![update]);
        Box::pin(async move { Ok(appended.await?.remove(0)) })
    }

    fn append_all(&self, updates: Vec<Update>) -> Pending<'static, Stored> {
        let fate = self.fate(&updates);
        let is_refused = *self.log.is_away.borrow() || !self.seat.is_alive();
        let answer = |outcome| Box::pin(std::future::ready(outcome)) as Pending<'static, Stored>;
        match fate {
            Fate::Stall => Box::pin(std::future::pending()),
            _ if is_refused => answer(Err(REFUSED)),
            Fate::Refuse => answer(Err(AppendError::Refused("it was told to"))),
            Fate::Store => self.log.append(updates, &self.seat),
            Fate::UnknownLost => answer(Err(AppendError::Unknown)),
            Fate::UnknownStored => {
                let stored = self.log.append(updates, &self.seat);
                Box::pin(async move {
                    _ = stored.await;
                    Err(AppendError::Unknown)
                })
            }
        }
    }

    fn append_once(
        &self,
        updates: Vec<(Update, Option<RepeatKey>)>,
        _: Duration,
    ) -> Option<Pending<'static, Stored>> {
        let (log, seat) = (Arc::clone(&self.log), Arc::clone(&self.seat));
        let task = tokio::spawn(async move {
            let mut keys = Arc::clone(&log.keys).lock_owned().await;
            let mut places = Vec::new();
            for (update, key) in updates {
                let known = key.and_then(|key| keys.get(&key).cloned());
                let place = match known {
                    Some(known) => known,
                    None => {
                        let mut stored = log.append(vec![update], &seat).await?;
                        stored.remove(0)
                    }
                };
                if let Some(key) = key {
                    keys.insert(key, place.clone());
                }
                places.push(place);
            }
            Ok(places)
        });
        Some(Box::pin(async move {
            task.await.unwrap_or(Err(AppendError::Unknown))
        }))
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
        let mut is_away = self.log.is_away.subscribe();
        Box::pin(async move {
            is_away.wait_for(|away| !away).await.expect("the log lives");
            self.log.inner.read(from, up_to, limit, filter).await
        })
    }

    fn position_of<'a>(&'a self, event_id: &'a str) -> Pending<'a, Result<Lookup, Unavailable>> {
        if *self.log.is_away.borrow() {
            return Box::pin(std::future::ready(Err(Unavailable)));
        }
        self.log.inner.position_of(event_id)
    }

    fn bounds(&self) -> Bounds {
        self.log.inner.bounds()
    }

    fn newest_id(&self) -> Option<String> {
        self.log.inner.newest_id()
    }

    fn health(&self) -> Health {
        match *self.log.is_away.borrow() {
            true => Health::Refusing("the log is away"),
            false => Health::Ready,
        }
    }
}
