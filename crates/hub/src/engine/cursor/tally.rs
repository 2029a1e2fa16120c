//! What is counted of a stream, and the line of the log for its end.

use std::sync::Arc;
use std::time::Instant;

use talaria_protocol::Generation;
use talaria_transport::{Frame, Position};
use uuid::Uuid;

use super::step::End;
use crate::clock::Clock;
use crate::engine::router::Router;
use crate::statistics::{Departure, Parting, Protocol, Statistics};

/// What is counted of the stream of a client.
pub(crate) struct Tally {
    statistics: Arc<Statistics>,
    clock: Arc<dyn Clock>,
    /// What the listener tells of the stream, and of its connection.
    partings: [Option<Parting>; 2],
    subscriber: Uuid,
    protocol: Protocol,
    generation: Generation,
    began: Instant,
    /// The newest position when the stream began: what follows is not replayed.
    live_after: Position,
    updates: u64,
    bytes: u64,
}

impl Tally {
    /// The tally of a stream that begins now, while `visible` is the newest position.
    pub(crate) fn begin(
        statistics: Arc<Statistics>,
        clock: Arc<dyn Clock>,
        (protocol, generation): (Protocol, Generation),
        subscriber: Uuid,
        partings: [Option<Parting>; 2],
        visible: Position,
    ) -> Self {
        statistics.opened(protocol, generation);
        Self {
            began: clock.now(),
            statistics,
            clock,
            partings,
            subscriber,
            protocol,
            generation,
            live_after: visible,
            updates: 0,
            bytes: 0,
        }
    }

    /// The moment by the clock of the hub.
    pub(super) fn now(&self) -> Instant {
        self.clock.now()
    }

    /// Counts a chunk that is handed over.
    pub(super) fn hand_over(&mut self, frames: &[Arc<Frame>], router: &Router, now: Instant) {
        let bytes: usize = frames.iter().map(|frame| frame.bytes.len()).sum();
        self.updates += frames.len() as u64;
        self.bytes += bytes as u64;
        let oldest = frames.first();
        let live = oldest.filter(|frame| frame.position > self.live_after);
        let age = live.and_then(|frame| router.age(frame, now));
        let statistics = &self.statistics;
        statistics.delivered(self.protocol, frames.len(), bytes, age);
    }

    /// Why the stream ended if the hub did not end it.
    pub(super) fn told(&self) -> Departure {
        let each = || self.partings.iter().flatten();
        let told = each().find_map(Parting::told);
        let told = told.or_else(|| each().find_map(Parting::if_untold));
        told.unwrap_or(Departure::ClientGone)
    }

    /// Counts and logs the end.
    pub(super) fn end(&self, departure: Departure, now: Instant) {
        let lasted = now.saturating_duration_since(self.began);
        let kind = (self.protocol, self.generation);
        self.statistics.closed(kind, departure, lasted);
        tracing::info!(
            name: "subscriber_disconnected",
            // A name that operators filter by, whatever the module is called.
            target: "talaria_hub::stream",
            subscriber = %self.subscriber.urn(),
            reason = departure.code(),
            seconds = lasted.as_secs_f64(),
            updates = self.updates,
            bytes = self.bytes,
            "subscriber disconnected"
        );
    }
}

impl From<End> for Departure {
    fn from(end: End) -> Self {
        match end {
            End::Rotated => Self::Rotated,
            End::TokenExpired => Self::TokenExpired,
            End::Revoked => Self::Revoked,
            End::Disconnected => Self::Disconnected,
            End::Drained => Self::Drained,
            End::Passed => Self::LogPassed,
            End::Unavailable => Self::LogUnreadable,
        }
    }
}
