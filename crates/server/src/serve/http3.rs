//! HTTP/3: a listener on UDP beside each HTTPS listener, with the same certificates, sites and limits.

mod body;
mod driver;
mod flow;
mod quic;
mod request;

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use http::HeaderValue;
use quinn::crypto::rustls::QuicServerConfig;
use quinn::{Endpoint, EndpointConfig, IdleTimeout, Incoming, ServerConfig, TransportConfig};
use socket2::{Domain, Protocol, Socket, Type};
use talaria_config::Error;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use self::driver::{Newcomer, serve};
use crate::serve::connection::Context;
use crate::serve::counts::REFUSED_CONNECTIONS;
use crate::serve::log::in_one_line;

/// How long a browser remembers that HTTP/3 is spoken here: 30 days, as the existing hub says (B-060).
const REMEMBERED: u32 = 2_592_000;
/// How long a client may be silent that does not answer. Its streams can be resumed.
const SILENT: Duration = Duration::from_secs(30);
/// How often a client is asked whether it is still there. Addresses are translated for at least 30 s
/// (RFC 9308, section 3.2), and the heartbeat of a stream may come later.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Bytes of one stream, and of a connection, that a client may send before they are read.
const STREAM_WINDOW: u32 = 128 * 1024;
const CONNECTION_WINDOW: u32 = 512 * 1024;
/// Bytes that are kept for a connection until its client has acknowledged them.
const SEND_WINDOW: u64 = 512 * 1024;
/// The control stream of HTTP/3, two of header compression, and some that are ignored.
const UNIDIRECTIONAL: u8 = 8;
/// Bytes of a beginning handshake that wait until it is accepted, and the number of those.
const WAITING_BYTES: u64 = 16 * 1024;
const WAITING: usize = 64;
/// Handshakes at a time whose clients have not shown that their address is theirs. Beyond them a client must first
/// repeat a token that was sent there, which costs it a round trip and the hub nothing.
const UNVALIDATED: usize = 64;
/// What the kernel may hold for the socket, which all connections share.
const SOCKET_BYTES: usize = 2 * 1024 * 1024;

/// A bound socket for HTTP/3. Clones share it; it closes with the last one and its connections.
#[derive(Clone)]
pub(crate) struct Listening {
    endpoint: Endpoint,
    /// What connections begin with. Its key makes the tokens by which clients show their addresses, so that it stays.
    config: ServerConfig,
    /// What the answers of the HTTPS listener say about it.
    pub alt_svc: HeaderValue,
}

impl Listening {
    /// Accepts connections, again if it had paused, with what the context says now.
    pub(crate) fn resume(&mut self, context: &Context) {
        let Some(acceptor) = context.acceptor.as_ref() else {
            return;
        };
        match configure(acceptor.config(), context.max_streams) {
            Ok(config) => {
                self.config.crypto = config.crypto;
                self.config.transport = config.transport;
            }
            Err(error) => tracing::warn!(
                name: "http3_not_reconfigured",
                error = in_one_line(&error),
                "HTTP/3 goes on with its settings from before"
            ),
        }
        self.endpoint.set_server_config(Some(self.config.clone()));
    }

    /// Accepts no connection any more. The socket stays for those that are open, and until it
    /// [resumes](Self::resume).
    pub(crate) fn pause(&self) {
        self.endpoint.set_server_config(None);
    }
}

/// Listens for HTTP/3 on the port of an HTTPS listener; `None` if the context does not ask for it, or the port is taken.
/// The hub serves without HTTP/3 then, because every client that speaks it speaks HTTP/2 too.
pub(crate) fn listen(context: &Context, address: SocketAddr) -> Option<Listening> {
    let acceptor = context.acceptor.as_ref()?;
    if !context.protocols.h3 {
        return None;
    }
    let port = address.port();
    let alt_svc = HeaderValue::try_from(format!("h3=\":{port}\"; ma={REMEMBERED}")).ok()?;
    let listening = configure(acceptor.config(), context.max_streams).and_then(|config| {
        let endpoint = endpoint(config.clone(), address).map_err(Error::from_cause)?;
        Ok(Listening {
            endpoint,
            config,
            alt_svc,
        })
    });
    match listening {
        Ok(listening) => Some(listening),
        Err(error) => {
            tracing::warn!(
                name: "http3_unavailable",
                port,
                "no HTTP/3: the UDP port cannot be used: {}; free it, or write `servers {{ protocols h1 h2 }}` in the global options",
                in_one_line(&error)
            );
            None
        }
    }
}

