//! Which connections are accepted: how many in all and of one address, and which one makes room for a new one.
//!
//! Connections may use the descriptors of the process except a reserve: a hub that has none left cannot open its
//! next segment, and answers no health check.

mod guests;
mod ledgers;
mod place;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use talaria_config::settings::ConnectionSettings;
use talaria_hub::limits::{Exhausted, Usage};
use tokio::time::Instant;

use self::guests::{GUESTS, Guests};
use self::ledgers::{Holder, LEAVING, Ledgers, Most};
use self::place::Seat;
use crate::serve::lock::lock;
use crate::serve::proxies::Proxies;

pub(crate) use self::guests::Guest;
pub(crate) use self::ledgers::{HeadMemory, Refused};
pub(crate) use self::place::{Place, UnderWay};

/// The descriptors that the program itself needs: listeners, log, locks, runtime, fetches of keys, new segments.
const OWN: u64 = 32;
/// Sealed segments of the history use at most one of this many descriptors.
const SEGMENTS_SHARE: u64 = 4;
/// The most descriptors that are kept for sealed segments.
const SEGMENTS: u64 = 2 * 1024;
/// The least number of connections. One address must not hold them all, because some must stay free.
const LEAST: u64 = 10;
/// How many connections are searched for an idle one. The search is bounded because every accept may need it.
const LOOKS: usize = 64;
/// A new connection waits this long for an idle one to close, this many times.
const STEP: Duration = Duration::from_millis(10);
const STEPS: usize = 10;

/// Counts connections, handshakes and heads. Cloning shares it.
#[derive(Clone)]
pub(crate) struct Admission(Arc<Shared>);

struct Shared {
    ledgers: Arc<Ledgers>,
    /// The open connections, and some that have ended. Those that were searched last are at the end.
    open: Mutex<VecDeque<Weak<Seat>>>,
    guests: Guests,
}

/// For how many connections `descriptors` open files leave room; `None` stands for no limit.
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

/// How many connections and handshakes a configuration allows.
fn most(settings: &ConnectionSettings, descriptors: Option<u64>) -> Most {
    let possible = most_of(descriptors);
    let connections = settings.most.unwrap_or(possible).min(possible);
    if settings.most.is_some_and(|asked| asked > possible) {
        tracing::warn!(
            name: "connection_limit_too_high",
            max_connections = settings.most,
            possible,
            "max_connections is more than the limit of open files leaves room for; raise that limit (LimitNOFILE, ulimit -n), or lower max_connections"
        );
    }
    let handshakes = settings.handshakes;
    let handshakes = handshakes.unwrap_or(connections.div_ceil(4).max(LEAST));
    tracing::info!(
        name: "connection_limit",
        connections,
        handshakes,
        descriptors,
        "connections that are served at a time"
    );
    Most {
        connections,
        handshakes,
    }
}

impl Admission {
    /// An admission for a process that may have this many open files; `None` stands for no limit.
    pub(crate) fn new(
        settings: &ConnectionSettings,
        descriptors: Option<u64>,
        proxies: Proxies,
    ) -> Self {
        let most = most(settings, descriptors);
        Self(Arc::new(Shared {
            ledgers: Arc::new(Ledgers::new(settings, most, proxies)),
            open: Mutex::default(),
            guests: Guests::default(),
        }))
    }

    /// Counts by other bounds from now on. Connections that are open stay, and count.
    pub(crate) fn follow(&self, settings: &ConnectionSettings, descriptors: Option<u64>) {
        let most = most(settings, descriptors);
        self.0.ledgers.follow(settings, most);
    }

    /// Trusts these proxies from now on: their new connections do not count for their address.
    pub(crate) fn trust(&self, proxies: Proxies) {
        self.0.ledgers.trust(proxies);
    }

    /// Lets a new connection in, if there is room for it. If not, asks an idle one to leave.
    ///
    /// # Errors
    /// There is no room at this moment, or connections come too fast.
    pub(crate) fn enter(&self, peer: SocketAddr) -> Result<Place, Refused> {
        let holder = self.0.ledgers.holder(peer);
        self.0.ledgers.come(holder, Instant::now())?;
        self.seat(holder)
    }

    fn seat(&self, holder: Holder) -> Result<Place, Refused> {
        let ledgers = &self.0.ledgers;
        match ledgers.place(holder) {
            Ok(charge) => {
                let place = Place::new(holder, charge, Arc::clone(ledgers));
                self.register(&place);
                Ok(place)
            }
            Err(refused) => {
                let of = match refused {
                    Refused::Full {
                        exhausted: Exhausted::InAll { .. },
                        ..
                    } => None,
                    _ => Some(holder),
                };
                self.ask_to_leave(of);
                Err(refused)
            }
        }
    }

    /// Lets a connection in once an idle one has had a moment to leave; `None` if none did.
    pub(crate) async fn enter_soon(&self, peer: SocketAddr) -> Option<Place> {
        let holder = self.0.ledgers.holder(peer);
        for _ in 0..STEPS {
            tokio::time::sleep(STEP).await;
            if let Ok(place) = self.seat(holder) {
                return Some(place);
            }
        }
        None
    }

    /// Accepts a connection without a place for one answer; `None` if there are too many of them.
    pub(crate) fn guest(&self) -> Option<Guest> {
        self.0.guests.accept()
    }

    /// How many connections are open.
    pub(crate) fn connections(&self) -> u64 {
        self.0.ledgers.used()
    }

    /// How much is used of each limit. Looks at each address where there is a bound for each.
    pub(crate) fn usage(&self) -> Vec<Usage> {
        self.0.ledgers.usage()
    }

    fn register(&self, place: &Place) {
        let mut open = lock(&self.0.open);
        let most = 2 * usize::try_from(self.0.ledgers.used()).unwrap_or(usize::MAX);
        if open.len() > most.saturating_add(LOOKS) {
            open.retain(|seat| seat.strong_count() > 0);
        }
        open.push_back(place.seat());
    }

    /// Asks an idle connection to leave, one of the holder `of` if that is given. Of those that are searched, it
    /// is one that never sent a request, or else the one that has been idle for longest.
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
            if !is_meant || connection.is_leaving() {
                continue;
            }
            let Some(since) = connection.may_leave(now) else {
                continue;
            };
            let order = (connection.has_asked(), since);
            if chosen.as_ref().is_none_or(|(best, _)| order < *best) {
                chosen = Some((order, connection));
            }
        }
        drop(open);
        if let Some((_, connection)) = chosen {
            connection.ask_to_leave();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// However few descriptors there are, some are left for the history and the program.
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
        assert_eq!(admission.0.ledgers.used(), 0);
    }
}
