//! How many updates a second become durable, beside a bare loop that writes and syncs.

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use talaria_transport::history::History;
use talaria_transport::{Frame, Route, Transport};

use super::args::HistoryArgs;
use super::scratch::{Scratch, segment_bytes};
use super::store::{open, options, topic, update};
use crate::clock::{now_ns, per_second};
use crate::error::Problem;
use crate::print;

/// The router's part, without subscribers: also counts groups and updates.
struct Counting {
    ring: Arc<talaria_transport::Ring>,
    groups: AtomicU64,
    updates: AtomicU64,
}

impl Route for Counting {
    fn route(&self, group: &[Arc<Frame>], acknowledge: &mut dyn FnMut()) {
        self.ring.extend(group);
        self.groups.fetch_add(1, Ordering::Relaxed);
        self.updates
            .fetch_add(group.len() as u64, Ordering::Relaxed);
        acknowledge();
    }
}

/// The result of one turn of publishing.
struct Turn {
    rate: f64,
    /// Updates in a group, on average.
    group: f64,
    /// Bytes of a group, on average.
    bytes: u64,
}

/// Publishes with each number of publishers, and prints a table.
///
/// # Errors
/// When the history or the disk fails.
pub(crate) async fn measure(args: &HistoryArgs, scratch: &Scratch) -> Result<(), Problem> {
    print::line(format_args!(
        "durable updates/s (sync always, {} bytes), beside groups of the same size written bare:",
        args.payload
    ))?;
    print::line(format_args!(
        "publishers   updates/s   a group     bare/s    ratio"
    ))?;
    for publishers in args.publishers.iter().copied() {
        let (mut rates, mut bares, mut ratios, mut groups) = (vec![], vec![], vec![], vec![]);
        for round in 0..args.rounds {
            let path = scratch.join(&format!("durable-{publishers}-{round}"));
            let turn = publish(args, &path, publishers).await?;
            let bare = bare(args, &scratch.join("bare"), &turn)?;
            ratios.push(turn.rate / bare);
            rates.push(turn.rate);
            bares.push(bare);
            groups.push(turn.group);
        }
        print::line(format_args!(
            "{publishers:>10}  {:>10.0}  {:>8.1}  {:>9.0}    {:>5.2}",
            median(rates),
            median(groups),
            median(bares),
            median(ratios)
        ))?;
    }
    Ok(())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

async fn publish(args: &HistoryArgs, path: &Path, publishers: usize) -> Result<Turn, Problem> {
    let history: Arc<History> = open(path, options())?;
    let counting = Arc::new(Counting {
        ring: Arc::clone(history.ring()),
        groups: AtomicU64::new(0),
        updates: AtomicU64::new(0),
    });
    history.start(Arc::clone(&counting) as _);
    let stop = Arc::new(AtomicBool::new(false));
    let begun = now_ns();
    let mut tasks = tokio::task::JoinSet::new();
    for publisher in 0..publishers {
        let (history, stop, payload) = (Arc::clone(&history), Arc::clone(&stop), args.payload);
        tasks.spawn(async move {
            let topic = topic(publisher as u64);
            while !stop.load(Ordering::Relaxed) {
                let append = history.append(update(topic.clone(), payload, None));
                append.await.map_err(Problem::history)?;
            }
            Ok::<_, Problem>(())
        });
    }
    tokio::time::sleep(Duration::from_secs(args.seconds)).await;
    stop.store(true, Ordering::Relaxed);
    while let Some(done) = tasks.join_next().await {
        done.map_err(|_| Problem::Panicked)??;
    }
    let took = now_ns() - begun;
    let updates = counting.updates.load(Ordering::Relaxed);
    let groups = counting.groups.load(Ordering::Relaxed).max(1);
    drop(history);
    Ok(Turn {
        rate: per_second(updates, took),
        group: updates as f64 / groups as f64,
        bytes: segment_bytes(path) / groups,
    })
}

/// The updates a second of a loop that writes the bytes of a group and syncs them.
fn bare(args: &HistoryArgs, path: &Path, turn: &Turn) -> Result<f64, Problem> {
    let failed = |error| Problem::File {
        path: path.to_owned(),
        error,
    };
    let mut file = std::fs::File::create(path).map_err(failed)?;
    let group = vec![b'x'; usize::try_from(turn.bytes).unwrap_or(usize::MAX)];
    let begun = now_ns();
    let mut groups = 0;
    while now_ns() - begun < args.seconds * 1_000_000_000 {
        file.write_all(&group).map_err(failed)?;
        file.sync_data().map_err(failed)?;
        groups += 1;
    }
    let groups_per_second = per_second(groups, now_ns() - begun);
    std::fs::remove_file(path).map_err(failed)?;
    Ok(groups_per_second * turn.group)
}
