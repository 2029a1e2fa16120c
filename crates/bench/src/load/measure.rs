//! One measurement: connect, settle, publish, drain, count.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::clock;
use crate::histogram::Histogram;
use crate::load::plan::Plan;
use crate::load::progress::Progress;
use crate::load::publisher::{Pace, Publisher, Sent};
use crate::load::receiver::{Received, Receiver};
use crate::load::stalled;
use crate::process::{Usage, tcp_memory};

/// How long the last deliveries may keep still before they count as lost.
const DRAIN: Duration = Duration::from_secs(5);
/// How often memory is looked at.
const SAMPLE: Duration = Duration::from_millis(100);
/// How many looks a process' memory has to settle at most, and how many without change suffice.
const SETTLE_LOOKS: usize = 30;
const SETTLED_LOOKS: usize = 3;

/// What one measurement found.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Subscribers that were connected.
    pub subscribers: u64,
    /// Sockets beside them that never read.
    pub stalled: u64,
    /// Updates that the hub accepted.
    pub updates: u64,
    /// Deliveries to subscribers, each counted once.
    pub deliveries: u64,
    /// Seconds from the first publish to the last delivery.
    pub seconds: f64,
    /// From sending to receiving.
    pub delivery: Histogram,
    /// From sending to the hub's answer.
    pub publish: Histogram,
    /// Updates that a subscriber was due and never got.
    pub lost: u64,
    /// Updates that a subscriber got twice.
    pub duplicates: u64,
    /// Updates that a subscriber got after later ones.
    pub late: u64,
    /// Subscriptions that ended early.
    pub disconnected: u64,
    /// Why the first of them ended.
    pub first_end: Option<String>,
    /// Whether `--timeout` ended it before the load was done.
    pub cut_short: bool,
    /// The process measured, if one was given.
    pub process: Option<ProcessCost>,
    /// Processor time of the bench itself while publishing, in microseconds.
    pub own_cpu_us: u64,
    /// What TCP buffers grew by.
    pub tcp: TcpMemory,
}

/// What the load cost the process measured.
#[derive(Debug, Default, Clone, Copy)]
pub struct ProcessCost {
    /// Processor time from the first publish to the last delivery, in microseconds.
    pub cpu_us: u64,
    /// Resident bytes before anybody connected.
    pub before: u64,
    /// Resident bytes with everybody connected and idle.
    pub idle: u64,
    /// The most resident bytes seen under load.
    pub peak: u64,
    /// Resident bytes after a tenth of the updates.
    pub tenth: u64,
    /// Resident bytes at the end.
    pub end: u64,
}

/// Growth of TCP's buffers over the whole machine since everybody was connected, in bytes.
#[derive(Debug, Default, Clone, Copy)]
pub struct TcpMemory {
    /// After a tenth of the updates.
    pub tenth: u64,
    /// At the end.
    pub end: u64,
}

