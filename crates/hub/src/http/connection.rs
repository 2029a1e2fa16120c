//! What a listener tells the hub about the connection of a request.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};

use tracing::field::{DisplayValue, display};

use crate::limits::ClientAddress;

/// The connection of a request. A listener puts it into the extensions of the request; without it the
/// request counts as one over a plain connection of an unknown client.
#[derive(Debug, Clone, Copy, Default)]
pub struct Connection {
    /// Whether the client's connection is encrypted.
    pub tls: bool,
    /// The address at the other end of the connection: the client's or that of a proxy.
    pub peer: Option<SocketAddr>,
    /// The address of the client, if a trusted proxy says it.
    pub client: Option<IpAddr>,
    /// A number that no other connection has. Without one the bounds for each connection do not apply.
    pub number: Option<u64>,
}

impl Connection {
    /// A connection with a new number.
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
    pub fn client_address(&self) -> Option<ClientAddress> {
        let peer = || self.peer.map(|peer| peer.ip());
        self.client.or_else(peer).map(Into::into)
    }
}

/// Who sent a request, as fields of a log line.
#[derive(Debug)]
pub struct Sender {
    /// The address at the other end of the connection.
    pub peer: Option<DisplayValue<SocketAddr>>,
    /// The address of the client, if a trusted proxy says another one.
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

#[cfg(not(talaria_loom))]
#[cfg(test)]
mod tests {
    use super::*;

    fn at(address: &str) -> Connection {
        Connection {
            peer: Some((address.parse::<IpAddr>().expect("one"), 1).into()),
            ..Connection::default()
        }
    }

    /// Behind a trusted proxy the client is charged, not the proxy.
    #[test]
    fn the_address_of_the_client_is_charged() {
        let here = at("192.0.2.1");
        let proxied = |client: &str| Connection {
            client: Some(client.parse().expect("one")),
            ..here
        };
        assert_ne!(
            proxied("203.0.113.1").client_address(),
            proxied("203.0.113.2").client_address()
        );
        assert_eq!(
            proxied("198.51.100.1").client_address(),
            at("198.51.100.1").client_address()
        );
        assert_eq!(Connection::default().client_address(), None);
    }
}
