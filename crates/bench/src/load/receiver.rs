//! Subscribers over epoll: a thread that holds many connections and checks what each receives.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use talaria_protocol::event::{Decoder, Item};

use super::plan::Plan;
use super::progress::Progress;
use super::stamp::{Arrival, Seen, Stamp};
use crate::clock;
use crate::error::Problem;
use crate::histogram::Histogram;
use crate::http::error::HttpError;
use crate::http::response::Response;

/// How many connections of one thread are established at once: less than any accept backlog.
const CONNECTING: usize = 64;
const LOOK: Duration = Duration::from_millis(100);

/// What one thread's subscribers received.
#[derive(Debug, Default)]
pub(crate) struct Received {
    /// From sending to receiving, of each publisher's updates.
    pub(crate) latency: Vec<Histogram>,
    /// Updates that came a second time.
    pub(crate) duplicates: u64,
    /// Updates that came after later ones.
    pub(crate) late: u64,
    /// Connections that ended before the measurement.
    pub(crate) disconnected: u64,
    /// Why the first of them ended.
    pub(crate) first_end: Option<String>,
    /// When the last delivery came.
    pub(crate) last_ns: u64,
    /// For each subscriber, what it saw of each publisher.
    pub(crate) seen: Vec<(usize, Vec<Seen>)>,
}

/// The subscribers of one thread.
pub(crate) struct Receiver {
    plan: Arc<Plan>,
    progress: Arc<Progress>,
    poll: Poll,
    clients: Vec<Subscriber>,
    /// The numbers of the subscribers that this thread connects.
    subscribers: Vec<usize>,
    established: usize,
    /// Connections that ended and will be opened again, and when.
    ended: Vec<usize>,
    return_ns: u64,
    received: Received,
}

/// A subscriber: its connection, and what it has received.
struct Subscriber {
    stream: Option<TcpStream>,
    unsent: Vec<u8>,
    /// Whether the hub has ever accepted its subscription.
    established: bool,
    /// Whether the hub has accepted the current stream.
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
    pub(crate) fn new(
        plan: Arc<Plan>,
        progress: Arc<Progress>,
        subscribers: Vec<usize>,
    ) -> Result<Self, Problem> {
        let received = Received {
            latency: vec![Histogram::default(); plan.load.publishers],
            ..Received::default()
        };
        Ok(Self {
            plan,
            progress,
            poll: Poll::new().map_err(Problem::Epoll)?,
            clients: Vec::with_capacity(subscribers.len()),
            subscribers,
            established: 0,
            ended: Vec::new(),
            return_ns: 0,
            received,
        })
    }

    /// Connects all subscribers, reports that, and receives until the measurement is over.
    ///
    /// # Errors
    /// When a subscriber cannot connect, with the hub's answer.
    pub(crate) fn run(mut self, ready: &Sender<()>) -> Result<Received, Problem> {
        let mut events = Events::with_capacity(1024);
        let mut buffer = vec![0; 64 * 1024];
        let mut said = false;
        while !self.progress.is_over() {
            self.connect()?;
            self.reconnect();
            if !said && self.established == self.subscribers.len() {
                said = true;
                // When another thread failed, the channel is closed and this thread ends soon.
                _ = ready.send(());
            }
            if let Err(error) = self.poll.poll(&mut events, Some(LOOK))
                && error.kind() != ErrorKind::Interrupted
            {
                return Err(Problem::Epoll(error));
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
            .zip(self.clients.into_iter().map(|each| each.seen))
            .collect();
        Ok(self.received)
    }

    fn connect(&mut self) -> Result<(), Problem> {
        while self.clients.len() < self.subscribers.len()
            && self.clients.len() - self.established < CONNECTING
        {
            let index = self.clients.len();
            let stream = self.open(index).map_err(|error| Problem::Subscriber {
                number: self.subscribers[index],
                error: HttpError::Connect(error),
            })?;
            self.clients.push(Subscriber {
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

    fn open(&self, index: usize) -> io::Result<TcpStream> {
        let mut stream = TcpStream::connect(self.plan.target.address)?;
        let both = Interest::READABLE | Interest::WRITABLE;
        self.poll
            .registry()
            .register(&mut stream, Token(index), both)?;
        Ok(stream)
    }

    /// Opens the streams that ended again, each after its last event.
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
            let client = &mut self.clients[index];
            client.unsent = self
                .plan
                .subscribe(self.subscribers[index], &client.last_event_id);
            client.response = Response::default();
            client.decoder = Decoder::default();
            client.is_answered = false;
            client.stream = Some(stream);
        }
    }

    /// Sends and receives on one connection; returns its deliveries.
    fn on_ready(&mut self, index: usize, buffer: &mut [u8]) -> Result<u64, Problem> {
        let Some(client) = self.clients.get_mut(index) else {
            return Ok(0);
        };
        let before = client.established;
        let mut deliveries = 0;
        let served = client
            .send()
            .and_then(|()| client.read(buffer, &mut self.received, &mut deliveries));
        match served {
            Ok(()) => {}
            Err(error) if !client.established => {
                let number = self.subscribers[index];
                return Err(Problem::Subscriber { number, error });
            }
            Err(error) => {
                client.stream = None;
                self.received.disconnected += 1;
                self.received
                    .first_end
                    .get_or_insert_with(|| error.to_string());
                if self.plan.reconnects {
                    self.ended.push(index);
                }
            }
        }
        self.established += usize::from(client.established && !before);
        Ok(deliveries)
    }
}

impl Subscriber {
    fn send(&mut self) -> Result<(), HttpError> {
        let Some(stream) = &mut self.stream else {
            return Ok(());
        };
        while !self.unsent.is_empty() {
            match stream.write(&self.unsent) {
                Ok(sent) => _ = self.unsent.drain(..sent),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if is_early(error.kind()) => return Ok(()),
                Err(error) => return Err(HttpError::Connect(error)),
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
    ) -> Result<(), HttpError> {
        loop {
            let Some(stream) = &mut self.stream else {
                return Ok(());
            };
            match stream.read(buffer) {
                Ok(0) => return Err(HttpError::Closed),
                Ok(length) => {
                    *deliveries += self.take(&buffer[..length], received)?;
                    // A short read drained the socket; epoll reports later data, because it is edge-triggered.
                    if length < buffer.len() {
                        return Ok(());
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if is_early(error.kind()) => return Ok(()),
                Err(error) => return Err(HttpError::Broken(error)),
            }
        }
    }

    fn take(&mut self, mut input: &[u8], received: &mut Received) -> Result<u64, HttpError> {
        let now = clock::now_ns();
        let mut deliveries = 0;
        loop {
            let body = self.response.body(&mut input)?;
            if !self.is_answered && self.response.status() != 0 {
                self.response.accepted(body.unwrap_or_default())?;
                self.is_answered = true;
                self.established = true;
            }
            let Some(body) = body else { break };
            for item in self.decoder.feed(body) {
                if let Item::Event(event) = item?
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
            return Err(HttpError::Ended);
        }
        Ok(deliveries)
    }
}

/// Whether a socket is not ready or not connected yet.
fn is_early(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::NotConnected)
}
