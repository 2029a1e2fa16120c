//! Which connections are accepted: how many in all and of one address, and what makes room for new ones.
//!
//! The descriptors of the process are for connections, but for a reserve: a hub that has none left cannot
//! open its next segment, and answers no health check.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use talaria_hub::Outflow;
use talaria_hub::limits::{Charge, ClientAddress, Exhausted, Ledger};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::Instant;

use crate::config::settings::ConnectionSettings;
use crate::proxies::Proxies;

/// Descriptors of the program itself: listeners, log, locks, the runtime, fetches of keys, new segments.
const OWN: u64 = 32;
/// Sealed segments of the history take at most this share of all descriptors.
const SEGMENTS_SHARE: u64 = 4;
/// The most descriptors that are kept for sealed segments.
const SEGMENTS: u64 = 2 * 1024;
/// The least number of which one address can have some, because some must stay free.
const LEAST: u64 = 10;
/// Guests that may wait for room, and the same number that are being answered and closed.
const GUESTS: usize = 16;
/// Connections without a place whose last bytes are read before they close.
const LEAVING: usize = 16;
/// A connection that was active within this time is not asked to leave.
const LEAST_IDLE: Duration = Duration::from_secs(1);
/// A connection without a request is not asked to leave before it has this age: its TLS handshake takes time.
const LEAST_AGE: Duration = Duration::from_secs(2);
/// How many connections are looked at for an idle one. It is bounded because every accept may look.
const LOOKS: usize = 64;
/// How long a new connection waits for an idle one to close, and in how many steps.
const STEP: Duration = Duration::from_millis(10);
const STEPS: usize = 10;
/// The memory of a head that is not counted, in bytes: that of ordinary requests.
const SMALL_HEAD: usize = 4 * 1024;

/// The owner of connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Holder {
    Address(ClientAddress),
    /// A connection of a trusted proxy. Each holds for itself, because their clients are many.
    Proxied(u64),
}

/// Counts connections, handshakes and heads. Cloning shares it.
#[derive(Clone)]
pub struct Admission(Arc<Shared>);

struct Shared {
    places: Arc<Ledger<Holder>>,
    handshakes: Arc<Ledger<Holder>>,
    heads: Arc<Ledger<Holder>>,
    proxies: Proxies,
    proxied: AtomicU64,
    /// The open connections, those looked at last at the end, and some that have ended.
    open: Mutex<VecDeque<Weak<Seat>>>,
    guests: Mutex<VecDeque<oneshot::Sender<()>>>,
    guest_permits: Arc<Semaphore>,
    leaving: Arc<Semaphore>,
}

/// How many connections `descriptors` open files leave room for; `None` for no limit.
fn most_of(descriptors: Option<u64>) -> u64 {
    let Some(descriptors) = descriptors else {
        return u64::from(u32::MAX);
    };
    let reserve =
        (descriptors / SEGMENTS_SHARE).min(SEGMENTS) + OWN + 2 * GUESTS as u64 + LEAVING as u64;
    descriptors
        .saturating_sub(reserve)
        .max(descriptors / SEGMENTS_SHARE)
        .max(LEAST)
}

impl Admission {
    /// For a process that may have this many open files; `None` for no limit.
    pub fn new(settings: &ConnectionSettings, descriptors: Option<u64>, proxies: Proxies) -> Self {
        let possible = most_of(descriptors);
        let most = settings.most.unwrap_or(possible).min(possible);
        if settings.most.is_some_and(|asked| asked > possible) {
            tracing::warn!(
                max_connections = settings.most,
                possible,
                "max_connections is more than the limit of open files leaves room for; raise that limit (LimitNOFILE, ulimit -n), or lower max_connections"
            );
        }
        tracing::info!(connections = most, "connections that are served at a time");
        let handshakes = settings.handshakes.unwrap_or(most.div_ceil(4).max(LEAST));
        Self(Arc::new(Shared {
            places: Arc::new(Ledger::new(most, settings.most_of_address)),
            handshakes: Arc::new(Ledger::new(handshakes, None)),
            heads: Arc::new(Ledger::new(settings.head_memory, None)),
            proxies,
            proxied: AtomicU64::new(0),
            open: Mutex::default(),
            guests: Mutex::default(),
            guest_permits: Arc::new(Semaphore::new(2 * GUESTS)),
            leaving: Arc::new(Semaphore::new(LEAVING)),
        }))
    }

