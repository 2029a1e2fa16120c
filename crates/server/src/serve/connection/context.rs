//! What connections are served with.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use http::HeaderValue;
use rustls::ServerConfig;
use talaria_config::settings::{HeadSettings, Protocols};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::serve::admission::{Admission, Place};
use crate::serve::requests::Once;
use crate::serve::shutdown::Shutdown;
use crate::serve::sites::Sites;

/// What every connection of a listener is served with.
#[derive(Clone)]
pub(crate) struct Context {
    /// The sites of the listener, of which each request asks one.
    pub sites: Arc<ArcSwap<Sites>>,
    /// What accepts the TLS handshakes, on an HTTPS listener.
    pub acceptor: Option<TlsAcceptor>,
    /// How long a peer may accept nothing.
    pub dispatch_timeout: Option<Duration>,
    /// The bounds of each head.
    pub head: HeadSettings,
    /// Streams of one connection over HTTP/2 or HTTP/3.
    pub max_streams: u32,
    /// The versions of HTTP that are spoken.
    pub protocols: Protocols,
    /// Where HTTP/3 is spoken, for clients of the other versions; set by the listener that binds it.
    pub alt_svc: Option<HeaderValue>,
    /// Which connections are accepted.
    pub admission: Admission,
    /// Ends the connections of all listeners.
    pub shutdown: Shutdown,
    /// Ends those of this listener.
    pub closing: CancellationToken,
}

impl Context {
    /// Offers TLS clients no protocol that is not to be spoken.
    pub(crate) fn restrict_protocols(&mut self) {
        let Some(acceptor) = self.acceptor.as_mut().filter(|_| !self.protocols.h2) else {
            return;
        };
        let mut config = ServerConfig::clone(acceptor.config());
        config.alpn_protocols.retain(|protocol| protocol != b"h2");
        *acceptor = TlsAcceptor::from(Arc::new(config));
    }
}

/// A connection that is being served.
pub(super) struct Accepted {
    /// What it is served with.
    pub context: Context,
    /// Its peer.
    pub peer: SocketAddr,
    /// Its place among all; `None` for a guest.
    pub place: Option<Place>,
    /// Why it ends with its first answer, if it does.
    pub once: Option<Once>,
    /// Ends it after the requests that are under way.
    pub ending: CancellationToken,
}

impl Accepted {
    /// A connection that has a place, and ends with its listener.
    pub(super) fn new(context: Context, peer: SocketAddr, place: Place) -> Self {
        // A token for each, because all that wait for one share its lock.
        let ending = context.closing.child_token();
        Self {
            context,
            peer,
            place: Some(place),
            once: None,
            ending,
        }
    }
}
