//! What one measurement found.

use std::collections::BTreeSet;

use super::plan::Plan;
use super::publisher::Sent;
use super::receiver::Received;
use crate::histogram::Histogram;

/// What one measurement found.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// Subscribers that were connected.
    pub(crate) subscribers: u64,
    /// Further sockets that never read.
    pub(crate) stalled: u64,
    /// Updates that the hub accepted.
    pub(crate) updates: u64,
    /// Deliveries to subscribers, each counted once.
    pub(crate) deliveries: u64,
    /// Seconds from the first publish to the last delivery.
    pub(crate) seconds: f64,
    /// From sending to receiving.
    pub(crate) delivery: Histogram,
    /// From sending to the hub's answer.
    pub(crate) publish: Histogram,
    /// Updates that a subscriber should have received and never did.
    pub(crate) lost: u64,
    /// Updates that a subscriber received twice.
    pub(crate) duplicates: u64,
    /// Updates that a subscriber received after later ones.
    pub(crate) late: u64,
    /// Subscriptions that ended early.
    pub(crate) disconnected: u64,
    /// Why the first of them ended.
    pub(crate) first_end: Option<String>,
    /// Whether `--timeout` ended it before the load was done.
    pub(crate) cut_short: bool,
    /// What the load cost the measured process, if there is one.
    pub(crate) process: Option<ProcessCost>,
    /// Processor time of the bench itself while publishing, in microseconds.
    pub(crate) own_cpu_us: u64,
    /// By how much TCP buffers grew.
    pub(crate) tcp: TcpMemory,
}

/// What the load cost the measured process.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct ProcessCost {
    /// Processor time from the first publish to the last delivery, in microseconds.
    pub(crate) cpu_us: u64,
    /// Resident bytes before any client connected.
    pub(crate) before: u64,
    /// Resident bytes with all clients connected and idle.
    pub(crate) idle: u64,
    /// The most resident bytes seen under load.
    pub(crate) peak: u64,
    /// Resident bytes after a tenth of the updates.
    pub(crate) tenth: u64,
    /// Resident bytes at the end.
    pub(crate) end: u64,
}

/// By how many bytes TCP's buffers on the whole machine grew since all clients were connected.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct TcpMemory {
    /// After a tenth of the updates.
    pub(crate) tenth: u64,
    /// At the end.
    pub(crate) end: u64,
}

impl Outcome {
    /// Adds what one thread's subscribers received of what the publishers sent.
    pub(crate) fn add(&mut self, received: Received, plan: &Plan, sent: &[Sent]) {
        for latency in &received.latency {
            self.delivery.merge(latency);
        }
        self.duplicates += received.duplicates;
        self.late += received.late;
        self.disconnected += received.disconnected;
        self.first_end = self.first_end.take().or(received.first_end);
        for (subscriber, seen) in received.seen {
            for (publisher, (seen, sent)) in seen.iter().zip(sent).enumerate() {
                let due = plan.due(subscriber, publisher, sent.updates);
                self.lost += seen.lost(due, &BTreeSet::new());
            }
        }
    }
}
