//! The direct writer and hyper send the same streams of HTTP/1.1 (ADR 0029; RFC 9112, sections 7.1 and 9.3).
//!
//! A `GET` leaves hyper if nothing follows it; a `QUERY` stays. The tests of streams run on both: over HTTP/1.1 they
//! are the direct writer's, over HTTP/2 and HTTPS hyper's.

use rustix::process::Signal;
use talaria_conformance::{HUB_PATH, raw, within};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::running::{Running, caddyfile};

/// What the hub logs of a stream that leaves hyper.
const LEFT: &str = "a stream goes on without hyper";
/// The chunk that ends a stream.
const END: &str = "\r\n0\r\n\r\n";
const ROBOTS: &str = "GET /robots.txt HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";

/// What sends a stream.
#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    Writer,
    Hyper,
}

const BOTH: [By; 2] = [By::Writer, By::Hyper];

impl By {
    /// A subscription that it sends, with these fields.
    fn request(self, fields: &str) -> String {
        match self {
            Self::Writer => {
                format!("GET {HUB_PATH}?match=a HTTP/1.1\r\nHost: 127.0.0.1\r\n{fields}\r\n")
            }
            Self::Hyper => format!(
                "QUERY {HUB_PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-www-form-urlencoded\r\n\
                 Content-Length: 7\r\n{fields}\r\nmatch=a"
            ),
        }
    }

    /// The hub has let as many streams leave hyper as there are for the writer.
    fn is_it(self, hub: &Running, from: usize) {
        let lines = hub.log.since(from);
        let left = lines.iter().filter(|line| line.contains(LEFT)).count();
        assert_eq!(left, usize::from(self == Self::Writer));
    }
}

/// A hub that tells when a stream leaves hyper.
fn start(directives: &str) -> Running {
    Running::start_debugging(&caddyfile("", directives))
}

async fn publish(hub: &Running, data: &str) {
    let audience = format!("http://{}{HUB_PATH}", hub.address);
    let token = talaria_conformance::token::Token::new(&audience)
        .grant("publish", &[talaria_conformance::token::exact("*")]);
    let key = talaria_conformance::hub::PUBLISHER_KEY;
    let publisher = hub.client().bearer(&token.sign(key));
    publisher.published(&[("topic", "a"), ("data", data)]).await;
}

/// A connection, and what came of it so far.
struct Open {
    socket: TcpStream,
    received: String,
}

impl Open {
    async fn send(hub: &Running, text: &str) -> Self {
        let mut socket = TcpStream::connect(hub.address).await.unwrap();
        socket.write_all(text.as_bytes()).await.unwrap();
        let received = String::new();
        Self { socket, received }
    }

    /// Reads on until this text has come, and returns what came before it.
    async fn until(&mut self, text: &str) -> String {
        loop {
            if let Some((before, after)) = self.received.split_once(text) {
                let (before, after) = (before.to_owned(), after.to_owned());
                self.received = after;
                return before;
            }
            let mut bytes = [0; 4096];
            let read = within(text, self.socket.read(&mut bytes)).await;
            let count = read.unwrap_or_else(|error| panic!("{error} after {:?}", self.received));
            assert_ne!(count, 0, "the end after {:?}", self.received);
            self.received += &String::from_utf8_lossy(&bytes[..count]);
        }
    }

    /// Reads to the end of the connection.
    async fn end(mut self) -> String {
        let read = self.socket.read_to_string(&mut self.received);
        within("the end of the connection", read).await.unwrap();
        self.received
    }
}

/// Each byte is the same, from the head to the end of the connection: of a stream that replays, and is over.
#[tokio::test]
async fn both_send_the_same() {
    let hub = start("write_timeout 1s");
    for data in ["1", &"2".repeat(5000), "3"] {
        publish(&hub, data).await;
    }
    let mut all = Vec::new();
    for by in BOTH {
        let from = hub.log.len();
        let request = by.request("Last-Event-ID: earliest\r\nConnection: close\r\n");
        let answer = raw::exchange(hub.address, request.as_bytes()).await;
        by.is_it(&hub, from);
        assert!(answer.contains("data: 3"), "{answer}");
        assert!(answer.ends_with(END), "{answer}");
        let lines = answer
            .split("\r\n")
            .filter(|line| !line.starts_with("date: "));
        all.push(lines.collect::<Vec<_>>().join("\r\n"));
    }
    assert_eq!(all[0], all[1]);
}

