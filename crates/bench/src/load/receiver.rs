//! Subscribers over epoll: a thread that holds many connections and checks what each receives.

use std::io::{ErrorKind, Read as _, Write as _};
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use talaria_protocol::event::{Decoder, Item};

use crate::clock;
use crate::histogram::Histogram;
use crate::http::response::Response;
use crate::load::plan::Plan;
use crate::load::progress::Progress;
use crate::load::stamp::{Arrival, Seen, Stamp};

/// Connections of one thread that are being established at once; below any accept backlog.
const CONNECTING: usize = 64;
const LOOK: Duration = Duration::from_millis(100);

/// What one thread's subscribers received.
#[derive(Debug, Default)]
pub struct Received {
    /// From sending to receiving, of each publisher's updates.
    pub latency: Vec<Histogram>,
    /// Updates that came a second time.
    pub duplicates: u64,
    /// Updates that came after later ones.
    pub late: u64,
    /// Connections that ended before the measurement.
    pub disconnected: u64,
    /// Why the first of them ended.
    pub first_end: Option<String>,
    /// When the last delivery came.
    pub last_ns: u64,
    /// For each subscriber, what it saw of each publisher.
    pub seen: Vec<(usize, Vec<Seen>)>,
}

/// The subscribers of one thread.
pub struct Receiver {
    plan: Arc<Plan>,
    progress: Arc<Progress>,
    poll: Poll,
    connections: Vec<Connection>,
    /// The subscribers that this thread is to connect.
    subscribers: Vec<usize>,
    established: usize,
    /// Connections that ended and come back, and when they do next.
    ended: Vec<usize>,
    return_ns: u64,
    received: Received,
}

struct Connection {
    stream: Option<TcpStream>,
    unsent: Vec<u8>,
    /// Whether the hub has accepted its subscription once.
    established: bool,
    /// Whether the hub has accepted the present stream.
    is_answered: bool,
    response: Response,
    decoder: Decoder,
    seen: Vec<Seen>,
    last_event_id: String,
}

impl Receiver {
    /// A receiver for some of the plan's subscribers.
    ///
    /// # Errors
    /// When the system has no epoll instance left.
    pub fn new(
        plan: Arc<Plan>,
        progress: Arc<Progress>,
        subscribers: Vec<usize>,
    ) -> Result<Self, String> {
        let received = Received {
            latency: vec![Histogram::default(); plan.load.publishers],
            ..Received::default()
        };
        Ok(Self {
            plan,
            progress,
            poll: Poll::new().map_err(|error| format!("epoll: {error}"))?,
            connections: Vec::with_capacity(subscribers.len()),
            subscribers,
            established: 0,
            ended: Vec::new(),
            return_ns: 0,
            received,
        })
    }

    /// Connects all, says so, and receives until the measurement is over.
    ///
    /// # Errors
    /// When a subscriber cannot connect, with the hub's answer.
    pub fn run(mut self, ready: &Sender<()>) -> Result<Received, String> {
        let mut events = Events::with_capacity(1024);
        let mut buffer = vec![0; 64 * 1024];
        let mut said = false;
        while !self.progress.is_over() {
            self.connect()?;
            self.reconnect();
            if !said && self.established == self.subscribers.len() {
                said = true;
                // Nobody listens any more when another thread failed; this one ends soon.
                _ = ready.send(());
            }
            if let Err(error) = self.poll.poll(&mut events, Some(LOOK))
                && error.kind() != ErrorKind::Interrupted
            {
                return Err(format!("epoll: {error}"));
            }
            let mut deliveries = 0;
            for event in &events {
                deliveries += self.on_ready(event.token().0, &mut buffer)?;
            }
            if deliveries > 0 {
                self.progress.add(deliveries);
            }
        }
        self.received.seen = self
            .subscribers
            .iter()
            .copied()
            .zip(self.connections.into_iter().map(|each| each.seen))
            .collect();
        Ok(self.received)
    }

    fn connect(&mut self) -> Result<(), String> {
        while self.connections.len() < self.subscribers.len()
            && self.connections.len() - self.established < CONNECTING
        {
            let index = self.connections.len();
            let stream = self
                .open(index)
                .map_err(|problem| format!("subscriber {}: {problem}", self.subscribers[index]))?;
            self.connections.push(Connection {
                stream: Some(stream),
                unsent: self.plan.subscribe(self.subscribers[index], ""),
                established: false,
                is_answered: false,
                response: Response::default(),
                decoder: Decoder::default(),
                seen: vec![Seen::default(); self.plan.load.publishers],
                last_event_id: String::new(),
            });
        }
        Ok(())
    }

    fn open(&self, index: usize) -> Result<TcpStream, String> {
        let mut stream = TcpStream::connect(self.plan.target.address)
            .map_err(|error| format!("cannot connect: {error}"))?;
        self.poll
            .registry()
            .register(
                &mut stream,
                Token(index),
                Interest::READABLE | Interest::WRITABLE,
            )
            .map_err(|error| format!("epoll: {error}"))?;
        Ok(stream)
    }

