//! What connections are served with.

use std::net::SocketAddr;
use std::time::Duration;

use talaria_config::settings::HeadSettings;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::serve::admission::{Admission, Place};
use crate::serve::requests::Once;
use crate::serve::shutdown::Shutdown;
use crate::serve::site::Site;

/// What every connection of a listener is served with.
#[derive(Clone)]
pub(crate) struct Context {
    /// What answers the requests.
    pub site: Site,
    /// What accepts the TLS handshakes, on an HTTPS listener.
    pub acceptor: Option<TlsAcceptor>,
    /// How long a peer may accept nothing.
    pub dispatch_timeout: Option<Duration>,
    /// The bounds of each head.
    pub head: HeadSettings,
    /// Streams of one HTTP/2 connection.
    pub max_streams: u32,
    /// Which connections are accepted.
    pub admission: Admission,
    /// Ends the connections.
    pub shutdown: Shutdown,
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
    /// A connection that has a place, and ends when the program stops.
    pub(super) fn new(context: Context, peer: SocketAddr, place: Place) -> Self {
        // A token for each, because all that wait for one share its lock.
        let ending = context.shutdown.stopping.child_token();
        Self {
            context,
            peer,
            place: Some(place),
            once: None,
            ending,
        }
    }
}