/// QUIC with the certificates of the HTTPS listener, which may be exchanged later.
fn configure(tls: &rustls::ServerConfig, max_streams: u32) -> Result<ServerConfig, Error> {
    let mut tls = tls.clone();
    tls.alpn_protocols = vec![b"h3".to_vec()];
    // A repeated early request would be stored twice.
    tls.max_early_data_size = 0;
    let tls = QuicServerConfig::try_from(tls).map_err(Error::from_cause)?;
    let mut transport = TransportConfig::default();
    let silent = IdleTimeout::try_from(SILENT).map_err(Error::from_cause)?;
    transport
        .max_concurrent_bidi_streams(max_streams.into())
        .max_concurrent_uni_streams(UNIDIRECTIONAL.into())
        .stream_receive_window(STREAM_WINDOW.into())
        .receive_window(CONNECTION_WINDOW.into())
        .send_window(SEND_WINDOW)
        .datagram_receive_buffer_size(None)
        .max_idle_timeout(Some(silent))
        .keep_alive_interval(Some(KEEP_ALIVE));
    let mut config = ServerConfig::with_crypto(Arc::new(tls));
    config
        .transport_config(Arc::new(transport))
        .max_incoming(WAITING)
        .incoming_buffer_size(WAITING_BYTES)
        .incoming_buffer_size_total(WAITING as u64 * WAITING_BYTES);
    Ok(config)
}

fn endpoint(config: ServerConfig, address: SocketAddr) -> io::Result<Endpoint> {
    let socket = bind(address)?;
    let runtime = Arc::new(quinn::TokioRuntime);
    Endpoint::new(EndpointConfig::default(), Some(config), socket, runtime)
}

fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::DGRAM,
        Some(Protocol::UDP),
    )?;
    socket.set_nonblocking(true)?;
    if address.is_ipv6() {
        // As the listener beside it: one socket serves both families.
        socket.set_only_v6(address.ip() != std::net::Ipv6Addr::UNSPECIFIED)?;
    }
    // The kernel may allow less.
    _ = socket.set_recv_buffer_size(SOCKET_BYTES);
    _ = socket.set_send_buffer_size(SOCKET_BYTES);
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// Accepts connections until `closing`, which ends those that are open once they are idle; waits for them to end, at most
/// until the program stops.
pub(crate) async fn accept(
    listening: Listening,
    context: Arc<ArcSwap<Context>>,
    closing: CancellationToken,
) -> JoinSet<()> {
    let mut closed = pin!(closing.cancelled());
    let unvalidated = Arc::new(Semaphore::new(UNVALIDATED));
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            // A connection that comes when HTTP/3 is on again is for the task that accepts then.
            biased;
            () = closed.as_mut() => break,
            Some(_) = connections.join_next() => {}
            incoming = listening.endpoint.accept() => match incoming {
                Some(incoming) => {
                    let mut context = Context::clone(&context.load());
                    context.closing = closing.clone();
                    if let Some(newcomer) = admit(incoming, &context, &unvalidated) {
                        connections.spawn(serve(context, newcomer));
                    }
                }
                None => {
                    tracing::error!(name: "http3_failed", "the UDP socket of HTTP/3 failed; clients use HTTP/2");
                    return connections;
                }
            },
        }
    }
    // Only with the HTTPS listener, because HTTP/3 alone may be on again.
    if context.load().closing.is_cancelled() {
        listening.pause();
    }
    let stopping = context.load().shutdown.stopping.clone();
    let ended = async { while connections.join_next().await.is_some() {} };
    tokio::select! {
        () = ended => {}
        () = stopping.cancelled() => {}
    }
    connections
}

/// Begins a handshake if there is room for one. A client whose address may be another's first has to show that it is
/// its own, when many handshakes are under way or there is no room for its connection.
fn admit(incoming: Incoming, context: &Context, unvalidated: &Arc<Semaphore>) -> Option<Newcomer> {
    let peer = incoming.remote_address();
    let is_validated = incoming.remote_address_validated();
    let permit = Arc::clone(unvalidated).try_acquire_owned().ok();
    if !is_validated && permit.is_none() {
        return turn_away(incoming, is_validated);
    }
    let place = match context.admission.enter(peer) {
        Ok(place) => place,
        Err(refused) => {
            REFUSED_CONNECTIONS.count(refused.limit());
            tracing::warn!(
                name: "limit_exceeded",
                reason = "limit_exceeded",
                limit = refused.limit(),
                %peer,
                "an HTTP/3 connection was refused: {refused}"
            );
            return turn_away(incoming, is_validated);
        }
    };
    let handshake = match place.handshake() {
        Ok(handshake) => handshake,
        Err(exhausted) => {
            REFUSED_CONNECTIONS.count("max_handshakes");
            tracing::warn!(
                name: "limit_exceeded",
                reason = "limit_exceeded",
                limit = "max_handshakes",
                %peer,
                "a QUIC handshake was refused: {exhausted}"
            );
            return turn_away(incoming, is_validated);
        }
    };
    match incoming.accept() {
        Ok(connecting) => Some(Newcomer {
            connecting,
            peer,
            place,
            under_way: Box::new((handshake, permit.filter(|_| !is_validated))),
        }),
        Err(error) => {
            tracing::debug!(%peer, "a QUIC handshake failed: {error}");
            None
        }
    }
}

/// Refuses a connection, or has its client show first that its address is its own.
fn turn_away(incoming: Incoming, is_validated: bool) -> Option<Newcomer> {
    if is_validated {
        incoming.refuse();
    } else if let Err(error) = incoming.retry() {
        error.into_incoming().refuse();
    }
    None
}