/// After a stream the connection serves further requests, streams among them.
#[tokio::test]
async fn the_connection_goes_on() {
    let hub = start("write_timeout 1s");
    for by in BOTH {
        let from = hub.log.len();
        let mut open = Open::send(&hub, &by.request("")).await;
        open.until(END).await;
        by.is_it(&hub, from);
        open.socket.write_all(ROBOTS.as_bytes()).await.unwrap();
        open.until("HTTP/1.1 200 OK").await;
        open.until("Disallow: /\n").await;
        let from = hub.log.len();
        let request = by.request("");
        open.socket.write_all(request.as_bytes()).await.unwrap();
        open.until("HTTP/1.1 200 OK").await;
        publish(&hub, "again").await;
        open.until("data: again").await;
        by.is_it(&hub, from);
        open.until(END).await;
    }
}

/// What a client sends behind a subscription is answered after the stream: with it, so that hyper has read it, and
/// while the stream is open.
#[tokio::test]
async fn pipelined_requests_wait() {
    let hub = start("write_timeout 1s");
    let from = hub.log.len();
    let both = By::Writer.request("") + ROBOTS;
    let mut open = Open::send(&hub, &both).await;
    open.until("HTTP/1.1 200 OK").await;
    open.until(END).await;
    open.until("HTTP/1.1 200 OK").await;
    open.until("Disallow: /\n").await;
    By::Hyper.is_it(&hub, from);
    for by in BOTH {
        let mut open = Open::send(&hub, &by.request("")).await;
        open.until("\r\n\r\n").await;
        open.socket.write_all(ROBOTS.as_bytes()).await.unwrap();
        publish(&hub, "before it").await;
        let before = open.until(END).await;
        assert!(before.contains("data: before it"), "{before}");
        open.until("HTTP/1.1 200 OK").await;
        open.until("Disallow: /\n").await;
    }
}

/// Bytes behind an open stream that are not a request do not disturb it, and cost no more than the kernel takes; after
/// the stream they are refused.
#[tokio::test]
async fn garbage_waits() {
    let hub = start("write_timeout 2s");
    for by in BOTH {
        let mut open = Open::send(&hub, &by.request("")).await;
        open.until("\r\n\r\n").await;
        let garbage = vec![b'\x01'; 64 * 1024];
        let mut left = 64 * 1024 * 1024;
        while left > 0 {
            match open.socket.try_write(&garbage) {
                Ok(count) => left -= count,
                Err(error) => {
                    assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
                    break;
                }
            }
        }
        assert!(left > 0, "the hub takes everything");
        publish(&hub, "undisturbed").await;
        open.until("data: undisturbed").await;
        open.until(END).await;
        open.until("HTTP/1.1 400 Bad Request").await;
    }
}

/// A client that shuts down its side is gone.
#[tokio::test]
async fn a_half_closed_stream_ends() {
    let hub = start("");
    for by in BOTH {
        let mut open = Open::send(&hub, &by.request("")).await;
        open.until("\r\n\r\n").await;
        let from = hub.log.len();
        open.socket.shutdown().await.unwrap();
        let rest = open.end().await;
        assert!(!rest.contains("0\r\n\r\n"), "{rest}");
        hub.logs(from, "reason=\"client_gone\"");
    }
}

/// When the hub stops, streams end within the window, and their connections with them.
#[tokio::test]
async fn a_drain_ends_both() {
    let hub = start("drain_timeout 2s");
    let mut all = Vec::new();
    for by in BOTH.repeat(3) {
        let mut open = Open::send(&hub, &by.request("")).await;
        open.until("\r\n\r\n").await;
        all.push(open);
    }
    hub.signal(Signal::TERM);
    for open in all {
        let rest = open.end().await;
        assert!(rest.ends_with("0\r\n\r\n"), "{rest}");
    }
}
