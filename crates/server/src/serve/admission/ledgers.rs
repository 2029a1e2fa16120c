//! What connections are charged for.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::available_parallelism;

use arc_swap::ArcSwap;
use talaria_config::settings::ConnectionSettings;
use talaria_hub::limits::{
    Charge, ClientAddress, Exhausted, Ledger, Limiter, RateOf, TooFast, Turns, Usage, Waiting,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::serve::proxies::Proxies;

/// Connections without a place whose last bytes are read before they close.
pub(super) const LEAVING: usize = 16;
/// The memory of a head that is not counted, in bytes: that of ordinary requests.
const SMALL_HEAD: usize = 4 * 1024;

/// The owner of connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Holder {
    /// The address of a client.
    Address(ClientAddress),
    /// A connection of a trusted proxy. Each holds for itself, because their clients are many.
    Proxied(u64),
}

/// The connections that begin at a time, for each processor.
const BEGINNING: usize = 1;

/// The totals of all connections, handshakes and heads, and how fast connections come.
pub(crate) struct Ledgers {
    bounded: ArcSwap<Bounded>,
    leaving: Arc<Semaphore>,
    proxies: ArcSwap<Proxies>,
    proxied: AtomicU64,
    turns: Arc<Turns>,
}

/// What is counted, with the bounds of a configuration.
struct Bounded {
    /// Open connections.
    places: Arc<Ledger<Holder>>,
    handshakes: Arc<Ledger<Holder>>,
    heads: Arc<Ledger<Holder>>,
    /// How fast connections come.
    rate: Limiter,
}

/// How many connections and handshakes there may be at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Most {
    pub connections: u64,
    pub handshakes: u64,
}

/// Why a connection is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    /// There are too many.
    #[error("{exhausted}")]
    Full {
        exhausted: Exhausted,
        /// The directive that sets the bound.
        limit: &'static str,
    },
    /// They come too fast.
    #[error("{}", too_fast(.0))]
    Fast(TooFast),
}

impl Refused {
    /// The directive that sets the bound.
    pub(crate) fn limit(self) -> &'static str {
        match self {
            Self::Full { limit, .. } => limit,
            Self::Fast(TooFast {
                of: RateOf::Each, ..
            }) => "max_connection_rate_per_address",
            Self::Fast(_) => "max_connection_rate",
        }
    }
}

fn too_fast(TooFast { rate, of, .. }: &TooFast) -> String {
    match of {
        RateOf::All => format!("the rate of {rate} for all clients together is reached"),
        RateOf::Share => format!("the share of one client of {rate} is reached"),
        RateOf::Each => format!("the rate of {rate} for one client is reached"),
    }
}

impl Ledgers {
    /// Ledgers for `most` connections and handshakes at a time.
    pub(crate) fn new(settings: &ConnectionSettings, most: Most, proxies: Proxies) -> Self {
        let bounded = Bounded {
            places: Arc::new(Ledger::new(most.connections, settings.most_of_address)),
            handshakes: Arc::new(Ledger::new(most.handshakes, None)),
            heads: Arc::new(Ledger::new(settings.head_memory, None)),
            rate: Limiter::new(settings.rate, settings.rate_of_address),
        };
        let processors = available_parallelism().map_or(1, usize::from);
        Self {
            bounded: ArcSwap::from_pointee(bounded),
            leaving: Arc::new(Semaphore::new(LEAVING)),
            proxies: ArcSwap::from_pointee(proxies),
            proxied: AtomicU64::new(0),
            turns: Arc::new(Turns::of(BEGINNING * processors)),
        }
    }

    /// How much is used of each limit, and how fast connections may come.
    pub(crate) fn usage(&self) -> Vec<Usage> {
        let bounded = self.bounded.load();
        let places = &bounded.places;
        let each = Some(places.most_each()).filter(|bound| *bound < u64::MAX);
        let total = |directive: &str, ledger: &Ledger<Holder>| {
            Usage::new(directive, Some(ledger.used()), Some(ledger.capacity()))
        };
        let mut usage = vec![
            total("max_connections", places),
            Usage::new(
                "max_connections_per_address",
                each.map(|_| places.largest()),
                each,
            ),
        ];
        let handshakes = &bounded.handshakes;
        usage.push(Usage::new(
            "max_handshakes",
            Some(handshakes.used()),
            Some(handshakes.capacity()),
        ));
        let heads = &bounded.heads;
        usage.push(Usage::new(
            "max_header_memory",
            Some(heads.used()),
            Some(heads.capacity()),
        ));
        let (total, each) = bounded.rate.rates();
        usage.push(Usage::of_rate("max_connection_rate", total));
        usage.push(Usage::of_rate("max_connection_rate_per_address", each));
        usage
    }

