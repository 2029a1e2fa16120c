//! The task that empties the queue of spans.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use opentelemetry_proto::tonic::resource::v1::Resource;
use talaria_config::settings::BatchSettings;
use talaria_hub::trace::Span;
use talaria_protocol::error::Shown;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::client::Client;
use super::encode;
use super::outcome::Outcome;

/// The first and the longest wait between attempts at one export; each is up to twice the one before.
const FIRST_RETRY: Duration = Duration::from_millis(500);
const LAST_RETRY: Duration = Duration::from_secs(5);
/// How long spans wait for others while the program stops.
const HURRY: Duration = Duration::from_millis(50);
/// How often the log says that spans were dropped.
const TOLD: Duration = Duration::from_secs(60);

/// Exports spans.
pub(super) struct Exporting {
    pub client: Client,
    pub resource: Resource,
    pub batch: BatchSettings,
    pub queue: mpsc::Receiver<Span>,
    /// Spans that found no room in the queue.
    pub dropped: Arc<AtomicU64>,
    /// Cancelled when the program begins to stop.
    pub hurry: CancellationToken,
    /// Cancelled when no more spans come.
    pub last: CancellationToken,
    pub state: State,
}

/// What the log was told.
#[derive(Default)]
pub(super) struct State {
    /// Since when exports fail, and how many spans were lost since then.
    failing: Option<u64>,
    /// How many dropped spans were told, and when.
    told: (u64, Option<Instant>),
}

impl Exporting {
    /// Exports until no more spans come.
    pub(super) async fn run(mut self) {
        let mut batch = Vec::new();
        while self.fill(&mut batch).await {
            self.export(std::mem::take(&mut batch)).await;
            self.tell_dropped(false);
        }
        self.tell_dropped(true);
    }

    /// Waits for a span and for others; false once there are none and no more come.
    async fn fill(&mut self, batch: &mut Vec<Span>) -> bool {
        let first = tokio::select! {
            biased;
            first = self.queue.recv() => first,
            () = self.last.cancelled() => self.queue.try_recv().ok(),
        };
        let Some(first) = first else { return false };
        batch.push(first);
        let begun = Instant::now();
        let full = begun + self.batch.delay;
        while batch.len() < self.batch.size {
            let is_hurried = self.hurry.is_cancelled();
            let at = if is_hurried {
                full.min(begun + HURRY)
            } else {
                full
            };
            tokio::select! {
                biased;
                more = self.queue.recv() => match more {
                    Some(span) => batch.push(span),
                    None => break,
                },
                () = sleep_until(at) => break,
                () = self.hurry.cancelled(), if !is_hurried => {}
                () = self.last.cancelled() => break,
            }
        }
        true
    }

    /// Exports spans, with further attempts while another may succeed and there is time.
    async fn export(&mut self, batch: Vec<Span>) {
        let count = batch.len() as u64;
        let message = encode::request(&self.resource, batch);
        let whole = timeout(self.batch.timeout, self.attempts(&message)).await;
        let outcome = whole.unwrap_or_else(|_| {
            let seconds = self.batch.timeout.as_secs_f64();
            Outcome::Refused(format!("no attempt succeeded within {seconds} s"))
        });
        match outcome {
            Outcome::Taken { rejected, says } => self.succeeded(rejected, &says),
            Outcome::Later { why, .. } | Outcome::Refused(why) => self.failed(count, &why),
        }
    }

    async fn attempts(&self, message: &[u8]) -> Outcome {
        let mut pause = FIRST_RETRY;
        loop {
            let is_last = self.hurry.is_cancelled();
            let outcome = self.client.send(message).await;
            let Outcome::Later { why, after } = &outcome else {
                return outcome;
            };
            tracing::debug!("an export of spans failed and is tried again: {why}");
            if is_last {
                return outcome;
            }
            let asked = after.unwrap_or_default().min(self.batch.timeout);
            let wait = pause.mul_f64(rand::random_range(0.5..1.0)).max(asked);
            tokio::select! {
                () = sleep(wait) => {}
                // One more attempt at once, because there is no time for others.
                () = self.hurry.cancelled() => {}
            }
            pause = LAST_RETRY.min(2 * pause);
        }
    }

    fn succeeded(&mut self, rejected: u64, says: &str) {
        if let Some(lost) = self.state.failing.take() {
            tracing::info!(name: "spans_exported_again", lost, "spans are exported again");
        }
        if rejected > 0 || !says.is_empty() {
            tracing::warn!(
                name: "spans_rejected",
                rejected,
                says = %Shown(says),
                "the collector did not take all spans"
            );
        }
    }

    fn failed(&mut self, count: u64, why: &str) {
        let is_first = self.state.failing.is_none();
        let lost = self.state.failing.unwrap_or(0) + count;
        self.state.failing = Some(lost);
        if is_first {
            tracing::warn!(
                name: "spans_not_exported",
                lost,
                error = %Shown(why),
                "spans cannot be exported; look at the collector and at OTEL_EXPORTER_OTLP_ENDPOINT"
            );
        } else {
            tracing::debug!(lost, error = %Shown(why), "spans cannot be exported");
        }
    }

    /// Tells how many spans found no room, at most once a minute.
    fn tell_dropped(&mut self, is_last: bool) {
        let dropped = self.dropped.load(Ordering::Relaxed);
        let (told, at) = self.state.told;
        let is_due = is_last || at.is_none_or(|at| at.elapsed() >= TOLD);
        if dropped > told && is_due {
            self.state.told = (dropped, Some(Instant::now()));
            tracing::warn!(
                name: "spans_dropped",
                dropped = dropped - told,
                "spans were dropped, because OTEL_BSP_MAX_QUEUE_SIZE were waiting"
            );
        }
    }
}
