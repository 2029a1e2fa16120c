//! What connections are charged for.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use talaria_config::settings::ConnectionSettings;
use talaria_hub::limits::{Charge, ClientAddress, Exhausted, Ledger, Usage};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

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

/// The totals of all connections, handshakes and heads.
pub(crate) struct Ledgers {
    /// Open connections.
    pub places: Arc<Ledger<Holder>>,
    handshakes: Arc<Ledger<Holder>>,
    heads: Arc<Ledger<Holder>>,
    leaving: Arc<Semaphore>,
    proxies: ArcSwap<Proxies>,
    proxied: AtomicU64,
}

impl Ledgers {
    /// Ledgers for `most` connections and `handshakes` handshakes at a time.
    pub(crate) fn new(
        settings: &ConnectionSettings,
        most: u64,
        handshakes: u64,
        proxies: Proxies,
    ) -> Self {
        Self {
            places: Arc::new(Ledger::new(most, settings.most_of_address)),
            handshakes: Arc::new(Ledger::new(handshakes, None)),
            heads: Arc::new(Ledger::new(settings.head_memory, None)),
            leaving: Arc::new(Semaphore::new(LEAVING)),
            proxies: ArcSwap::from_pointee(proxies),
            proxied: AtomicU64::new(0),
        }
    }

    /// How much is used of each limit.
    pub(crate) fn usage(&self) -> Vec<Usage> {
        let each = self.places.most_each();
        let each = Some(each).filter(|bound| *bound < u64::MAX);
        let total = |directive: &str, ledger: &Ledger<Holder>| {
            Usage::new(directive, Some(ledger.used()), Some(ledger.capacity()))
        };
        vec![
            total("max_connections", &self.places),
            Usage::new(
                "max_connections_per_address",
                each.map(|_| self.places.largest()),
                each,
            ),
            total("max_handshakes", &self.handshakes),
            total("max_header_memory", &self.heads),
        ]
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

    /// Counts a handshake.
    ///
    /// # Errors
    /// Too many are under way, in all or of this holder.
    pub(crate) fn handshake(&self, holder: Holder) -> Result<Charge<Holder>, Exhausted> {
        self.handshakes.charge(holder, 1)
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
        let charge = self.heads.charge(holder, bytes as u64)?;
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
