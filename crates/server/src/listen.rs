//! Listeners: bind, accept, and the end of all connections.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use rustix::io::Errno;
use socket2::{Domain, Protocol, Socket, Type};
use talaria_hub::limits::Exhausted;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;

use crate::config::settings::ListenAddress;
use crate::connection::{self, Serve};
use crate::site::Hosts;
use crate::tls::Tls;

/// Connections that the kernel may complete before we accept them.
const BACKLOG: i32 = 4096;
/// How long to wait when no connection can be accepted, for example without free descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Bound sockets.
pub struct Listeners(Vec<Listener>);

struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    hosts: Hosts,
    tls: bool,
}

impl Listeners {
    /// Binds every address; addresses that share a port share a socket. What is asked for on
    /// the port `redirects` and served nowhere there is sent to HTTPS (B-062).
    ///
    /// # Errors
    /// A sentence that names the address and the remedy.
    pub fn bind(addresses: &[ListenAddress], redirects: Option<u16>) -> Result<Self, String> {
        let mut sites: BTreeMap<(Option<IpAddr>, u16), (Hosts, bool)> = BTreeMap::new();
        for address in addresses {
            for interface in interfaces(address) {
                let (hosts, tls) = sites.entry((interface, address.port)).or_default();
                if !hosts.is_empty() && *tls != address.tls {
                    return Err(format!(
                        "port {} cannot speak HTTP and HTTPS at once; give one of its addresses another port",
                        address.port
                    ));
                }
                hosts.add(address.host.as_deref());
                *tls = address.tls;
            }
        }
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
            let listener = bind_on(ip, port).map_err(|error| {
                let shown = ip.map_or_else(
                    || format!(":{port}"),
                    |ip| SocketAddr::new(ip, port).to_string(),
                );
                let remedy = match error.kind() {
                    ErrorKind::AddrNotAvailable => {
                        "`bind` and `default_bind` take addresses of this machine; leave them out to listen on all"
                    }
                    _ => {
                        "stop what uses it, or choose another: SERVER_NAME, the site address or `dev --port`"
                    }
                };
                format!("cannot listen on {shown}: {error}\n  {remedy}")
            })?;
            let address = listener.local_addr().map_err(|error| error.to_string())?;
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

/// The redirects only help clients that leave out the scheme. So the hub starts without them if another
/// program has the port.
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

fn bind_on(interface: Option<IpAddr>, port: u16) -> std::io::Result<TcpListener> {
    match interface {
        Some(ip) => bind(SocketAddr::new(ip, port)),
        // One socket for both families; a host without IPv6 has the other.
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

fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
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
pub struct Serving {
    addresses: Vec<SocketAddr>,
    /// Each task ends with its open connections.
    accepting: JoinSet<JoinSet<()>>,
    stop: watch::Sender<bool>,
}

impl Serving {
    /// Starts to accept.
    ///
    /// `serve` says with what the connections of a listener are served, given its hosts, what takes its TLS
    /// handshakes, and what ends its connections.
    pub fn start(
        listeners: Listeners,
        tls: Option<&Tls>,
        serve: impl Fn(Hosts, Option<TlsAcceptor>, watch::Receiver<bool>) -> Serve,
    ) -> Self {
        let (stop, stopped) = watch::channel(false);
        let mut accepting = JoinSet::new();
        let mut addresses = Vec::new();
        for listener in listeners.0 {
            if !listener.hosts.is_empty() {
                addresses.push(listener.address);
            }
            let acceptor = tls.filter(|_| listener.tls).map(Tls::acceptor);
            let serve = serve(listener.hosts, acceptor, stopped.clone());
            accepting.spawn(accept(listener.socket, serve));
        }
        Self {
            addresses,
            accepting,
            stop,
        }
    }

    /// Where the hub can be reached, in the order of the ports.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Closes the listeners and every idle connection; the others close after their response.
    pub async fn stop_listening(mut self) -> Connections {
        // The receivers are the tasks below; without one there is nothing to stop.
        _ = self.stop.send(true);
        let mut open = Vec::new();
        while let Some(connections) = self.accepting.join_next().await {
            open.extend(connections.ok());
        }
        Connections(open)
    }
}

/// Connections that are still open after their listener closed.
pub struct Connections(Vec<JoinSet<()>>);

impl Connections {
    /// Waits for them to end, at most this long, then cuts them. Connections on which nothing is
    /// under way are not waited for: their peers may be silent.
    pub async fn finish(mut self, at_most: Duration, is_idle: impl Fn() -> bool) {
        const LOOK: Duration = Duration::from_millis(50);
        /// For what was answered a moment ago and is still being written.
        const LOOKS: usize = 6;
        let finished = async {
            for connections in &mut self.0 {
                while connections.join_next().await.is_some() {}
            }
        };
        let idle = async {
            let mut looks = 0;
            while looks < LOOKS {
                tokio::time::sleep(LOOK).await;
                looks = if is_idle() { looks + 1 } else { 0 };
            }
        };
        tokio::select! {
            () = finished => return,
            () = idle => {}
            () = tokio::time::sleep(at_most) => {}
        }
        let left: usize = self.0.iter().map(JoinSet::len).sum();
        tracing::info!(connections = left, "connections that did not end are cut");
    }
}

async fn accept(listener: TcpListener, serve: Serve) -> JoinSet<()> {
    let mut connections = JoinSet::new();
    let mut refusals = Refusals::default();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    configure(&stream, serve.dispatch_timeout);
                    match serve.admission.enter(peer) {
                        Ok(place) => {
                            connections.spawn(serve.clone().connection(stream, peer, place));
                        }
                        Err(exhausted) => {
                            refusals.count(peer, exhausted);
                            // Without room for a guest, the connection is closed unanswered.
                            if let Some(guest) = serve.admission.guest() {
                                connections.spawn(serve.clone().guest(stream, peer, guest));
                            }
                        }
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_) = connections.join_next() => {}
            () = connection::wait_for_stop(serve.stopped.clone()) => return connections,
        }
    }
}

/// Connections for which there was no room. They are logged once in a while, because they may be many.
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

/// The kernel's part in bounding a stalled or vanished reader (design §4).
fn configure(stream: &TcpStream, dispatch_timeout: Option<Duration>) {
    const UNSENT_BYTES: u32 = 16 * 1024;
    const GONE: Duration = Duration::from_secs(30);
    let socket = socket2::SockRef::from(stream);
    let configured = socket
        .set_tcp_nodelay(true)
        .and_then(|()| socket.set_tcp_notsent_lowat(UNSENT_BYTES))
        // It also ends a reader that stays connected without reading, which the operator may have
        // allowed.
        .and_then(|()| {
            socket.set_tcp_user_timeout(dispatch_timeout.map(|timeout| timeout.max(GONE)))
        });
    if let Err(error) = configured {
        // The peer may be gone already; reading will tell.
        tracing::debug!(%error, "a socket could not be configured");
    }
}
