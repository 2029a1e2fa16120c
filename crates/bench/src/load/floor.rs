//! The floor: the least that this machine needs to write one event to each of N sockets.
//!
//! It is a hub reduced to a loop of blocking `write`: no matching, no tokens, no history. It is a separate
//! process with the same subscribers and publishers, so that its figures and a hub's are measured alike.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use talaria_protocol::{Update, event, form};

use crate::error::Problem;
use crate::process::allow_open_files;

/// A floor server's process, ended when dropped.
pub(crate) struct Floor {
    child: Child,
    /// Where it listens.
    pub(crate) url: String,
}

impl Floor {
    /// Starts this program as a floor server.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(crate) fn start() -> Result<Self, Problem> {
        let program = std::env::current_exe().map_err(Problem::Floor)?;
        let mut child = Command::new(program)
            .args(["bench", "floor-server"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(Problem::Floor)?;
        let mut url = String::new();
        let output = child.stdout.take();
        // From here on, dropping it ends the process.
        let mut floor = Self {
            child,
            url: String::new(),
        };
        if let Some(output) = output {
            BufReader::new(output)
                .read_line(&mut url)
                .map_err(Problem::Floor)?;
        }
        url.trim_end().clone_into(&mut floor.url);
        if floor.url.is_empty() {
            return Err(Problem::FloorEnded);
        }
        Ok(floor)
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Floor {
    fn drop(&mut self) {
        // It may have ended already; either way it has to be reaped.
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// Subscribers' sockets by topic, still percent-encoded: the bench always encodes a topic in the same way.
type Sockets = Mutex<HashMap<String, Vec<TcpStream>>>;

/// Serves the floor until standard input closes; prints its URL first.
///
/// # Errors
/// When it cannot listen.
pub(crate) fn serve() -> Result<(), Problem> {
    allow_open_files(0)?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(Problem::Floor)?;
    let address = listener.local_addr().map_err(Problem::Floor)?;
    let mut output = std::io::stdout();
    writeln!(output, "http://{address}/").map_err(Problem::Floor)?;
    output.flush().map_err(Problem::Floor)?;
    std::thread::spawn(move || accept(&listener));
    // The bench holds the other end, so this process ends with it, however it ends.
    let mut input = std::io::stdin();
    let mut ignored = [0; 64];
    while input.read(&mut ignored).is_ok_and(|length| length > 0) {}
    Ok(())
}

fn accept(listener: &TcpListener) {
    let sockets = Arc::new(Sockets::default());
    for stream in listener.incoming().flatten() {
        _ = stream.set_nodelay(true);
        let mut peer = Peer {
            stream,
            bytes: Vec::new(),
        };
        match peer.read_request() {
            Some(Request::Subscribe(topic)) => subscribe(&sockets, topic, peer.stream),
            Some(Request::Publish(body)) => {
                let sockets = Arc::clone(&sockets);
                std::thread::spawn(move || serve_publisher(&sockets, peer, body));
            }
            None => {}
        }
    }
}

fn subscribe(sockets: &Sockets, topic: String, mut stream: TcpStream) {
    let head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
        Transfer-Encoding: chunked\r\n\r\n";
    // Under the lock, because the bench publishes as soon as it has all answers.
    let mut sockets = sockets.lock().unwrap_or_else(PoisonError::into_inner);
    if stream.write_all(head).is_ok() {
        sockets.entry(topic).or_default().push(stream);
    }
}

fn serve_publisher(sockets: &Sockets, mut peer: Peer, mut body: Vec<u8>) {
    let mut sequence = 0_u64;
    loop {
        sequence += 1;
        // As long as a hub's id.
        let id = format!("urn:uuid:00000000-0000-0000-0000-{sequence:012x}");
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n";
        let answer = format!("{head}Content-Length: {}\r\n\r\n{id}", id.len());
        if peer.stream.write_all(answer.as_bytes()).is_err() {
            return;
        }
        let topic = body.split(|byte| *byte == b'&').next().unwrap_or_default();
        let topic = String::from_utf8_lossy(topic.strip_prefix(b"topic=").unwrap_or_default());
        let chunk = chunk(&body, &id);
        if let Some(sockets) = sockets
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_mut(&*topic)
        {
            // This is the floor itself.
            sockets.retain_mut(|socket| socket.write_all(&chunk).is_ok());
        }
        body = match peer.read_request() {
            Some(Request::Publish(body)) => body,
            _ => return,
        };
    }
}

/// The event of a publish body, as one chunk.
fn chunk(body: &[u8], id: &str) -> Vec<u8> {
    let data = form::pairs(body).flatten().find(|(name, _)| name == "data");
    let update = Update {
        data: data.map(|(_, data)| data.into_owned()).unwrap_or_default(),
        ..Update::default()
    };
    let event = event::encode(&update, id);
    let mut chunk = format!("{:x}\r\n", event.len()).into_bytes();
    chunk.extend_from_slice(&event);
    chunk.extend_from_slice(b"\r\n");
    chunk
}

#[derive(Debug, PartialEq, Eq)]
enum Request {
    /// A GET with its topic.
    Subscribe(String),
    /// A POST with its body.
    Publish(Vec<u8>),
}

struct Peer<S = TcpStream> {
    stream: S,
    bytes: Vec<u8>,
}

impl<S: Read> Peer<S> {
    /// Reads one of the bench's own requests; `None` for anything else.
    fn read_request(&mut self) -> Option<Request> {
        let end = loop {
            if let Some(at) = self.bytes.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            self.read_more()?;
        };
        let head = String::from_utf8(self.bytes.drain(..end).collect()).ok()?;
        if let Some(target) = head.strip_prefix("GET ") {
            let rest = target.split_once("?match=")?.1;
            return Some(Request::Subscribe(rest.split_once(' ')?.0.to_owned()));
        }
        let length = head.split_once("Content-Length: ")?.1.split_once("\r\n")?.0;
        let length = length.parse().ok()?;
        while self.bytes.len() < length {
            self.read_more()?;
        }
        Some(Request::Publish(self.bytes.drain(..length).collect()))
    }

    fn read_more(&mut self) -> Option<()> {
        let mut buffer = [0; 8 * 1024];
        let length = self
            .stream
            .read(&mut buffer)
            .ok()
            .filter(|length| *length > 0)?;
        self.bytes.extend_from_slice(buffer.get(..length)?);
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::target::{Publish, Target};

    /// The floor understands the requests that the bench sends, and no others.
    #[test]
    fn the_benchs_requests_are_understood() {
        let target = Target::parse("http://127.0.0.1:1/").unwrap();
        let mut publish = String::new();
        target.publish(
            &mut publish,
            &Publish {
                topic: "https://example.com/a b",
                data: "0-0-0-x",
                private: false,
                token: None,
            },
        );
        let mut wire = target.subscribe("https://example.com/a b", "", None);
        wire.extend_from_slice(publish.repeat(2).as_bytes());
        wire.extend_from_slice(b"PUT / HTTP/1.1\r\n\r\n");
        let mut peer = Peer {
            stream: wire.as_slice(),
            bytes: Vec::new(),
        };
        let topic = "https%3A%2F%2Fexample.com%2Fa+b";
        let body = format!("topic={topic}&data=0-0-0-x").into_bytes();
        for expected in [
            Some(Request::Subscribe(topic.to_owned())),
            Some(Request::Publish(body.clone())),
            Some(Request::Publish(body.clone())),
            None,
        ] {
            assert_eq!(peer.read_request(), expected);
        }
        assert_eq!(chunk(&body, "1"), b"15\r\nid: 1\ndata: 0-0-0-x\n\n\r\n");
    }
}
