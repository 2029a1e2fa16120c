//! Takes spans, and decides which traces are recorded.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use talaria_config::settings::{Propagator, SamplerSettings};
use talaria_hub::trace::{Span, SpanSink};
use talaria_protocol::TraceContext;
use talaria_transport::Position;
use tokio::sync::mpsc;

use super::fanout::Fanout;
use crate::serve::clock;

/// Takes the spans of all sites.
pub(crate) struct Tracer {
    sampler: SamplerSettings,
    /// How requests carry their context.
    pub propagators: Vec<Propagator>,
    /// Where spans wait; `None` if they are not exported.
    queue: Option<mpsc::Sender<Span>>,
    /// Spans that found no room.
    dropped: Arc<AtomicU64>,
    fanout: Fanout,
}

impl Tracer {
    /// A tracer whose spans wait in `queue`.
    pub(super) fn new(
        sampler: SamplerSettings,
        propagators: Vec<Propagator>,
        queue: Option<mpsc::Sender<Span>>,
        dropped: Arc<AtomicU64>,
    ) -> Self {
        Self {
            sampler,
            propagators,
            queue,
            dropped,
            fanout: Fanout::default(),
        }
    }

    /// Whether a trace is recorded, of which the caller, if there is one, has perhaps decided.
    pub(super) fn samples(&self, trace_id: [u8; 16], decision: Option<bool>) -> bool {
        match decision {
            Some(decision) if self.sampler.follows_parent => decision,
            _ => is_within(trace_id, self.sampler.ratio),
        }
    }
}

impl SpanSink for Tracer {
    fn now(&self) -> SystemTime {
        clock::wall()
    }

    fn record(&self, span: Span) {
        if let Some(queue) = &self.queue
            && queue.try_send(span).is_err()
        {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn admits_delivery(&self, of: &TraceContext, position: Position) -> bool {
        self.fanout.admit(of, position)
    }
}

/// Whether a trace is in a share of all, which every program of the trace finds alike (OpenTelemetry,
/// `TraceIdRatioBased`).
fn is_within(trace_id: [u8; 16], ratio: f64) -> bool {
    if ratio >= 1.0 {
        return true;
    }
    let [.., a, b, c, d, e, f, g, h] = trace_id;
    let place = u64::from_be_bytes([a, b, c, d, e, f, g, h]) >> 1;
    // Of a share the upper 53 bits count.
    place < (ratio * (1u64 << 63) as f64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_traces_is_recorded() {
        let id = |n: u64| {
            let mut id = [7; 16];
            id[8..].copy_from_slice(&n.to_be_bytes());
            id
        };
        for (ratio, low, middle, high) in [
            (0.0, false, false, false),
            (0.25, true, false, false),
            (0.75, true, true, false),
            (1.0, true, true, true),
        ] {
            let within = |n| is_within(id(n), ratio);
            assert_eq!(within(1), low, "{ratio}");
            assert_eq!(within(u64::MAX / 2), middle, "{ratio}");
            assert_eq!(within(u64::MAX), high, "{ratio}");
        }
    }

    /// A caller's decision counts only where the sampler follows it.
    #[test]
    fn the_caller_decides_where_it_may() {
        let samples = |follows_parent, ratio, decision| {
            let sampler = SamplerSettings {
                follows_parent,
                ratio,
            };
            Tracer::new(sampler, Vec::new(), None, Arc::default()).samples([9; 16], decision)
        };
        assert!(samples(true, 0.0, Some(true)));
        assert!(!samples(true, 1.0, Some(false)));
        assert!(samples(true, 1.0, None));
        assert!(samples(false, 1.0, Some(false)));
        assert!(!samples(false, 0.0, Some(true)));
    }
}
