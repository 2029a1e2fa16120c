//! Subscribers that never read: what a hub must survive.

use std::io::{self, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};

use super::plan::Plan;
use crate::error::Problem;
use crate::http::error::HttpError;

/// The requested receive buffer in bytes; Linux doubles it.
const RECEIVE_BUFFER: usize = 4096;

/// How long the hub may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Subscribes with `count` sockets, which stay subscribed until they are dropped.
///
/// # Errors
/// When one cannot connect or the hub refuses it.
pub(crate) fn open(plan: &Plan, count: usize) -> Result<Vec<TcpStream>, Problem> {
    (0..count)
        .map(|number| {
            open_one(plan, number % plan.load.subscribers)
                .map_err(|error| Problem::Stalled { number, error })
        })
        .collect()
}

fn open_one(plan: &Plan, subscriber: usize) -> Result<TcpStream, HttpError> {
    let mut stream = connect(plan.target.address).map_err(HttpError::Connect)?;
    stream
        .write_all(&plan.subscribe(subscriber, ""))
        .map_err(HttpError::Send)?;
    // Peeking does not read: what arrived stays in the receive buffer.
    let mut status = [0; 12];
    loop {
        match stream.peek(&mut status).map_err(HttpError::Receive)? {
            0 => return Err(HttpError::Closed),
            length if length == status.len() => break,
            _ => std::thread::yield_now(),
        }
    }
    if status.ends_with(b" 200") {
        Ok(stream)
    } else {
        let status = String::from_utf8_lossy(&status).into_owned();
        Err(HttpError::NotOk(status))
    }
}

fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let domain = Domain::for_address(address);
    let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
    // Set before connecting, so that the window is small from the first segment on.
    socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
    socket.connect(&address.into())?;
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}
