//! What the tasks of a node share.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};

use talaria_protocol::Update;
use tokio::sync::{Mutex as AsyncMutex, Notify, Semaphore};
use tokio::time::Instant;

use super::backend::{Attached, Backend, BackendError, Member};
use super::contact::{Backoff, Contact};
use super::identity::Identity;
use super::ledger::{Ledger, Note};
use super::measures::Measures;
use super::options::SharedOptions;
use super::pages::Pages;
use crate::committer::queue::Queue;
use crate::events::Events;
use crate::{EventBounds, Frame, Position, Ring, Route, RunTag};

/// How many ids are looked up at a time.
const FINDS: usize = 16;

/// The state of a node of a shared log.
pub(super) struct Node<B> {
    pub(super) backend: Arc<B>,
    pub(super) options: SharedOptions,
    pub(super) ring: Arc<Ring>,
    pub(super) route: OnceLock<Arc<dyn Route>>,
    /// Notified when the route is set.
    pub(super) started: Notify,
    queue: Mutex<Queue<Note>>,
    /// Notified when an update joins the queue, and at the end.
    pub(super) queued: Notify,
    pub(super) ledger: Ledger,
    /// Notified when a publisher begins to wait for an answer.
    pub(super) owing: Notify,
    pub(super) contact: Contact,
    identity: RwLock<Identity>,
    member: AsyncMutex<Member>,
    /// Notified when a beat is due at once.
    pub(super) beat_now: Notify,
    /// Whether the log was replaced, so that what is known of subscriptions is to be read anew.
    pub(super) must_restore: AtomicBool,
    /// Whether any subscription was open when that was read last.
    pub(super) knows_subscriptions: AtomicBool,
    pub(super) place: Mutex<Place>,
    pub(super) pages: Pages,
    /// Bounds how many ids are looked up at a time.
    pub(super) finds: Semaphore,
    /// The subscriptions that were open when this node entered, until there is a route.
    pub(super) begun: Begun,
    /// Whether this node is to stay outside.
    pub(super) has_left: AtomicBool,
    pub(super) orphans: Orphans,
    pub(super) measures: Measures,
    seeds: AtomicU64,
}

/// The events that began the subscriptions which were open when the node entered.
#[derive(Default)]
pub(super) struct Begun(Mutex<Vec<Update>>);

impl Begun {
    pub(super) fn set(&self, begun: Vec<Update>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = begun;
    }

    pub(super) fn take(&self) -> Vec<Update> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// How far this node has got.
pub(super) struct Place {
    /// What the tail has passed.
    pub(super) head: Position,
    /// The log that this is of: a server may have another one by now.
    pub(super) log: RunTag,
    /// What retention has deleted, as far as is known.
    pub(super) floor: Position,
    pub(super) newest: Option<Arc<Frame>>,
    /// The subscription events in the ring.
    pub(super) events: Events,
}

impl Place {
    pub(super) fn new(head: Position, log: RunTag, floor: Position, events: EventBounds) -> Self {
        Self {
            head,
            log,
            floor,
            newest: None,
            events: Events::new(events),
        }
    }
}

/// The dead members whose subscriptions this node may end.
#[derive(Default)]
pub(super) struct Orphans {
    /// Each, and from when on.
    due: Mutex<HashMap<Member, Instant>>,
    pub(super) changed: Notify,
}

impl Orphans {
    /// Leaves only these, and adds new ones, which are due at a time.
    pub(super) fn set(&self, buried: &[Member], own: &[Member], later: Instant) {
        let now = Instant::now();
        let mut due = self.lock();
        due.retain(|member, _| buried.contains(member) || own.contains(member));
        for member in buried {
            due.entry(*member).or_insert(later);
        }
        for member in own {
            due.insert(*member, now);
        }
        drop(due);
        self.changed.notify_one();
    }

