//! Which connections are let in: how many in all and of one address, and what makes room for new ones.
//!
//! The descriptors of the process are for connections, but for a reserve: a hub that has none left cannot
//! open its next segment, and answers no health check.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use talaria_hub::limits::{Charge, ClientAddress, Exhausted, Ledger};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, oneshot};

use crate::config::settings::ConnectionSettings;
use crate::proxies::Proxies;

/// Descriptors of the program itself: listeners, log, locks, the runtime, fetches of keys, new segments.
const OWN: u64 = 32;
/// Sealed segments of the history take at most this share of all descriptors, and at most so many.
const SEGMENTS_SHARE: u64 = 4;
const SEGMENTS: u64 = 2 * 1024;
/// The least number of which one address can have some, because some must stay free.
const LEAST: u64 = 10;
/// Guests that are served at a time, and as many that are being closed.
const GUESTS: usize = 16;
/// How many connections are looked at for an idle one. It is bounded because every accept may look.
const LOOKS: usize = 64;
/// How long a new connection waits for an idle one to close, and in how many steps.
const STEP: Duration = Duration::from_millis(10);
const STEPS: usize = 10;
/// The memory of a head that is not counted, in bytes: that of ordinary requests.
const SMALL_HEAD: usize = 4 * 1024;

/// Who holds connections.
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
    at_the_door: Arc<Semaphore>,
}

/// How many connections `descriptors` open files leave room for; `None` for no limit.
fn most_of(descriptors: Option<u64>) -> u64 {
    let Some(descriptors) = descriptors else {
        return u64::from(u32::MAX);
    };
    let reserve = (descriptors / SEGMENTS_SHARE).min(SEGMENTS) + OWN + 2 * GUESTS as u64;
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
            at_the_door: Arc::new(Semaphore::new(2 * GUESTS)),
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

    /// Takes in one for whom there is no room, for one question; `None` if too many stand there. The one
    /// that came first is shown out, so that no silent peer keeps a health check waiting.
    pub fn knock(&self) -> Option<Guest> {
        let permit = Arc::clone(&self.0.at_the_door).try_acquire_owned().ok()?;
        let (keep, shown_out) = oneshot::channel();
        let mut guests = lock(&self.0.guests);
        guests.push_back(keep);
        if guests.len() > GUESTS {
            guests.pop_front();
        }
        Some(Guest {
            _permit: permit,
            shown_out,
        })
    }

    fn seat(&self, holder: Holder, charge: Charge<Holder>) -> Place {
        let seat = Arc::new(Seat {
            _charge: charge,
            holder,
            under_way: AtomicUsize::new(0),
            has_asked: AtomicBool::new(false),
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

    /// Asks an idle connection, of this holder if one is given, to leave: one on which nothing was ever asked, if
    /// there is one.
    fn ask_to_leave(&self, of: Option<Holder>) {
        let mut idle: Option<Arc<Seat>> = None;
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
            if !is_meant || !connection.is_idle() {
                continue;
            }
            let is_silent = !connection.has_asked.load(Ordering::Relaxed);
            if is_silent || idle.is_none() {
                idle = Some(connection);
            }
            if is_silent {
                break;
            }
        }
        drop(open);
        if let Some(idle) = idle {
            idle.leave.notify_one();
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
    _charge: Charge<Holder>,
    holder: Holder,
    /// Requests that are not answered in full.
    under_way: AtomicUsize,
    has_asked: AtomicBool,
    leave: Notify,
    admission: Admission,
}

impl Seat {
    fn is_idle(&self) -> bool {
        self.under_way.load(Ordering::Acquire) == 0
    }
}

impl Place {
    /// Ends when another connection needs the place, and no request is under way on this one.
    pub async fn needed(&self) {
        loop {
            self.0.leave.notified().await;
            if self.0.is_idle() {
                return;
            }
        }
    }

    /// Counts a request until the answer has left.
    pub fn request(&self) -> UnderWay {
        self.0.has_asked.store(true, Ordering::Relaxed);
        self.0.under_way.fetch_add(1, Ordering::AcqRel);
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

/// A request that is not answered in full.
pub struct UnderWay(Arc<Seat>);

impl Drop for UnderWay {
    fn drop(&mut self) {
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
    shown_out: oneshot::Receiver<()>,
}

impl Guest {
    /// Ends when a later guest needs the room.
    pub async fn shown_out(&mut self) {
        // Nothing is ever sent: the sender is dropped.
        _ = (&mut self.shown_out).await;
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
            (Some(256), 128),
            (Some(1024), 704),
            (Some(65_536), 63_424),
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
