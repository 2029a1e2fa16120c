//! How many updates a second are acknowledged.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use talaria_transport::Transport as _;
use tokio::task::JoinSet;

use super::args::TransportArgs;
use super::node::{Node, update};
use super::server::Server;
use crate::clock::{now_ns, per_second};
use crate::error::Problem;
use crate::histogram::Histogram;

/// The heads of the columns.
pub(crate) const HEAD: &str = "publishers   updates/s   acknowledged p50, ms    p99, ms   a group";

/// What a number of publishers has reached.
pub(crate) struct Rate {
    publishers: usize,
    rate: f64,
    took: Histogram,
    group: f64,
}

impl Rate {
    /// The columns.
    pub(crate) fn row(&self) -> String {
        let quantile = |part| self.took.quantile_ms(part).unwrap_or_default();
        format!(
            "{:>10}  {:>10.0}  {:>21.2}  {:>9.2}  {:>8.1}",
            self.publishers,
            self.rate,
            quantile(0.5),
            quantile(0.99),
            self.group
        )
    }

    /// The same for programs.
    pub(crate) fn json(&self) -> Value {
        json!({
            "publishers": self.publishers,
            "updates_per_s": self.rate,
            "acknowledged_p50_ms": self.took.quantile_ms(0.5),
            "acknowledged_p99_ms": self.took.quantile_ms(0.99),
            "updates_in_group": self.group,
        })
    }
}

/// Publishes for a while with a number of publishers, each of which waits for its answer.
///
/// # Errors
/// If an update is not stored.
pub(crate) async fn measure(
    args: &TransportArgs,
    server: &impl Server,
    publishers: usize,
) -> Result<Rate, Problem> {
    let nodes = Node::enter_all(server, args.nodes).await?;
    let stop = Arc::new(AtomicBool::new(false));
    let mut tasks = JoinSet::new();
    let begun = now_ns();
    for (publisher, node) in (0..publishers).zip(nodes.iter().cycle()) {
        let (log, stop, payload) = (Arc::clone(&node.log), Arc::clone(&stop), args.payload);
        let publish = async move {
            let mut took = Histogram::default();
            let mut count = 0_u64;
            while !stop.load(Ordering::Relaxed) {
                let begun = now_ns();
                let append = log.append(update(publisher, payload));
                append.await.map_err(Problem::log)?;
                took.record(now_ns() - begun);
                count += 1;
            }
            Ok::<_, Problem>((count, took))
        };
        tasks.spawn_on(publish, &node.runtime);
    }
    tokio::time::sleep(Duration::from_secs(args.seconds)).await;
    stop.store(true, Ordering::Relaxed);
    let (mut count, mut took) = (0, Histogram::default());
    while let Some(done) = tasks.join_next().await {
        let (some, of_one) = done.map_err(|_| Problem::Panicked)??;
        count += some;
        took.merge(&of_one);
    }
    let rate = per_second(count, now_ns() - begun);
    let groups = nodes.first().map_or(1, |node| node.arrivals.groups());
    for node in nodes {
        node.leave().await?;
    }
    Ok(Rate {
        publishers,
        rate,
        took,
        group: count as f64 / groups.max(1) as f64,
    })
}
