//! The place of one connection among all, and whether the connection may lose it.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::time::Duration;

use talaria_hub::Outflow;
use talaria_hub::limits::{Charge, Exhausted, Waiting};
use tokio::sync::{Notify, OwnedSemaphorePermit};
use tokio::time::Instant;

use super::ledgers::{HeadMemory, Holder, Ledgers};
use crate::serve::lock::lock;

/// A connection that was active within this time is not asked to leave.
const LEAST_IDLE: Duration = Duration::from_secs(1);
/// A connection without a request is not asked to leave before this age, because its TLS handshake takes time.
const LEAST_AGE: Duration = Duration::from_secs(2);

/// A connection's place among all. Cloning shares it; it is given back with the last clone.
#[derive(Clone)]
pub(crate) struct Place(Arc<Seat>);

/// What the clones of a place share.
pub(crate) struct Seat {
    /// Counts the connection until it leaves.
    charge: Mutex<Option<Charge<Holder>>>,
    /// Whose connection it is.
    pub holder: Holder,
    /// Requests whose answers have not left hyper completely.
    under_way: AtomicUsize,
    has_asked: AtomicBool,
    began: Instant,
    /// When a request or an answer was last under way, in milliseconds since `began`.
    active: AtomicU64,
    /// How far the bytes of the connection have got, once it speaks HTTP.
    outflow: OnceLock<Outflow>,
    is_leaving: AtomicBool,
    is_streaming: AtomicBool,
    leave: Notify,
    ledgers: Arc<Ledgers>,
}

impl Seat {
    /// Whether the connection has been asked to leave.
    pub(crate) fn is_leaving(&self) -> bool {
        self.is_leaving.load(Ordering::Acquire)
    }

    /// Asks the connection to leave.
    pub(crate) fn ask_to_leave(&self) {
        self.is_leaving.store(true, Ordering::Release);
        self.leave.notify_one();
    }

    /// Whether the client has sent a request.
    pub(crate) fn has_asked(&self) -> bool {
        self.has_asked.load(Ordering::Relaxed)
    }

    /// Since when no request has been under way and everything written has left; `None` if that is not so now.
    fn idle_since(&self) -> Option<Instant> {
        if self.under_way.load(Ordering::Acquire) > 0 {
            return None;
        }
        let active = self.began + Duration::from_millis(self.active.load(Ordering::Relaxed));
        match self.outflow.get() {
            None => Some(active),
            Some(outflow) => {
                let since = outflow.flows_since(active.into_std())?;
                Some(Instant::from_std(since).max(active))
            }
        }
    }

    /// Since when the connection has been idle, if that is long enough for it to be closed.
    pub(crate) fn may_leave(&self, now: Instant) -> Option<Instant> {
        let since = self.idle_since()?;
        let is_old = now.saturating_duration_since(self.began) >= LEAST_AGE;
        let is_idle = now.saturating_duration_since(since) >= LEAST_IDLE;
        (is_idle && (is_old || self.has_asked.load(Ordering::Relaxed))).then_some(since)
    }

    fn touch(&self) {
        let now = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.active.store(now, Ordering::Relaxed);
    }
}

impl Place {
    /// A place that is charged to `holder`.
    pub(crate) fn new(holder: Holder, charge: Charge<Holder>, ledgers: Arc<Ledgers>) -> Self {
        Self(Arc::new(Seat {
            charge: Mutex::new(Some(charge)),
            holder,
            under_way: AtomicUsize::new(0),
            has_asked: AtomicBool::new(false),
            began: Instant::now(),
            active: AtomicU64::new(0),
            outflow: OnceLock::new(),
            is_leaving: AtomicBool::new(false),
            is_streaming: AtomicBool::new(false),
            leave: Notify::new(),
            ledgers,
        }))
    }

    /// The seat, for the registry of connections.
    pub(crate) fn seat(&self) -> Weak<Seat> {
        Arc::downgrade(&self.0)
    }

    /// Waits until another connection needs the place and this one has been idle for long enough.
    pub(crate) async fn needed(&self) {
        loop {
            self.0.leave.notified().await;
            if self.must_leave() {
                return;
            }
        }
    }

    /// Whether the connection must leave, because another one needs its place. If it is not idle any more, it
    /// stays.
    pub(crate) fn must_leave(&self) -> bool {
        if !self.0.is_leaving.load(Ordering::Acquire) {
            return false;
        }
        let must = self.0.may_leave(Instant::now()).is_some();
        if !must {
            self.stay();
        }
        must
    }

    /// Lets the connection stay, because it has something to do.
    pub(crate) fn stay(&self) {
        self.0.is_leaving.store(false, Ordering::Release);
    }

    /// Gives the place back before the connection has ended; `None` if it must end at once, because too many
    /// are ending.
    pub(crate) fn leave(&self) -> Option<OwnedSemaphorePermit> {
        self.0.is_leaving.store(true, Ordering::Release);
        drop(lock(&self.0.charge).take());
        self.0.ledgers.leave()
    }

    /// Sets the outflow, which says whether everything written has left.
    pub(crate) fn follow(&self, outflow: Outflow) {
        // A connection is driven once.
        _ = self.0.outflow.set(outflow);
    }

    /// Whether no request is under way and everything written has left.
    pub(crate) fn is_idle(&self) -> bool {
        self.0.idle_since().is_some()
    }

    /// Notes that the client has begun a request.
    pub(crate) fn touch(&self) {
        self.0.touch();
    }

    /// Notes that the answer under way is a stream, which does not end by itself.
    pub(crate) fn streams(&self) {
        self.0.is_streaming.store(true, Ordering::Relaxed);
    }

    /// Whether the answer under way is a stream.
    pub(crate) fn is_streaming(&self) -> bool {
        self.0.is_streaming.load(Ordering::Relaxed)
    }

    /// Counts a request until the last byte of the answer has left hyper.
    pub(crate) fn request(&self) -> UnderWay {
        self.0.has_asked.store(true, Ordering::Relaxed);
        self.0.is_streaming.store(false, Ordering::Relaxed);
        self.0.under_way.fetch_add(1, Ordering::AcqRel);
        self.0.touch();
        self.stay();
        UnderWay(Arc::clone(&self.0))
    }

    /// Counts a handshake.
    ///
    /// # Errors
    /// Too many are under way, in all or of this address.
    pub(crate) fn handshake(&self) -> Result<impl Sized + Send + 'static + use<>, Exhausted> {
        self.0.ledgers.handshake(self.0.holder)
    }

    /// When it may begin: those who have many connections wait longer.
    pub(crate) fn turn(&self) -> Waiting {
        self.0.ledgers.turn(self.0.holder)
    }

    /// Counts the memory of a head, if it is not small.
    ///
    /// # Errors
    /// Heads hold too much, in all or of this address.
    pub(crate) fn head(&self, bytes: usize) -> Result<Option<HeadMemory>, Exhausted> {
        self.0.ledgers.head(self.0.holder, bytes)
    }
}

/// A request whose answer has not left completely. Each chunk of the answer has a clone.
pub(crate) struct UnderWay(Arc<Seat>);

impl Clone for UnderWay {
    fn clone(&self) -> Self {
        self.0.under_way.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(&self.0))
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.touch();
        self.0.under_way.fetch_sub(1, Ordering::AcqRel);
    }
}