    /// Lets a connection in, if there is room for it. If not, asks an idle one to leave.
    ///
    /// # Errors
    /// There is no room, at this moment at least.
    pub fn enter(&self, peer: SocketAddr) -> Result<Place, Exhausted> {
        let holder = if self.0.proxies.contain(peer.ip()) {
            Holder::Proxied(self.0.proxied.fetch_add(1, Ordering::Relaxed))
        } else {
            Holder::Address(peer.ip().into())
        };
        match self.0.places.charge(holder, 1) {
            Ok(charge) => Ok(self.seat(holder, charge)),
            Err(exhausted) => {
                let of = match exhausted {
                    Exhausted::InAll { .. } => None,
                    Exhausted::Each { .. } => Some(holder),
                };
                self.ask_to_leave(of);
                Err(exhausted)
            }
        }
    }

    /// The same, once an idle connection has had a moment to leave.
    pub async fn enter_soon(&self, peer: SocketAddr) -> Option<Place> {
        for _ in 0..STEPS {
            tokio::time::sleep(STEP).await;
            if let Ok(place) = self.enter(peer) {
                return Some(place);
            }
        }
        None
    }

    /// Accepts a connection without a place for one answer; `None` if there are too many of them. If more than
    /// [`GUESTS`] wait, the oldest is answered at once, so that silent peers do not delay a health check.
    pub fn guest(&self) -> Option<Guest> {
        let permit = Arc::clone(&self.0.guest_permits).try_acquire_owned().ok()?;
        let (keep, displaced) = oneshot::channel();
        let mut guests = lock(&self.0.guests);
        guests.retain(|guest| !guest.is_closed());
        guests.push_back(keep);
        if guests.len() > GUESTS {
            guests.pop_front();
        }
        Some(Guest {
            _permit: permit,
            displaced,
        })
    }

    fn seat(&self, holder: Holder, charge: Charge<Holder>) -> Place {
        let seat = Arc::new(Seat {
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
            admission: self.clone(),
        });
        let mut open = lock(&self.0.open);
        let most = 2 * usize::try_from(self.0.places.used()).unwrap_or(usize::MAX);
        if open.len() > most.saturating_add(LOOKS) {
            open.retain(|seat| seat.strong_count() > 0);
        }
        open.push_back(Arc::downgrade(&seat));
        Place(seat)
    }

