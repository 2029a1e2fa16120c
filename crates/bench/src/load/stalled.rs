//! Subscribers that never read: what a hub must survive.

use std::io::Write as _;
use std::net::TcpStream;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};

use crate::load::plan::Plan;

/// The receive buffer that is asked for, in bytes; Linux doubles it.
const RECEIVE_BUFFER: usize = 4096;

/// Subscribes with so many sockets, which stay subscribed until dropped.
///
/// # Errors
/// When one cannot connect or the hub refuses it.
pub fn open(plan: &Plan, count: usize) -> Result<Vec<TcpStream>, String> {
    (0..count)
        .map(|number| {
            open_one(plan, number % plan.load.subscribers)
                .map_err(|problem| format!("stalled socket {number}: {problem}"))
        })
        .collect()
}

fn open_one(plan: &Plan, subscriber: usize) -> Result<TcpStream, String> {
    let explain = |error: std::io::Error| error.to_string();
    let address = plan.target.address;
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )
    .map_err(explain)?;
    // Before connecting, so that the window offered is small from the first segment on.
    socket
        .set_recv_buffer_size(RECEIVE_BUFFER)
        .map_err(explain)?;
    socket.connect(&address.into()).map_err(explain)?;
    let mut stream = TcpStream::from(socket);
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .map_err(explain)?;
    stream
        .write_all(&plan.subscribe(subscriber, ""))
        .map_err(explain)?;
    // Looking does not read: what arrived stays in the receive buffer.
    let mut status = [0; 12];
    while stream.peek(&mut status).map_err(explain)? < status.len() {
        if stream.peek(&mut status).map_err(explain)? == 0 {
            return Err("the hub ended the connection".to_owned());
        }
        std::thread::yield_now();
    }
    if status.ends_with(b" 200") {
        Ok(stream)
    } else {
        Err(format!(
            "the hub answered {:?}",
            String::from_utf8_lossy(&status)
        ))
    }
}
