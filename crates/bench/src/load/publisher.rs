//! Publishers: one keep-alive connection each, in a closed loop or at a fixed rate.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::plan::Plan;
use super::progress::Progress;
use super::stamp::Stamp;
use crate::clock;
use crate::error::Problem;
use crate::histogram::Histogram;
use crate::http::error::HttpError;
use crate::http::keep_alive::KeepAlive;
use crate::http::target::Publish;

/// How long a closed loop waits for a delivery before it considers it lost and goes on.
const PATIENCE: Duration = Duration::from_secs(2);

/// What all publishers of one measurement share.
#[derive(Debug)]
pub(crate) struct Pace {
    /// The next update's number over all publishers.
    next: AtomicU64,
    /// The most updates to publish.
    updates: u64,
    begin_ns: u64,
    end_ns: u64,
}

impl Pace {
    /// Publishing begins now.
    pub(crate) fn new(plan: &Plan) -> Self {
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
    pub(crate) fn begin_ns(&self) -> u64 {
        self.begin_ns
    }
}

/// What one publisher sent.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    /// Updates that the hub accepted.
    pub(crate) updates: u64,
    /// From sending to the hub's answer.
    pub(crate) latency: Histogram,
}

/// One publisher.
pub(crate) struct Publisher {
    /// Its number.
    pub(crate) number: usize,
    /// The measurement.
    pub(crate) plan: Arc<Plan>,
    /// Deliveries so far.
    pub(crate) progress: Arc<Progress>,
    /// What it shares with the other publishers.
    pub(crate) pace: Arc<Pace>,
}

impl Publisher {
    /// Publishes until the load is done or the measurement is over.
    ///
    /// # Errors
    /// When the hub refuses an update or cannot be reached.
    pub(crate) fn run(&self) -> Result<Sent, Problem> {
        let mut sent = Sent::default();
        self.publish(&mut sent).map_err(|error| {
            let number = self.number;
            Problem::Publisher { number, error }
        })?;
        Ok(sent)
    }

    fn publish(&self, sent: &mut Sent) -> Result<(), HttpError> {
        let patience = Duration::from_nanos(self.progress.left_ns().max(1));
        let mut connection = KeepAlive::open(self.plan.target.address, patience)?;
        let audience = self.plan.audience(self.number);
        let topics: Vec<String> = audience.iter().map(|each| self.plan.topic(*each)).collect();
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
            match connection.accepted(request.as_bytes()) {
                Ok(_) => {}
                // The socket's timeout is the end of the measurement, which is reported as such.
                Err(_) if self.progress.is_over() => break,
                Err(error) => return Err(error),
            }
            sent.latency.record(clock::now_ns() - begin_ns);
            sent.updates += 1;
        }
        Ok(())
    }

    /// Waits for the turn to publish, and returns the time from which its latency counts: at a fixed rate the
    /// time at which it was due, even when this publisher is late. `None` when nothing is left to publish.
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
