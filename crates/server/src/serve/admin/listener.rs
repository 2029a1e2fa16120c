//! The sockets of the admin listener and their connections, all of them bounded.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::{Domain, Protocol, Type};
use talaria_config::settings::AdminAddress;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::endpoints::Endpoints;

/// Connections at a time.
const CONNECTIONS: usize = 64;
/// How long a head may take, and an idle connection may stay.
const HEAD: Duration = Duration::from_secs(10);
/// How long a connection may live; a reload takes a minute at most.
const LIFE: Duration = Duration::from_secs(120);
/// How long requests under way may take at the end.
const LAST_ANSWERS: Duration = Duration::from_secs(65);
/// The bounds of a head.
const HEAD_BYTES: usize = 16 * 1024;
const FIELDS: usize = 64;
/// How long to wait when no connection can be accepted.
const PAUSE: Duration = Duration::from_millis(50);

/// A bound socket.
pub(super) enum Socket {
    /// Of TCP.
    Tcp(TcpListener, SocketAddr),
    /// In the file system; the file is removed at the end.
    Unix(UnixListener, SocketFile),
}

/// The file of a socket, which is removed with this.
pub(super) struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Another program may have replaced it, or the folder is gone.
        _ = std::fs::remove_file(&self.0);
    }
}

impl Socket {
    /// Its address.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Tcp(_, address) => address.to_string(),
            Self::Unix(_, file) => format!("unix/{}", file.0.display()),
        }
    }

    /// Its port of TCP.
    pub(super) fn port(&self) -> Option<u16> {
        match self {
            Self::Tcp(_, address) => Some(address.port()),
            Self::Unix(..) => None,
        }
    }
}

/// Binds an address: `localhost` in both families where the machine has both.
///
/// # Errors
/// The system refuses it.
pub(super) fn bind(address: &AdminAddress) -> io::Result<Vec<Socket>> {
    match address {
        AdminAddress::Unix(path) => Ok(vec![bind_unix(path)?]),
        AdminAddress::Tcp { host, port } if host == "localhost" => {
            let first = bind_tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, *port)))?;
            let port = first.port().unwrap_or(*port);
            let second = bind_tcp(SocketAddr::from((Ipv6Addr::LOCALHOST, port)));
            if let Err(error) = &second {
                tracing::debug!(%error, "the admin listener has no IPv6 address");
            }
            Ok(std::iter::once(first).chain(second.ok()).collect())
        }
        AdminAddress::Tcp { host, port } if host.is_empty() => {
            let everywhere = SocketAddr::from((Ipv6Addr::UNSPECIFIED, *port));
            let bound = bind_tcp(everywhere).or_else(|error| match error.kind() {
                io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied => Err(error),
                _ => bind_tcp(SocketAddr::from((Ipv4Addr::UNSPECIFIED, *port))),
            });
            Ok(vec![bound?])
        }
        AdminAddress::Tcp { host, port } => {
            let ip = host.parse().map_err(|_| {
                let problem = format!("{host} is not an IP address of this machine, nor localhost");
                io::Error::new(io::ErrorKind::InvalidInput, problem)
            })?;
            Ok(vec![bind_tcp(SocketAddr::new(ip, *port))?])
        }
    }
}

fn bind_tcp(address: SocketAddr) -> io::Result<Socket> {
    let domain = Domain::for_address(address);
    let socket = socket2::Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(address.ip().is_loopback())?;
    }
    socket.bind(&address.into())?;
    socket.listen(128)?;
    let listener = TcpListener::from_std(socket.into())?;
    let address = listener.local_addr()?;
    Ok(Socket::Tcp(listener, address))
}

fn bind_unix(path: &Path) -> io::Result<Socket> {
    // A socket that a program left behind answers to no one.
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
    if is_socket && std::os::unix::net::UnixStream::connect(path).is_err() {
        std::fs::remove_file(path)?;
    }
    let listener = UnixListener::bind(path)?;
    let file = SocketFile(path.to_owned());
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(Socket::Unix(listener, file))
}

/// Accepts connections until `end`, drops `closes` when the socket has closed, and then waits a while for the
/// last answers.
pub(super) async fn accept(
    socket: Socket,
    endpoints: Arc<Endpoints>,
    end: CancellationToken,
    closes: oneshot::Sender<()>,
) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = next(&socket) => match accepted {
                // Beyond the bound, the client sees a closed connection.
                Ok(_) if connections.len() >= CONNECTIONS => {}
                Ok(Stream::Tcp(stream)) => {
                    connections.spawn(serve(stream, Arc::clone(&endpoints), end.clone()));
                }
                Ok(Stream::Unix(stream)) => {
                    connections.spawn(serve(stream, Arc::clone(&endpoints), end.clone()));
                }
                Err(error) => {
                    tracing::warn!(name: "admin_accept_failed", %error, "an admin connection could not be accepted");
                    sleep(PAUSE).await;
                }
            },
            Some(_) = connections.join_next() => {}
            () = end.cancelled() => break,
        }
    }
    drop(socket);
    drop(closes);
    let last = async { while connections.join_next().await.is_some() {} };
    _ = timeout(LAST_ANSWERS, last).await;
}

enum Stream {
    Tcp(tokio::net::TcpStream),
    Unix(tokio::net::UnixStream),
}

async fn next(socket: &Socket) -> io::Result<Stream> {
    match socket {
        Socket::Tcp(listener, _) => Ok(Stream::Tcp(listener.accept().await?.0)),
        Socket::Unix(listener, _) => Ok(Stream::Unix(listener.accept().await?.0)),
    }
}

async fn serve<S>(stream: S, endpoints: Arc<Endpoints>, end: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let answer = service_fn(move |request| {
        let endpoints = Arc::clone(&endpoints);
        async move { Ok::<_, std::convert::Infallible>(endpoints.answer(request).await) }
    });
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(HEAD_BYTES)
        .max_headers(FIELDS);
    let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), answer));
    let served = async {
        tokio::select! {
            ended = connection.as_mut() => ended,
            () = end.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        }
    };
    if let Ok(Err(error)) = timeout(LIFE, served).await {
        tracing::debug!(%error, "an admin connection broke off");
    }
}