    /// Brings back the subscribers whose streams ended, each after its last event.
    fn reconnect(&mut self) {
        if self.ended.is_empty() || clock::now_ns() < self.return_ns {
            return;
        }
        self.return_ns = clock::now_ns() + LOOK.as_nanos() as u64;
        for index in std::mem::take(&mut self.ended) {
            let Ok(stream) = self.open(index) else {
                self.ended.push(index);
                continue;
            };
            let connection = &mut self.connections[index];
            connection.unsent = self
                .plan
                .subscribe(self.subscribers[index], &connection.last_event_id);
            connection.response = Response::default();
            connection.decoder = Decoder::default();
            connection.is_answered = false;
            connection.stream = Some(stream);
        }
    }

    /// Serves one connection; returns the deliveries that nobody had counted yet.
    fn on_ready(&mut self, index: usize, buffer: &mut [u8]) -> Result<u64, String> {
        let Some(connection) = self.connections.get_mut(index) else {
            return Ok(0);
        };
        let before = connection.established;
        let mut deliveries = 0;
        let served = connection
            .send()
            .and_then(|()| connection.read(buffer, &mut self.received, &mut deliveries));
        match served {
            Ok(()) => {}
            Err(problem) if !connection.established => {
                return Err(format!("subscriber {}: {problem}", self.subscribers[index]));
            }
            Err(problem) => {
                connection.stream = None;
                self.received.disconnected += 1;
                self.received.first_end.get_or_insert(problem);
                if self.plan.reconnects {
                    self.ended.push(index);
                }
            }
        }
        self.established += usize::from(connection.established && !before);
        Ok(deliveries)
    }
}

impl Connection {
    fn send(&mut self) -> Result<(), String> {
        let Some(stream) = &mut self.stream else {
            return Ok(());
        };
        while !self.unsent.is_empty() {
            match stream.write(&self.unsent) {
                Ok(sent) => _ = self.unsent.drain(..sent),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if is_early(error.kind()) => return Ok(()),
                Err(error) => return Err(format!("cannot connect: {error}")),
            }
        }
        self.unsent = Vec::new();
        Ok(())
    }

    fn read(
        &mut self,
        buffer: &mut [u8],
        received: &mut Received,
        deliveries: &mut u64,
    ) -> Result<(), String> {
        loop {
            let Some(stream) = &mut self.stream else {
                return Ok(());
            };
            match stream.read(buffer) {
                Ok(0) => return Err("the hub ended the connection".to_owned()),
                Ok(length) => {
                    *deliveries += self.take(&buffer[..length], received)?;
                    // A short read drained the socket; edge-triggered epoll tells of anything later.
                    if length < buffer.len() {
                        return Ok(());
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if is_early(error.kind()) => return Ok(()),
                Err(error) => return Err(format!("the connection broke: {error}")),
            }
        }
    }

    fn take(&mut self, mut input: &[u8], received: &mut Received) -> Result<u64, String> {
        let now = clock::now_ns();
        let mut deliveries = 0;
        loop {
            let body = self.response.body(&mut input)?;
            if !self.is_answered && self.response.status() != 0 {
                accepted(&self.response, body.unwrap_or_default())?;
                self.is_answered = true;
                self.established = true;
            }
            let Some(body) = body else { break };
            for item in self.decoder.feed(body) {
                let item = item.map_err(|error| error.to_string())?;
                if let Item::Event(event) = item
                    && let Some(stamp) = Stamp::read(&event.data)
                    && let Some(seen) = self.seen.get_mut(stamp.publisher)
                    && let Some(latency) = received.latency.get_mut(stamp.publisher)
                {
                    self.last_event_id = event.id;
                    match seen.note(stamp.sequence) {
                        Arrival::Duplicate => {
                            received.duplicates += 1;
                            continue;
                        }
                        Arrival::Late => received.late += 1,
                        Arrival::New => {}
                    }
                    deliveries += 1;
                    received.last_ns = now;
                    latency.record(now.saturating_sub(stamp.sent_ns));
                }
            }
        }
        if self.response.is_complete() {
            return Err("the hub ended the stream".to_owned());
        }
        Ok(deliveries)
    }
}

/// Whether a socket is not ready, or not even connected, yet.
fn is_early(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::NotConnected)
}

/// Explains a refusal.
///
/// # Errors
/// The status, the challenge and the beginning of the body, when the status is not 200.
pub fn accepted(response: &Response, body: &[u8]) -> Result<(), String> {
    if response.status() == 200 {
        return Ok(());
    }
    let challenge = response.challenge().unwrap_or("none");
    let body = String::from_utf8_lossy(&body[..body.len().min(200)]);
    Err(format!(
        "the hub answered {}, WWW-Authenticate: {challenge}, body: {:?}; check --url, --key, \
         --issuer and --audience",
        response.status(),
        body.trim()
    ))
}
