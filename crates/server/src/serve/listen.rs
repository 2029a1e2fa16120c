//! Listeners: bind, accept, and the end of all connections.

use std::collections::{BTreeMap, BTreeSet};
use std::future::pending;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::pin;
use std::time::Duration;

use rustix::io::Errno;
use socket2::{Domain, Protocol, Socket, Type};
use talaria_config::Error;
use talaria_config::settings::ListenAddress;
use talaria_hub::limits::Exhausted;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tokio_rustls::TlsAcceptor;

use crate::serve::connection::{self, Context};
use crate::serve::http3;
use crate::serve::shutdown::Shutdown;
use crate::serve::site::Hosts;
use crate::serve::tls::Tls;

/// Connections that the kernel may complete before we accept them.
const BACKLOG: i32 = 4096;
/// How long to wait when no connection can be accepted, for example without free descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Bound sockets.
pub(crate) struct Listeners(Vec<Listener>);

struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    hosts: Hosts,
    tls: bool,
}

impl Listeners {
    /// Binds every address; addresses that share a port share a socket. Requests on the port `redirects` that
    /// no address there serves are redirected to HTTPS (B-062).
    ///
    /// # Errors
    /// An address cannot be bound, or two contradict each other.
    pub(crate) fn bind(addresses: &[ListenAddress], redirects: Option<u16>) -> Result<Self, Error> {
        let mut sites = sites(addresses)?;
        // The system has not chosen the port of an address with port 0 yet.
        let known = |address: &&ListenAddress| address.tls && address.port != 0;
        let https = addresses.iter().find(known);
        let redirect = redirects.zip(https.map(|address| address.port));
        if let Some((http, https)) = redirect {
            let own = sites.iter_mut().filter(|((_, port), _)| *port == http);
            own.for_each(|(_, (hosts, tls))| {
                if !*tls {
                    hosts.redirect_others_to(https);
                }
            });
        }
        let mut listeners = Vec::new();
        for ((ip, port), (mut hosts, tls)) in sites {
            let failed = |error| not_bound(ip, port, error);
            let listener = bind_on(ip, port).map_err(failed)?;
            let address = listener.local_addr().map_err(failed)?;
            hosts.listen_on(address.port(), tls);
            listeners.push(Listener {
                socket: listener,
                address,
                hosts,
                tls,
            });
        }
        let serves = |port: u16| {
            let mut own = listeners.iter().map(|listener| listener.address.port());
            own.any(|own| own == port)
        };
        if let Some((http, https)) = redirect.filter(|(http, _)| !serves(*http)) {
            let interfaces = addresses.iter().filter(|address| address.tls);
            let interfaces: BTreeSet<_> = interfaces.flat_map(self::interfaces).collect();
            for interface in interfaces {
                listeners.extend(redirecting(interface, http, https));
            }
        }
        Ok(Self(listeners))
    }
}

/// What each socket serves: the hosts, and whether over TLS.
type Sites = BTreeMap<(Option<IpAddr>, u16), (Hosts, bool)>;

fn sites(addresses: &[ListenAddress]) -> Result<Sites, Error> {
    let mut sites = Sites::new();
    for address in addresses {
        for interface in interfaces(address) {
            let (hosts, tls) = sites.entry((interface, address.port)).or_default();
            if !hosts.is_empty() && *tls != address.tls {
                return Err(Error::new(format!(
                    "port {} cannot speak HTTP and HTTPS at once",
                    address.port
                ))
                .remedy("give one of its addresses another port"));
            }
            hosts.add(address.host.as_deref());
            *tls = address.tls;
        }
    }
    Ok(sites)
}

fn not_bound(ip: Option<IpAddr>, port: u16, error: io::Error) -> Error {
    let shown = ip.map_or_else(
        || format!(":{port}"),
        |ip| SocketAddr::new(ip, port).to_string(),
    );
    let remedy = match error.kind() {
        io::ErrorKind::AddrNotAvailable => {
            "`bind` and `default_bind` take addresses of this machine; leave them out to listen on all"
        }
        _ => "stop what uses it, or choose another: SERVER_NAME, the site address or `dev --port`",
    };
    Error::new(format!("cannot listen on {shown}"))
        .caused_by(error)
        .remedy(remedy)
}

