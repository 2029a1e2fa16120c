//! Publishers: one keep-alive connection each, in a closed loop or at a fixed rate.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::clock;
use crate::histogram::Histogram;
use crate::http::response::Response;
use crate::http::target::Publish;
use crate::load::plan::Plan;
use crate::load::progress::Progress;
use crate::load::receiver::accepted;
use crate::load::stamp::Stamp;

/// How long a closed loop waits for a delivery before it takes it for lost and goes on.
const PATIENCE: Duration = Duration::from_secs(2);

/// What all publishers of one measurement share.
#[derive(Debug)]
pub struct Pace {
    /// The next update's number over all publishers.
    next: AtomicU64,
    /// Updates to publish at most.
    updates: u64,
    begin_ns: u64,
    end_ns: u64,
}

impl Pace {
    /// Publishing begins now.
    pub fn new(plan: &Plan) -> Self {
        let begin_ns = clock::now_ns();
        let seconds = match plan.load.updates {
            Some(_) => u64::MAX,
            None => plan.load.duration.unwrap_or(5),
        };
        Self {
            next: AtomicU64::new(0),
            updates: plan.load.updates.unwrap_or(u64::MAX),
            begin_ns,
            end_ns: begin_ns.saturating_add(seconds.saturating_mul(1_000_000_000)),
        }
    }

    /// When publishing began.
    pub fn begin_ns(&self) -> u64 {
        self.begin_ns
    }
}

/// What one publisher sent.
#[derive(Debug, Default)]
pub struct Sent {
    /// Updates that the hub accepted.
    pub updates: u64,
    /// From sending to the hub's answer.
    pub latency: Histogram,
}

/// One publisher.
pub struct Publisher {
    /// Its number.
    pub number: usize,
    /// The measurement.
    pub plan: Arc<Plan>,
    /// Deliveries so far.
    pub progress: Arc<Progress>,
    /// What it shares with the other publishers.
    pub pace: Arc<Pace>,
}

impl Publisher {
    /// Publishes until the load is done or the measurement over.
    ///
    /// # Errors
    /// When the hub refuses an update or cannot be reached.
    pub fn run(&self) -> Result<Sent, String> {
        let fail = |problem: String| format!("publisher {}: {problem}", self.number);
        let patience = Duration::from_nanos(self.progress.left_ns().max(1));
        let mut connection = Connection::open(self.plan.target.address, patience).map_err(fail)?;
        let audience = self.plan.audience(self.number);
        let topics: Vec<String> = audience.iter().map(|each| self.plan.topic(*each)).collect();
        let mut sent = Sent::default();
        let (mut data, mut request) = (String::new(), String::new());
        while let Some(sent_ns) = self.turn() {
            let turns = topics.len() as u64;
            let stamp = Stamp {
                publisher: self.number,
                sequence: sent.updates / turns,
                sent_ns,
            };
            stamp.write(&mut data, self.plan.load.payload);
            let publish = Publish {
                topic: topics
                    .get((sent.updates % turns) as usize)
                    .map_or("", String::as_str),
                data: &data,
                private: self.plan.private,
                token: self.plan.publisher_token.as_deref(),
            };
            self.plan.target.publish(&mut request, &publish);
            let begin_ns = clock::now_ns();
            let answered = connection.exchange(request.as_bytes());
            match answered.and_then(|(response, body)| accepted(&response, &body)) {
                Ok(()) => {}
                // The socket's own timeout is the end of the measurement, which is told as such.
                Err(_) if self.progress.is_over() => break,
                Err(problem) => return Err(fail(problem)),
            }
            sent.latency.record(clock::now_ns() - begin_ns);
            sent.updates += 1;
        }
        Ok(sent)
    }

    /// Waits for the turn to publish and returns the time it counts from: at a fixed rate the time
    /// that was due, even when this publisher is late. `None` when nothing is left to publish.
    fn turn(&self) -> Option<u64> {
        let load = &self.plan.load;
        let number = self.pace.next.fetch_add(1, Ordering::Relaxed);
        if number >= self.pace.updates || self.progress.is_over() {
            return None;
        }
        let due_ns = match load.rate {
            Some(rate) => {
                let due_ns = self.pace.begin_ns + (number as f64 * 1e9 / rate) as u64;
                let wait_ns = due_ns.saturating_sub(clock::now_ns());
                std::thread::sleep(Duration::from_nanos(wait_ns.min(self.progress.left_ns())));
                due_ns
            }
            None => {
                let delivered = (number + 1).saturating_sub(load.window) * self.plan.fan_out();
                self.progress.wait_for(delivered, PATIENCE);
                clock::now_ns()
            }
        };
        (due_ns < self.pace.end_ns && !self.progress.is_over()).then_some(due_ns)
    }
}

/// A keep-alive connection that asks one thing after the other.
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    /// Connects; from then on nothing may take longer than `patience`.
    ///
    /// # Errors
    /// When the hub does not take the connection.
    pub fn open(address: SocketAddr, patience: Duration) -> Result<Self, String> {
        let explain = |error: std::io::Error| format!("cannot connect: {error}");
        let stream = TcpStream::connect_timeout(&address, patience).map_err(explain)?;
        stream.set_nodelay(true).map_err(explain)?;
        stream.set_read_timeout(Some(patience)).map_err(explain)?;
        stream.set_write_timeout(Some(patience)).map_err(explain)?;
        Ok(Self {
            stream,
            buffer: vec![0; 16 * 1024],
        })
    }

    /// Sends a request and reads the whole response with its body.
    ///
    /// # Errors
    /// When the connection breaks or its patience is over; then nothing can be asked on it any more.
    pub fn exchange(&mut self, request: &[u8]) -> Result<(Response, Vec<u8>), String> {
        self.stream
            .write_all(request)
            .map_err(|error| format!("the update cannot be sent: {error}"))?;
        let mut response = Response::default();
        let mut body = Vec::new();
        while !response.is_complete() {
            let length = match self.stream.read(&mut self.buffer) {
                Ok(0) => return Err("the hub closed the connection without an answer".to_owned()),
                Ok(length) => length,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(format!("no answer: {error}")),
            };
            let mut input = &self.buffer[..length];
            while let Some(piece) = response.body(&mut input)? {
                body.extend_from_slice(piece);
            }
        }
        Ok((response, body))
    }
}
