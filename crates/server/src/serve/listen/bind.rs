//! Sockets: how they are bound, and what to do when that fails.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use rustix::io::Errno;
use socket2::{Domain, Protocol, Socket, Type};
use talaria_config::Error;
use tokio::net::TcpListener;

use crate::serve::privileged_port;

/// Connections that the kernel may complete before we accept them.
const BACKLOG: i32 = 4096;

/// The error for an address that cannot be bound.
pub(super) fn not_bound(ip: Option<IpAddr>, port: u16, error: io::Error) -> Error {
    let shown = ip.map_or_else(
        || format!(":{port}"),
        |ip| SocketAddr::new(ip, port).to_string(),
    );
    let right = privileged_port::remedy(port, &error);
    let right = right.map(|right| format!("{right}; or use another port: SERVER_NAME=:3000"));
    let other = match error.kind() {
        io::ErrorKind::AddrNotAvailable => {
            "`bind` and `default_bind` take addresses of this machine; leave them out to listen on all"
        }
        _ => "stop what uses it, or choose another: SERVER_NAME, the site address or `dev --port`",
    };
    Error::new(format!("cannot listen on {shown}"))
        .caused_by(error)
        .remedy(right.unwrap_or_else(|| other.to_owned()))
}

/// Binds a port of an interface; `None` stands for all interfaces.
///
/// # Errors
/// The system refuses it.
pub(super) fn bind_on(interface: Option<IpAddr>, port: u16) -> io::Result<TcpListener> {
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
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_nonblocking(true)?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}