/// A listener that only redirects. It helps clients that leave out the scheme, so the hub starts without it if
/// another program has the port.
fn redirecting(interface: Option<IpAddr>, http: u16, https: u16) -> Option<Listener> {
    let bound = bind_on(interface, http).and_then(|socket| Ok((socket.local_addr()?, socket)));
    match bound {
        Ok((address, socket)) => {
            let mut hosts = Hosts::default();
            hosts.redirect_others_to(https);
            Some(Listener {
                socket,
                address,
                hosts,
                tls: false,
            })
        }
        Err(error) => {
            tracing::warn!(
                "port {http} does not redirect to HTTPS: {error}; free it, or write `auto_https disable_redirects` in the global options"
            );
            None
        }
    }
}

/// The interfaces of an address; `None` stands for all of them.
fn interfaces(address: &ListenAddress) -> Vec<Option<IpAddr>> {
    match address.bind.as_slice() {
        [] => vec![None],
        some => some.iter().copied().map(Some).collect(),
    }
}

fn bind_on(interface: Option<IpAddr>, port: u16) -> io::Result<TcpListener> {
    match interface {
        Some(ip) => bind(SocketAddr::new(ip, port)),
        // One socket serves both families; a machine without IPv6 gets one for IPv4.
        None => bind(SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), port)).or_else(|error| {
            match Errno::from_io_error(&error) {
                Some(Errno::AFNOSUPPORT | Errno::ADDRNOTAVAIL) => {
                    bind(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port))
                }
                _ => Err(error),
            }
        }),
    }
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM.nonblocking().cloexec(),
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Listeners at work; owns their tasks.
pub(crate) struct Serving {
    addresses: Vec<SocketAddr>,
    /// Each task ends with its open connections.
    accepting: JoinSet<JoinSet<()>>,
    shutdown: Shutdown,
}

impl Serving {
    /// Starts to accept.
    ///
    /// `context` says what the connections of a listener are served with, given its hosts and what accepts its
    /// TLS handshakes. They end with `shutdown`.
    pub(crate) fn start(
        listeners: Listeners,
        tls: Option<&Tls>,
        shutdown: Shutdown,
        context: impl Fn(Hosts, Option<TlsAcceptor>) -> Context,
    ) -> Self {
        let mut accepting = JoinSet::new();
        let mut addresses = Vec::new();
        for listener in listeners.0 {
            if !listener.hosts.is_empty() {
                addresses.push(listener.address);
            }
            let acceptor = tls.filter(|_| listener.tls).map(Tls::acceptor);
            let mut context = context(listener.hosts, acceptor);
            context.restrict_protocols();
            if let Some(http3) = http3::listen(&mut context, listener.address) {
                accepting.spawn(http3);
            }
            accepting.spawn(accept(listener.socket, context));
        }
        Self {
            addresses,
            accepting,
            shutdown,
        }
    }

    /// Where the hub can be reached, in the order of the ports.
    pub(crate) fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Closes the listeners and every idle connection; the others close after their response.
    pub(crate) async fn stop_listening(mut self) -> Connections {
        self.shutdown.stopping.cancel();
        let mut open = Vec::new();
        while let Some(connections) = self.accepting.join_next().await {
            open.extend(connections.ok());
        }
        Connections {
            open,
            shutdown: self.shutdown,
        }
    }
}

/// Connections that are still open after their listener closed.
pub(crate) struct Connections {
    open: Vec<JoinSet<()>>,
    shutdown: Shutdown,
}

impl Connections {
    /// Waits for them to end, and for the hub to be `drained`, at most this long, then cuts the connections.
    /// It does not wait for connections on which nothing is under way, because their peers may be silent; but
    /// it does for what the hub still stores, such as the ends of subscriptions.
    pub(crate) async fn finish(mut self, drained: impl Future<Output = ()>, at_most: Duration) {
        let finished = async {
            for connections in &mut self.open {
                while connections.join_next().await.is_some() {}
            }
            pending::<()>().await;
        };
        let idle = async {
            tokio::join!(self.shutdown.idle(), drained);
        };
        tokio::select! {
            // Joined, so that what has ended is not counted.
            () = finished => {}
            () = idle => {}
            () = sleep(at_most) => {}
        }
        let left: usize = self.open.iter().map(JoinSet::len).sum();
        tracing::info!(connections = left, "connections that did not end are cut");
    }
}

