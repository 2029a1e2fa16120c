//! One measurement: connect, settle, publish, drain, count.

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::clients::{StopOnDrop, connect};
use super::outcome::{Outcome, ProcessCost};
use super::plan::Plan;
use super::progress::Progress;
use super::publisher::{Pace, Publisher, Sent};
use super::stalled;
use super::watch::Watch;
use crate::clock;
use crate::error::Problem;
use crate::process::{SAMPLE, Usage, tcp_memory};
use crate::threads::{Worker, join};

/// How long no delivery may come before the missing ones count as lost.
const DRAIN: Duration = Duration::from_secs(5);

/// Measures a plan, with `stalled` further sockets that never read, and the process `pid`.
///
/// # Errors
/// When the load cannot be brought up or a publisher fails.
pub(crate) fn measure(
    plan: &Arc<Plan>,
    stalled: usize,
    pid: Option<u32>,
) -> Result<Outcome, Problem> {
    let usage = || pid.map(Usage::of).transpose();
    let timeout_ns = plan.load.timeout.saturating_mul(1_000_000_000);
    let progress = Arc::new(Progress::new(clock::now_ns().saturating_add(timeout_ns)));
    let _stop = StopOnDrop(Arc::clone(&progress));
    let before = usage()?;
    let receivers = connect(plan, &progress)?;
    let idle = pid.map(Usage::settled).transpose()?;
    let tcp = tcp_memory().unwrap_or_default();
    let stalled = stalled::open(plan, stalled)?;
    let own = Usage::own()?;
    let begin = usage()?;

    let pace = Arc::new(Pace::new(plan));
    let mut watch = Watch::new(plan, pid, tcp);
    let sent = publish(plan, &progress, &pace, &mut watch)?;
    let updates: u64 = sent.iter().map(|each| each.updates).sum();
    progress.wait_for(updates * plan.fan_out(), DRAIN);
    watch.look(&progress)?;
    let end = usage()?;
    let own_cpu_us = Usage::own()?.cpu_us - own.cpu_us;
    let cut_short = progress.left_ns() == 0;
    progress.stop();

    let mut outcome = Outcome {
        subscribers: plan.load.subscribers as u64,
        stalled: stalled.len() as u64,
        updates,
        cut_short,
        own_cpu_us,
        tcp: watch.tcp,
        ..Outcome::default()
    };
    for each in &sent {
        outcome.publish.merge(&each.latency);
    }
    let mut last_ns = pace.begin_ns();
    for receiver in receivers {
        let received = join(receiver)?;
        last_ns = last_ns.max(received.last_ns);
        outcome.add(received, plan, &sent);
    }
    // Counted once no receiver runs any more.
    outcome.deliveries = progress.delivered();
    outcome.seconds = (last_ns - pace.begin_ns()) as f64 / 1e9;
    if let (Some(before), Some(idle), Some(begin), Some(end)) = (before, idle, begin, end) {
        outcome.process = Some(ProcessCost {
            cpu_us: end.cpu_us - begin.cpu_us,
            before: before.resident,
            idle: idle.resident,
            peak: watch.peak,
            tenth: watch.tenth,
            end: end.resident,
        });
    }
    Ok(outcome)
}

/// Lets all publishers publish, and waits for them.
fn publish(
    plan: &Arc<Plan>,
    progress: &Arc<Progress>,
    pace: &Arc<Pace>,
    watch: &mut Watch,
) -> Result<Vec<Sent>, Problem> {
    let publishers = (0..plan.load.publishers)
        .map(|number| start(number, plan, progress, pace))
        .collect::<Result<Vec<_>, _>>()?;
    while !publishers.iter().all(JoinHandle::is_finished) {
        watch.look(progress)?;
        thread::sleep(SAMPLE.min(Duration::from_nanos(progress.left_ns())));
    }
    publishers.into_iter().map(join).collect()
}

fn start(
    number: usize,
    plan: &Arc<Plan>,
    progress: &Arc<Progress>,
    pace: &Arc<Pace>,
) -> Result<Worker<Sent>, Problem> {
    let publisher = Publisher {
        number,
        plan: Arc::clone(plan),
        progress: Arc::clone(progress),
        pace: Arc::clone(pace),
    };
    thread::Builder::new()
        .name(format!("publisher {number}"))
        .spawn(move || publisher.run())
        .map_err(Problem::Thread)
}