    /// The least of those that are due, or when one will be.
    pub(super) fn next(&self) -> Result<Member, Option<Instant>> {
        let now = Instant::now();
        let due = self.lock();
        let ready = due.iter().filter(|(_, due)| **due <= now);
        let least = ready.map(|(member, _)| *member).min();
        least.ok_or_else(|| due.values().min().copied())
    }

    pub(super) fn remove(&self, member: Member) {
        self.lock().remove(&member);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Member, Instant>> {
        self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<B: Backend> Node<B> {
    pub(super) fn new(
        backend: Arc<B>,
        options: SharedOptions,
        ring: Arc<Ring>,
        place: Place,
        (member, attached): (Member, &Attached),
        seed: u64,
    ) -> Self {
        let pages = Pages::new(options.ring_bytes / 2);
        Self {
            backend,
            options,
            ring,
            route: OnceLock::new(),
            started: Notify::new(),
            queue: Mutex::default(),
            queued: Notify::new(),
            ledger: Ledger::default(),
            owing: Notify::new(),
            contact: Contact::default(),
            identity: RwLock::new(Identity::of(attached)),
            member: AsyncMutex::new(member),
            beat_now: Notify::new(),
            must_restore: AtomicBool::new(false),
            knows_subscriptions: AtomicBool::new(false),
            place: Mutex::new(place),
            pages,
            finds: Semaphore::new(FINDS),
            begun: Begun::default(),
            has_left: AtomicBool::new(false),
            orphans: Orphans::default(),
            measures: Measures::default(),
            seeds: AtomicU64::new(seed),
        }
    }

    pub(super) fn queue(&self) -> MutexGuard<'_, Queue<Note>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn place(&self) -> MutexGuard<'_, Place> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn identity(&self) -> Identity {
        self.identity
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(super) fn backoff(&self) -> Backoff {
        Backoff::new(self.random())
    }

    /// A number that differs between nodes and calls.
    pub(super) fn random(&self) -> u64 {
        // The generator of splitmix64.
        let seed = self
            .seeds
            .fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed);
        let mixed = (seed ^ (seed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// The membership of this node.
    pub(super) async fn member(&self) -> Member {
        *self.member.lock().await
    }

    /// Enters the log again, unless another task has done so since the node was `before`.
    pub(super) async fn enter_again(&self, before: Member) -> Result<Member, BackendError> {
        let mut member = self.member.lock().await;
        if *member != before {
            return Ok(*member);
        }
        if self.has_left.load(Ordering::Acquire) {
            return Err(BackendError::NoMember);
        }
        let next = Member(u128::from(self.random()) << 64 | u128::from(self.random()));
        let head = self.place().head;
        let attached = self.backend.attach(next, head).await?;
        let identity = Identity::of(&attached);
        let is_other = {
            let mut known = self
                .identity
                .write()
                .unwrap_or_else(PoisonError::into_inner);
            let is_other = known.tag != identity.tag;
            *known = identity;
            is_other
        };
        if is_other {
            self.must_restore.store(true, Ordering::Release);
        }
        tracing::warn!(
            name: "log_entered_again",
            is_another_log = is_other,
            "this node was not a member of the log any more, and has entered it again"
        );
        *member = next;
        Ok(next)
    }

    /// Notes the subscriptions that were read.
    pub(super) fn knows(&self, begun: &[Update]) {
        self.knows_subscriptions
            .store(!begun.is_empty(), Ordering::Release);
    }

    /// Nothing is stored any more: a task of the node has ended unexpectedly.
    pub(super) fn fail(&self) {
        self.contact.fail();
        let mut queue = self.queue();
        queue.clear();
        drop(queue);
        self.ledger.clear();
    }
}

/// Has the node fail if a task panics.
pub(super) struct FailOnPanic<'a, B: Backend>(pub(super) &'a Node<B>);

impl<B: Backend> Drop for FailOnPanic<'_, B> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.fail();
        }
    }
}
