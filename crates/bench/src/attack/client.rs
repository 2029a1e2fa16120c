//! One attacking address: its connections and HTTP/1.1 requests, and the counts of their outcomes.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use std::{fmt, io};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::Notify;
use tokio::time::timeout;

use super::args::Attack;
use crate::http::response::Response;
use crate::http::target::Target;

/// How long a connection or an answer may take before the attacker tries again.
const PATIENCE: Duration = Duration::from_secs(30);

/// The outcomes of the attackers' attempts, over all addresses.
#[derive(Debug)]
pub(crate) struct Tally {
    attack: Attack,
    open: AtomicU64,
    most_open: AtomicU64,
    connections: AtomicU64,
    accepted: AtomicU64,
    refused: AtomicU64,
    broken: AtomicU64,
    sent_bytes: AtomicU64,
    /// Notified when the attack has begun.
    begun: Notify,
}

impl Tally {
    /// A tally of no attempts yet.
    pub(crate) fn new(attack: Attack) -> Self {
        Self {
            attack,
            open: AtomicU64::default(),
            most_open: AtomicU64::default(),
            connections: AtomicU64::default(),
            accepted: AtomicU64::default(),
            refused: AtomicU64::default(),
            broken: AtomicU64::default(),
            sent_bytes: AtomicU64::default(),
            begun: Notify::new(),
        }
    }

    /// Waits until the attack has begun: the hub has answered for the first time, or, in an attack that gets no
    /// answers, waits for the rest of something.
    pub(crate) async fn begun(&self) {
        self.begun.notified().await;
    }

    /// Counts an answer by its status.
    pub(crate) fn answered(&self, status: u16) {
        let count = match status {
            200..300 => &self.accepted,
            _ => &self.refused,
        };
        count.fetch_add(1, Relaxed);
        // At most one task waits, and the permit is kept for it.
        self.begun.notify_one();
    }

    /// Counts a connection or a stream that was refused, ended or reset without an answer, or not answered in time.
    pub(crate) fn broke(&self) {
        self.broken.fetch_add(1, Relaxed);
    }

    /// Counts bytes that the hub's machine has taken.
    pub(crate) fn sent(&self, bytes: usize) {
        self.sent_bytes.fetch_add(bytes as u64, Relaxed);
        if self.attack.is_silent() {
            self.begun.notify_one();
        }
    }

    /// The counts.
    pub(crate) fn json(&self) -> Value {
        let read = |count: &AtomicU64| count.load(Relaxed);
        json!({
            "connections": read(&self.connections),
            "most_open": read(&self.most_open),
            "accepted": read(&self.accepted),
            "refused": read(&self.refused),
            "broken": read(&self.broken),
            "sent_bytes": read(&self.sent_bytes),
        })
    }
}

/// One attacking address.
pub(crate) struct Client {
    /// The address that its connections come from.
    pub(crate) local: IpAddr,
    /// The hub.
    pub(crate) target: Target,
    /// A token that grants publishing to every topic.
    pub(crate) publisher_token: String,
    /// The outcomes of its attempts.
    pub(crate) tally: Arc<Tally>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("local", &self.local)
            .field("target", &self.target)
            .field("tally", &self.tally)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// Connects to the hub. The connection is reset when it is dropped, so that its port is free again.
    pub(crate) async fn connect(&self) -> io::Result<Connection> {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.set_zero_linger()?;
        socket.bind(SocketAddr::new(self.local, 0))?;
        let stream = timeout(PATIENCE, socket.connect(self.target.address)).await??;
        stream.set_nodelay(true)?;
        self.tally.connections.fetch_add(1, Relaxed);
        if self.tally.attack == Attack::Idle {
            self.tally.begun.notify_one();
        }
        let open = self.tally.open.fetch_add(1, Relaxed) + 1;
        self.tally.most_open.fetch_max(open, Relaxed);
        Ok(Connection {
            stream,
            tally: Arc::clone(&self.tally),
        })
    }

    /// A request to the hub's path; each of `fields` ends its line.
    pub(crate) fn request(&self, method: &str, query: &str, fields: &str, body: &[u8]) -> Vec<u8> {
        let Target {
            path, authority, ..
        } = &self.target;
        let length = match (method, body.len()) {
            ("GET", 0) => String::new(),
            (_, length) => format!("Content-Length: {length}\r\n"),
        };
        let head =
            format!("{method} {path}{query} HTTP/1.1\r\nHost: {authority}\r\n{fields}{length}\r\n");
        [head.as_bytes(), body].concat()
    }

    /// A subscription by `QUERY`, whose body is a form.
    pub(crate) fn query(&self, form: &str) -> Vec<u8> {
        self.request("QUERY", "", FORM, form.as_bytes())
    }

    /// Sends a request on a new connection, and returns the connection once the head of the answer is complete.
    pub(crate) async fn ask(&self, request: &[u8]) -> io::Result<(u16, Connection)> {
        let mut connection = self.connect().await?;
        let status = connection.exchange(request).await?;
        Ok((status, connection))
    }
}

/// The field of a request whose body is a form.
pub(crate) const FORM: &str = "Content-Type: application/x-www-form-urlencoded\r\n";

/// A connection from an attacking address.
pub(crate) struct Connection {
    /// The socket.
    pub(crate) stream: TcpStream,
    /// The outcomes of its requests.
    pub(crate) tally: Arc<Tally>,
}

impl Connection {
    /// Sends bytes.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        timeout(PATIENCE, self.stream.write_all(bytes)).await??;
        self.tally.sent(bytes.len());
        Ok(())
    }

    /// Sends a request and reads until the head of its answer is complete. A hub may answer before it has
    /// read everything.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> io::Result<u16> {
        let sent = self.send(request).await;
        match timeout(PATIENCE, self.status()).await? {
            Ok(status) => Ok(status),
            Err(error) => Err(sent.err().unwrap_or(error)),
        }
    }

    /// Reads until the head of an answer is complete, and its body as well if that has a length.
    pub(crate) async fn status(&mut self) -> io::Result<u16> {
        let mut response = Response::default();
        let mut buffer = [0; 4096];
        while response.status() == 0 {
            let length = self.stream.read(&mut buffer).await?;
            if length == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let mut input = &buffer[..length];
            while response
                .body(&mut input)
                .map_err(io::Error::other)?
                .is_some()
            {}
        }
        self.tally.answered(response.status());
        Ok(response.status())
    }

    /// Reads and discards until the hub ends the connection.
    pub(crate) async fn drain(&mut self) -> io::Result<()> {
        let mut buffer = vec![0; 16 * 1024];
        while self.stream.read(&mut buffer).await? > 0 {}
        Err(io::ErrorKind::UnexpectedEof.into())
    }

    /// As [`Self::drain`], but not longer than `hold`.
    pub(crate) async fn drain_for(&mut self, hold: Duration) -> io::Result<()> {
        timeout(hold, self.drain()).await.unwrap_or(Ok(()))
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.tally.open.fetch_sub(1, Relaxed);
    }
}