    /// Counts by other bounds from now on. What is held stays held, and counts.
    pub(crate) fn follow(&self, settings: &ConnectionSettings, most: Most) {
        let old = self.bounded.load();
        let place = (most.connections, settings.most_of_address);
        let bounded = Bounded {
            places: Arc::new(old.places.with_bounds(place.0, place.1)),
            handshakes: Arc::new(old.handshakes.with_bounds(most.handshakes, None)),
            heads: Arc::new(old.heads.with_bounds(settings.head_memory, None)),
            rate: old.rate.with_rates(settings.rate, settings.rate_of_address),
        };
        self.bounded.store(Arc::new(bounded));
    }

    /// Counts that a connection of this holder comes.
    ///
    /// # Errors
    /// They come too fast, from this address or in all.
    pub(crate) fn come(&self, holder: Holder, now: Instant) -> Result<(), Refused> {
        let bounded = self.bounded.load();
        let taken = match holder {
            Holder::Address(address) => bounded.rate.take(&address, now.into_std()),
            // Their clients are many.
            Holder::Proxied(_) => bounded.rate.take_of_all(now.into_std()),
        };
        taken.map_err(Refused::Fast)
    }

    /// Counts a connection.
    ///
    /// # Errors
    /// There are too many, in all or of this holder.
    pub(crate) fn place(&self, holder: Holder) -> Result<Charge<Holder>, Refused> {
        let places = &self.bounded.load().places;
        places.charge(holder, 1).map_err(|exhausted| {
            let is_of_address = matches!(
                exhausted, Exhausted::Each { most } if most == places.most_each()
            );
            let limit = match is_of_address {
                true => "max_connections_per_address",
                false => "max_connections",
            };
            Refused::Full { exhausted, limit }
        })
    }

    /// The open connections.
    pub(crate) fn used(&self) -> u64 {
        self.bounded.load().places.used()
    }

    /// Trusts these proxies from now on.
    pub(crate) fn trust(&self, proxies: Proxies) {
        self.proxies.store(Arc::new(proxies));
    }

    /// The owner of a connection from this peer.
    pub(crate) fn holder(&self, peer: SocketAddr) -> Holder {
        if self.proxies.load().contain(peer.ip()) {
            Holder::Proxied(self.proxied.fetch_add(1, Ordering::Relaxed))
        } else {
            Holder::Address(peer.ip().into())
        }
    }

    /// The turn of a connection that begins.
    pub(crate) fn turn(&self, holder: Holder) -> Waiting {
        self.turns.turn(&holder)
    }

    /// Counts a handshake.
    ///
    /// # Errors
    /// Too many are under way, in all or of this holder.
    pub(crate) fn handshake(&self, holder: Holder) -> Result<Charge<Holder>, Exhausted> {
        self.bounded.load().handshakes.charge(holder, 1)
    }

    /// Counts the memory of a head, if it is not small.
    ///
    /// # Errors
    /// Heads hold too much, in all or of this holder.
    pub(crate) fn head(
        &self,
        holder: Holder,
        bytes: usize,
    ) -> Result<Option<HeadMemory>, Exhausted> {
        if bytes <= SMALL_HEAD {
            return Ok(None);
        }
        let charge = self.bounded.load().heads.charge(holder, bytes as u64)?;
        Ok(Some(HeadMemory { _charge: charge }))
    }

    /// Lets a connection without a place read on; `None` if too many do.
    pub(crate) fn leave(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.leaving).try_acquire_owned().ok()
    }
}

/// The memory that a head holds.
pub(crate) struct HeadMemory {
    _charge: Charge<Holder>,
}
