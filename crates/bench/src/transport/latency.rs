//! How long one update takes, at a rate at which nothing waits for anything else.

use std::time::Duration;

use serde_json::{Value, json};
use talaria_transport::Transport as _;
use tokio::time::{MissedTickBehavior, interval};

use super::args::TransportArgs;
use super::node::{Node, update};
use super::server::Server;
use crate::clock::now_ns;
use crate::error::Problem;
use crate::histogram::Histogram;

/// Durations of an update's parts.
pub(crate) struct Latency {
    bare: Histogram,
    acknowledged: Histogram,
    received: Histogram,
}

impl Latency {
    fn rows(&self) -> [(&'static str, &'static str, &Histogram); 3] {
        [
            ("bare append", "bare", &self.bare),
            ("acknowledged", "acknowledged", &self.acknowledged),
            ("at the last node", "received", &self.received),
        ]
    }

    /// A table for people.
    pub(crate) fn table(&self, args: &TransportArgs) -> String {
        let bare = self.bare.quantile_ms(0.5).unwrap_or_default();
        let mut text = format!(
            "{:<24}  p50, ms    p99, ms   p50 to bare\n",
            format!("at {} updates/s", args.rate)
        );
        for (title, _, took) in self.rows() {
            let quantile = |part| took.quantile_ms(part).unwrap_or_default();
            text += &format!(
                "{title:<24}  {:>7.3}  {:>9.3}  {:>12.2}\n",
                quantile(0.5),
                quantile(0.99),
                quantile(0.5) / bare
            );
        }
        text
    }

    /// The same for programs.
    pub(crate) fn json(&self) -> Value {
        let rows = self.rows().map(|(_, name, took)| {
            let quantiles =
                json!({ "p50_ms": took.quantile_ms(0.5), "p99_ms": took.quantile_ms(0.99) });
            (name.to_owned(), quantiles)
        });
        Value::Object(rows.into_iter().collect())
    }
}

/// Appends at the rate, in turn bare and by the first node.
///
/// # Errors
/// If an update is not stored.
pub(crate) async fn measure(
    args: &TransportArgs,
    server: &impl Server,
) -> Result<Latency, Problem> {
    let nodes = Node::enter_all(server, args.nodes).await?;
    let (Some(first), Some(last)) = (nodes.first(), nodes.last()) else {
        return Err(Problem::Zero { option: "--nodes" });
    };
    let (mut bare, mut acknowledged) = (Histogram::default(), Histogram::default());
    let count = args.seconds * u64::from(args.rate);
    let data = "x".repeat(args.payload);
    let mut ticks = interval(Duration::from_secs(1) / args.rate);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for _ in 0..count {
        ticks.tick().await;
        let begun = now_ns();
        server.append(&data).await?;
        bare.record(now_ns() - begun);
    }
    for _ in 0..count {
        ticks.tick().await;
        last.arrivals.expect();
        let begun = now_ns();
        let append = first.log.append(update(0, args.payload));
        append.await.map_err(Problem::log)?;
        acknowledged.record(now_ns() - begun);
    }
    last.arrivals.has(count).await;
    let received = last.arrivals.took();
    for node in nodes {
        node.leave().await?;
    }
    Ok(Latency {
        bare,
        acknowledged,
        received,
    })
}