async fn accept(listener: TcpListener, context: Context) -> JoinSet<()> {
    let stopping = context.shutdown.stopping.clone();
    let mut stopped = pin!(stopping.cancelled());
    let mut connections = JoinSet::new();
    let mut refusals = Refusals::default();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    configure(&stream, context.dispatch_timeout);
                    match context.admission.enter(peer) {
                        Ok(place) => {
                            let served = connection::serve(context.clone(), stream, peer, place);
                            connections.spawn(served);
                        }
                        Err(exhausted) => {
                            refusals.count(peer, exhausted);
                            // Without room for a guest, the connection is closed unanswered.
                            if let Some(guest) = context.admission.guest() {
                                let context = context.clone();
                                let served = connection::serve_guest(context, stream, peer, guest);
                                connections.spawn(served);
                            }
                        }
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_) = connections.join_next() => {}
            () = stopped.as_mut() => return connections,
        }
    }
}

/// Counts connections for which there was no room. They are logged once in a while, because they may be many.
#[derive(Default)]
struct Refusals {
    count: u64,
    logged: Option<Instant>,
}

impl Refusals {
    fn count(&mut self, peer: SocketAddr, exhausted: Exhausted) {
        const PAUSE: Duration = Duration::from_secs(10);
        self.count += 1;
        let now = Instant::now();
        if self.logged.is_none_or(|logged| now >= logged + PAUSE) {
            tracing::warn!(
                count = self.count,
                %peer,
                "connections were refused: {exhausted}; see max_connections and max_connections_per_address"
            );
            (self.count, self.logged) = (0, Some(now));
        }
    }
}

/// Sets the options by which the kernel bounds a stalled or vanished reader (ADR 0010).
fn configure(stream: &TcpStream, dispatch_timeout: Option<Duration>) {
    const UNSENT_BYTES: u32 = 16 * 1024;
    const GONE: Duration = Duration::from_secs(30);
    let socket = socket2::SockRef::from(stream);
    let configured = socket
        .set_tcp_nodelay(true)
        .and_then(|()| socket.set_tcp_notsent_lowat(UNSENT_BYTES))
        // This timeout also ends a reader that stays connected without reading, so it must not be shorter than
        // the operator allows.
        .and_then(|()| {
            socket.set_tcp_user_timeout(dispatch_timeout.map(|timeout| timeout.max(GONE)))
        });
    if let Err(error) = configured {
        // The peer may be gone already; reading will tell.
        tracing::debug!(%error, "a socket could not be configured");
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    fn connections() -> Connections {
        Connections {
            open: Vec::new(),
            shutdown: Shutdown::default(),
        }
    }

    /// All connections have ended, and the hub still stores the ends of their subscriptions.
    #[tokio::test(start_paused = true)]
    async fn the_end_waits_for_what_the_hub_stores() {
        let (stored, drained) = oneshot::channel::<()>();
        let drained = async { drop(drained.await) };
        let finishing = connections().finish(drained, Duration::from_secs(60));
        let mut finishing = pin!(finishing);
        tokio::select! {
            biased;
            () = finishing.as_mut() => panic!("it did not wait"),
            () = sleep(Duration::from_secs(30)) => {}
        }
        drop(stored);
        let before = Instant::now();
        finishing.await;
        assert!(before.elapsed() < Duration::from_secs(1));
    }

    /// A history that does not answer does not keep the program.
    #[tokio::test(start_paused = true)]
    async fn the_end_waits_for_a_limited_time() {
        let before = Instant::now();
        let limit = Duration::from_secs(3);
        connections().finish(pending(), limit).await;
        assert_eq!(before.elapsed().as_secs(), 3);
    }
}
