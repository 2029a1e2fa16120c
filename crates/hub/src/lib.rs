//! An embeddable Mercure hub: the engine and its HTTP face.
//!
//! [`Hub::router`] is an axum `Router`, hence a tower `Service`; [`Hub::handle`] is the same
//! without a router. Updates take one way: `publish` judges a request and appends to the
//! transport, whose committer hands groups to the router; the router fills ring and lanes and
//! makes them visible; each subscriber's [`Cursor`] reads on from its own position.
#![forbid(unsafe_code)]

mod accept;
pub mod access;
mod body;
pub mod clock;
pub mod cors;
mod cursor;
mod drain;
mod host;
mod hub;
mod interest;
mod lane;
#[cfg(not(talaria_loom))]
#[cfg(test)]
mod laws;
pub mod limits;
mod metadata;
#[cfg(talaria_loom)]
#[cfg(test)]
mod models;
mod options;
pub mod origin;
mod outflow;
mod presence;
mod publish;
mod repeats;
mod respond;
mod router;
mod rule;
mod stream;
mod subscribe;
mod subscriptions;

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};

pub use cursor::{Cursor, Deadlines, End, Step};
pub use host::{Authority, HostError, SiteOrigin, host_of, origin as origin_of};
pub use hub::Hub;
pub use options::{HubOptions, UnknownCursor};
pub use outflow::Outflow;
pub use presence::PresenceOptions;
pub use respond::{Unanswered, forbid_storing, plain, refusal};
pub use rule::Rule;
pub use stream::{Handover, Stream};
use tracing::field::{DisplayValue, display};

/// What a listener tells about the connection of a request, through the request's extensions.
/// Without it a request came over a plain connection.
#[derive(Debug, Clone, Copy, Default)]
pub struct Connection {
    /// Whether the client's connection is encrypted.
    pub tls: bool,
    /// The address at the other end of the connection: the client's or that of a proxy.
    pub peer: Option<SocketAddr>,
    /// The client's address, where a trusted proxy says it.
    pub client: Option<IpAddr>,
    /// A number that no other connection has; `None` leaves out what is bounded for each connection.
    pub number: Option<u64>,
}

impl Connection {
    /// A connection with a number of its own.
    pub fn new(tls: bool, peer: SocketAddr) -> Self {
        static NUMBERS: AtomicU64 = AtomicU64::new(0);
        Self {
            tls,
            peer: Some(peer),
            client: None,
            number: Some(NUMBERS.fetch_add(1, Ordering::Relaxed)),
        }
    }

    /// The address that is charged for what the requests of the connection hold.
    pub fn client_address(&self) -> Option<limits::ClientAddress> {
        let peer = || self.peer.map(|peer| peer.ip());
        self.client.or_else(peer).map(Into::into)
    }
}

/// Who sent a request, as fields of a log line.
#[derive(Debug)]
pub struct Sender {
    /// The address at the other end of the connection.
    pub peer: Option<DisplayValue<SocketAddr>>,
    /// The client's address, if a trusted proxy says another one.
    pub client: Option<DisplayValue<IpAddr>>,
}

impl Sender {
    /// The sender of a request that came over this connection.
    pub fn of(connection: Option<&Connection>) -> Self {
        let peer = connection.and_then(|connection| connection.peer);
        let client = connection.and_then(|connection| connection.client);
        let own = peer.map(|peer| peer.ip().to_canonical());
        let client = client.map(|client| client.to_canonical());
        Self {
            peer: peer.map(display),
            client: client.filter(|client| Some(*client) != own).map(display),
        }
    }
}