    /// Asks an idle connection, of this holder if one is given, to leave: first one that never sent a request,
    /// then the one that is idle for longest, of those that are looked at.
    fn ask_to_leave(&self, of: Option<Holder>) {
        let now = Instant::now();
        let mut chosen: Option<((bool, Instant), Arc<Seat>)> = None;
        let mut open = lock(&self.0.open);
        for _ in 0..LOOKS.min(open.len()) {
            let Some(seat) = open.pop_front() else {
                break;
            };
            let Some(connection) = seat.upgrade() else {
                continue;
            };
            open.push_back(seat);
            let is_meant = of.is_none_or(|holder| holder == connection.holder);
            if !is_meant || connection.is_leaving.load(Ordering::Acquire) {
                continue;
            }
            let Some(since) = connection.may_leave(now) else {
                continue;
            };
            let order = (connection.has_asked.load(Ordering::Relaxed), since);
            if chosen.as_ref().is_none_or(|(best, _)| order < *best) {
                chosen = Some((order, connection));
            }
        }
        drop(open);
        if let Some((_, connection)) = chosen {
            connection.is_leaving.store(true, Ordering::Release);
            connection.leave.notify_one();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A connection's place among all. Cloning shares it; it is given back with the last clone.
#[derive(Clone)]
pub struct Place(Arc<Seat>);

struct Seat {
    /// What counts the connection, until it leaves.
    charge: Mutex<Option<Charge<Holder>>>,
    holder: Holder,
    /// Requests whose answers hyper still holds a part of.
    under_way: AtomicUsize,
    has_asked: AtomicBool,
    began: Instant,
    /// When a request or an answer was last under way, in milliseconds since `began`.
    active: AtomicU64,
    /// How far the bytes of the connection got, once it speaks HTTP.
    outflow: OnceLock<Outflow>,
    is_leaving: AtomicBool,
    is_streaming: AtomicBool,
    leave: Notify,
    admission: Admission,
}

impl Seat {
    /// Since when no request is under way and everything written has left; `None` while that is not so.
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

    /// Since when the connection is idle, if that is long enough for it to be closed.
    fn may_leave(&self, now: Instant) -> Option<Instant> {
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
    /// Ends when another connection needs the place, and this one was idle for long enough.
    pub async fn needed(&self) {
        loop {
            self.0.leave.notified().await;
            if self.must_leave() {
                return;
            }
        }
    }

    /// Whether another connection needs the place. A connection that is not idle any more stays.
    pub fn must_leave(&self) -> bool {
        if !self.0.is_leaving.load(Ordering::Acquire) {
            return false;
        }
        let must = self.0.may_leave(Instant::now()).is_some();
        if !must {
            self.stay();
        }
        must
    }

    /// The connection has something to do, and stays.
    pub fn stay(&self) {
        self.0.is_leaving.store(false, Ordering::Release);
    }

    /// Gives the place back before the connection has ended; `None` if it must end at once, because too many
    /// are ending.
    pub fn leave(&self) -> Option<OwnedSemaphorePermit> {
        self.0.is_leaving.store(true, Ordering::Release);
        drop(lock(&self.0.charge).take());
        Arc::clone(&self.0.admission.0.leaving)
            .try_acquire_owned()
            .ok()
    }

    /// What says whether everything written has left.
    pub fn follow(&self, outflow: Outflow) {
        // A connection is driven once.
        _ = self.0.outflow.set(outflow);
    }

    /// Whether no request is under way and everything written has left.
    pub fn is_idle(&self) -> bool {
        self.0.idle_since().is_some()
    }

    /// The client has begun a request.
    pub fn touch(&self) {
        self.0.touch();
    }

    /// The answer under way is a stream, which does not end by itself.
    pub fn streams(&self) {
        self.0.is_streaming.store(true, Ordering::Relaxed);
    }

    /// Whether the answer under way is a stream.
    pub fn is_streaming(&self) -> bool {
        self.0.is_streaming.load(Ordering::Relaxed)
    }

    /// Counts a request until the last byte of the answer has left hyper.
    pub fn request(&self) -> UnderWay {
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
    pub fn handshake(&self) -> Result<impl Sized + Send + 'static + use<>, Exhausted> {
        self.0.admission.0.handshakes.charge(self.0.holder, 1)
    }

    /// Counts the memory of a head, if it is not small.
    ///
    /// # Errors
    /// Heads hold too much, in all or of this address.
    pub fn head(&self, bytes: usize) -> Result<Option<HeadMemory>, Exhausted> {
        if bytes <= SMALL_HEAD {
            return Ok(None);
        }
        let heads = &self.0.admission.0.heads;
        let charge = heads.charge(self.0.holder, bytes as u64)?;
        Ok(Some(HeadMemory { _charge: charge }))
    }
}

/// A request whose answer has not left as a whole. Each chunk of the answer has a clone.
pub struct UnderWay(Arc<Seat>);

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

/// What a head holds.
pub struct HeadMemory {
    _charge: Charge<Holder>,
}

/// A connection without a place.
pub struct Guest {
    _permit: OwnedSemaphorePermit,
    displaced: oneshot::Receiver<()>,
}

impl Guest {
    /// Ends when a later guest needs the room. It is not called again after it has ended.
    pub async fn displaced(&mut self) {
        // Nothing is ever sent: the sender is dropped.
        _ = (&mut self.displaced).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Descriptors are left for the history and for the program, however few there are.
    #[test]
    fn connections_leave_descriptors() {
        for (descriptors, most) in [
            (Some(0), LEAST),
            (Some(100), 25),
            (Some(256), 112),
            (Some(1024), 688),
            (Some(65_536), 63_408),
            (None, u64::from(u32::MAX)),
        ] {
            assert_eq!(most_of(descriptors), most, "{descriptors:?}");
        }
    }

    /// The registry of connections does not grow with those that have ended.
    #[test]
    fn ended_connections_are_forgotten() {
        let admission = Admission::new(
            &ConnectionSettings::default(),
            Some(256),
            Proxies::default(),
        );
        for port in 1..10_000 {
            let peer = SocketAddr::from(([192, 0, 2, 1], port));
            assert!(admission.enter(peer).is_ok());
        }
        assert!(lock(&admission.0.open).len() <= 2 * LOOKS);
        assert_eq!(admission.0.places.used(), 0);
    }
}