/// Measures a plan, beside so many stalled sockets.
///
/// # Errors
/// When the load cannot be brought up or a publisher fails.
pub fn measure(plan: &Arc<Plan>, stalled: usize, pid: Option<u32>) -> Result<Outcome, String> {
    let usage = || pid.map(Usage::of).transpose();
    let seconds = plan.load.timeout.saturating_mul(1_000_000_000);
    let progress = Arc::new(Progress::new(clock::now_ns().saturating_add(seconds)));
    let _stop = StopOnDrop(Arc::clone(&progress));
    let before = usage()?;
    let receivers = connect(plan, &progress)?;
    let idle = settle(pid)?;
    let tcp = tcp_memory().unwrap_or_default();
    let stalled = stalled::open(plan, stalled)?;
    let own = Usage::of(std::process::id())?;
    let begin = usage()?;

    let pace = Arc::new(Pace::new(plan));
    let publishers = publish(plan, &progress, &pace)?;
    let mut watch = Watch::new(plan, pid, tcp);
    while !publishers.iter().all(JoinHandle::is_finished) {
        watch.look(&progress)?;
        thread::sleep(SAMPLE.min(Duration::from_nanos(progress.left_ns())));
    }
    let sent = publishers
        .into_iter()
        .map(join)
        .collect::<Result<Vec<Sent>, _>>()?;
    let updates: u64 = sent.iter().map(|each| each.updates).sum();
    progress.wait_for(updates * plan.fan_out(), DRAIN);
    watch.look(&progress)?;
    let end = usage()?;
    let own_cpu_us = Usage::of(std::process::id())?.cpu_us - own.cpu_us;
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
    // Counted once no receiver takes any more.
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

impl Outcome {
    fn add(&mut self, received: Received, plan: &Plan, sent: &[Sent]) {
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

/// Ends the threads of a measurement that fails.
pub struct StopOnDrop(pub Arc<Progress>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// A thread of a bench.
pub type Worker<T> = JoinHandle<Result<T, String>>;

/// Waits for a thread of a bench.
///
/// # Errors
/// The thread's own.
pub fn join<T>(worker: Worker<T>) -> Result<T, String> {
    worker
        .join()
        .unwrap_or_else(|_| Err("a thread of the bench panicked; this is a defect".to_owned()))
}

/// Starts the receivers and waits until every subscriber is connected.
///
/// # Errors
/// When a subscriber is refused, or `--timeout` is over.
pub fn connect(
    plan: &Arc<Plan>,
    progress: &Arc<Progress>,
) -> Result<Vec<Worker<Received>>, String> {
    let threads = plan.load.threads.min(plan.load.subscribers);
    let (ready, all_ready) = channel();
    let mut workers = Vec::with_capacity(threads);
    for thread in 0..threads {
        let subscribers = (thread..plan.load.subscribers).step_by(threads).collect();
        let receiver = Receiver::new(Arc::clone(plan), Arc::clone(progress), subscribers)?;
        let ready = ready.clone();
        workers.push(thread::spawn(move || receiver.run(&ready)));
    }
    drop(ready);
    let mut waiting = threads;
    while waiting > 0 {
        match all_ready.recv_timeout(SAMPLE) {
            Ok(()) => waiting -= 1,
            Err(RecvTimeoutError::Timeout) if !progress.is_over() => {
                if workers.iter().any(JoinHandle::is_finished) {
                    break;
                }
            }
            Err(_) => break,
        }
    }
    if waiting == 0 {
        return Ok(workers);
    }
    progress.stop();
    for worker in workers {
        join(worker)?;
    }
    Err(format!(
        "--timeout {}: not all subscribers were connected in time; give more",
        plan.load.timeout
    ))
}

fn publish(
    plan: &Arc<Plan>,
    progress: &Arc<Progress>,
    pace: &Arc<Pace>,
) -> Result<Vec<Worker<Sent>>, String> {
    (0..plan.load.publishers)
        .map(|number| {
            let publisher = Publisher {
                number,
                plan: Arc::clone(plan),
                progress: Arc::clone(progress),
                pace: Arc::clone(pace),
            };
            thread::Builder::new()
                .name(format!("publisher {number}"))
                .spawn(move || publisher.run())
                .map_err(|error| format!("--publishers: no thread for one: {error}"))
        })
        .collect()
}

/// Waits until a process' memory keeps still, so that accepting is over when "idle" is measured.
///
/// # Errors
/// When the process has ended.
pub fn settle(pid: Option<u32>) -> Result<Option<Usage>, String> {
    let Some(pid) = pid else { return Ok(None) };
    let mut usage = Usage::of(pid)?;
    let mut still = 0;
    for _ in 0..SETTLE_LOOKS {
        thread::sleep(SAMPLE);
        let now = Usage::of(pid)?;
        still = if now.resident == usage.resident {
            still + 1
        } else {
            0
        };
        usage = now;
        if still == SETTLED_LOOKS {
            break;
        }
    }
    Ok(Some(usage))
}

/// Looks at memory while the load runs.
struct Watch {
    pid: Option<u32>,
    tcp_before: u64,
    /// Deliveries at a tenth of the load, when its size is known.
    tenth_at: Option<u64>,
    tenth: u64,
    peak: u64,
    tcp: TcpMemory,
}

impl Watch {
    fn new(plan: &Plan, pid: Option<u32>, tcp_before: u64) -> Self {
        let updates = plan.load.updates;
        Self {
            pid,
            tcp_before,
            tenth_at: updates.map(|updates| updates.div_ceil(10) * plan.fan_out()),
            tenth: 0,
            peak: 0,
            tcp: TcpMemory::default(),
        }
    }

    fn look(&mut self, progress: &Progress) -> Result<(), String> {
        let resident = match self.pid {
            Some(pid) => Usage::of(pid)?.resident,
            None => 0,
        };
        self.peak = self.peak.max(resident);
        self.tcp.end = tcp_memory()
            .unwrap_or_default()
            .saturating_sub(self.tcp_before);
        if self.tenth_at.is_some_and(|at| progress.delivered() >= at) {
            self.tenth_at = None;
            self.tenth = resident;
            self.tcp.tenth = self.tcp.end;
        }
        Ok(())
    }
}
