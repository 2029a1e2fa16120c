//! What the kernel knows about the hub's connections: who is connected, and how many bytes wait
//! where.

use std::collections::HashMap;
use std::net::SocketAddr;

/// The two ends of an established connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Queues {
    /// Bytes that the hub's kernel took and the client's did not acknowledge.
    pub sending: u64,
    /// Bytes that the hub has not read.
    pub asked: u64,
    /// Bytes that the client has not read.
    pub received: u64,
}

impl Queues {
    /// Bytes that were accepted from the hub and that the client has not read; those that it has
    /// not acknowledged yet may be counted twice.
    #[must_use]
    pub fn unread(&self) -> u64 {
        self.sending + self.received
    }
}

/// The connections of the hub over IPv4 that are established at its end, by the port of the other end.
///
/// # Panics
///
/// Without `/proc/net/tcp`.
#[must_use]
pub fn connections(hub: SocketAddr) -> HashMap<u16, Queues> {
    let mut table = std::fs::read_to_string("/proc/net/tcp").expect("a Linux kernel");
    // A socket of both families has its IPv4 connections there; a system without IPv6 has no such table.
    table += &std::fs::read_to_string("/proc/net/tcp6").unwrap_or_default();
    let mut connections: HashMap<u16, Queues> = HashMap::new();
    let mut received = HashMap::new();
    for row in table.lines().filter_map(Row::parse) {
        if row.local == hub.port() && row.established {
            let ends = connections.entry(row.remote).or_default();
            (ends.sending, ends.asked) = (row.sending, row.receiving);
        } else if row.remote == hub.port() {
            received.insert(row.local, row.receiving);
        }
    }
    for (port, ends) in &mut connections {
        ends.received = received.get(port).copied().unwrap_or_default();
    }
    connections
}

struct Row {
    local: u16,
    remote: u16,
    established: bool,
    sending: u64,
    receiving: u64,
}

impl Row {
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split_whitespace().skip(1);
        let mut port = || u16::from_str_radix(words.next()?.rsplit(':').next()?, 16).ok();
        let (local, remote) = (port()?, port()?);
        let established = words.next()? == "01";
        let (sending, receiving) = words.next()?.split_once(':')?;
        let bytes = |text| u64::from_str_radix(text, 16).ok();
        Some(Self {
            local,
            remote,
            established,
            sending: bytes(sending)?,
            receiving: bytes(receiving)?,
        })
    }
}
