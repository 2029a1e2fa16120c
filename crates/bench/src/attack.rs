//! `talaria bench attack`: what honest clients notice while others attack the hub.
//!
//! The honest clients come from 127.0.0.1 and stay connected; what they notice is measured three times on
//! the same hub: alone, beside clients that ask as fast as they can for something harmless, and beside the
//! attack. The second shows what the attackers' processor time on the same machine costs.

pub mod args;
pub mod attacker;
pub mod client;
mod honest;
mod http2;
pub mod inputs;
mod process;
mod report;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use self::args::{Attack, AttackArgs};
use self::honest::{CLIENTS, Done, Honest, Published, Resumed, Schedule};
use self::process::Attacker;
use crate::args::LoadArgs;
use crate::clock;
use crate::histogram::Histogram;
use crate::http::target::Target;
use crate::load::measure::{StopOnDrop, connect, join, settle};
use crate::load::plan::Plan;
use crate::load::progress::Progress;
use crate::load::publisher::Connection;
use crate::load::receiver::{Received, accepted};
use crate::process::{Usage, allow_open_files};

/// Measurements of one run: alone, beside harmless clients, beside the attack.
const PHASES: usize = 3;
/// Seconds besides the phases after which a run is given up.
const SLACK: u64 = 180;
/// How long the last deliveries may keep still before they count as lost.
const DRAIN: Duration = Duration::from_secs(30);
/// Probes of `/healthz` a second.
const PROBES: u64 = 20;
/// How often the hub's memory is looked at.
const SAMPLE: Duration = Duration::from_millis(50);
/// Updates of one batch while the history is filled.
const BATCH: u64 = 1000;

/// Runs the attack. The exit code is 1 when it could not run, or when an honest update was lost or doubled.
///
/// # Errors
/// When it could not run.
pub fn main(args: &AttackArgs) -> Result<bool, String> {
    let report = run(args)?;
    if args.json {
        println!("{}", report::json(&report));
    } else {
        print!("{}", report::table(&report));
    }
    Ok(report.is_flawless())
}

/// What one run found.
pub struct Report {
    attack: Attack,
    addresses: u8,
    /// Alone, harmless, attack.
    phases: Vec<Phase>,
    memory: Memory,
    lost: u64,
    doubled: u64,
    /// Streams of honest subscribers that ended, and attempts to come back that failed.
    ended: u64,
    first_end: Option<String>,
    /// What the attackers counted.
    attackers: serde_json::Value,
}

impl Report {
    fn is_flawless(&self) -> bool {
        self.lost + self.doubled == 0
    }
}

/// What the honest clients noticed for a while.
#[derive(Default)]
struct Phase {
    name: &'static str,
    seconds: u64,
    published: Vec<Published>,
    resumed: Resumed,
    health: Done,
    /// From when an update was due to a subscriber's read.
    delivery: Histogram,
}

/// The hub's resident bytes.
#[derive(Clone, Copy)]
struct Memory {
    /// Before the attack.
    before: u64,
    /// The most during the attack.
    most: u64,
    /// Some seconds after it.
    after: u64,
}

fn run(args: &AttackArgs) -> Result<Report, String> {
    let target = Target::parse(&args.url)?;
    if !target.address.is_ipv4() {
        return Err(format!(
            "--url {}: attackers come from 127.0.0.2 and further addresses; give an IPv4 address",
            args.url
        ));
    }
    let keys = crate::keys(&args.keys)?
        .ok_or("no key: the bench publishes; give the hub's with --key-file")?;
    let seconds = args.seconds + 2 * args.baseline + SLACK;
    let load = LoadArgs {
        subscribers: usize::try_from(args.subscribers).unwrap_or(usize::MAX),
        publishers: PHASES * CLIENTS,
        timeout: seconds,
        ..LoadArgs::default()
    };
    allow_open_files(args.subscribers + 256)?;
    let mint = crate::mint(&args.keys, &args.url, seconds);
    let attackers_token = mint.token(&keys.publisher, "publish", &["*"], "bench-attacker")?;
    let mut plan = Plan::new(target, load);
    plan.reconnects = true;
    plan.lengthen(&format!("/{}", inputs::LONG));
    let plan = Arc::new(plan.with_tokens(&mint, &keys)?);
    fill(&plan, args.stored)?;

    let deadline_ns = clock::now_ns().saturating_add(seconds * 1_000_000_000);
    let progress = Arc::new(Progress::new(deadline_ns));
    let _stop = StopOnDrop(Arc::clone(&progress));
    let receivers = connect(&plan, &progress)?;
    let honest = Honest::new(Arc::clone(&plan));
    let start = |attack| Attacker::start(attack, args, &attackers_token);

    let mut phases = vec![measure(&honest, args, 0, "alone", args.baseline)?];
    let harmless = start(Attack::Harmless)?;
    phases.push(measure(&honest, args, 1, "harmless", args.baseline)?);
    harmless.stop()?;
    let before = resident(args.hub_pid)?;
    let (attacked, most) = watched(args.hub_pid, || {
        let attacker = start(args.attack)?;
        let attacked = measure(&honest, args, 2, "attack", args.seconds)?;
        Ok::<_, String>((attacked, attacker.stop()?))
    });
    let (attacked, attackers) = attacked?;
    phases.push(attacked);
    let memory = Memory {
        before,
        most: most.max(before),
        after: resident(args.hub_pid)?,
    };

    let updates = phases.iter().flat_map(|phase| &phase.published);
    let updates: u64 = updates
        .map(|one| one.updates - one.unanswered.len() as u64)
        .sum();
    progress.wait_for(updates * plan.fan_out(), DRAIN);
    progress.stop();
    let mut report = Report {
        attack: args.attack,
        addresses: args.addresses,
        phases,
        memory,
        lost: 0,
        doubled: 0,
        ended: 0,
        first_end: None,
        attackers,
    };
    for receiver in receivers {
        report.add(join(receiver)?);
    }
    report.add_resumes();
    Ok(report)
}

impl Report {
    fn publishers(&self) -> impl Iterator<Item = &Published> {
        self.phases.iter().flat_map(|phase| &phase.published)
    }

    fn add(&mut self, received: Received) {
        self.doubled += received.duplicates;
        self.ended += received.disconnected;
        self.first_end = self.first_end.take().or(received.first_end);
        for (phase, latency) in self.phases.iter_mut().zip(received.latency.chunks(CLIENTS)) {
            for latency in latency {
                phase.delivery.merge(latency);
            }
        }
        for (_, seen) in received.seen {
            let seen = seen.iter().zip(self.publishers());
            let lost = seen.map(|(seen, sent)| seen.lost(sent.updates, &sent.unanswered));
            self.lost += lost.sum::<u64>();
        }
    }

    fn add_resumes(&mut self) {
        let resumed = self.phases.iter().map(|phase| &phase.resumed);
        let publishers: Vec<_> = self.publishers().collect();
        let is_lost = |(publisher, sequence): &&(usize, u64)| {
            let sent = publishers.get(*publisher);
            !sent.is_some_and(|sent| sent.unanswered.contains(sequence))
        };
        let (mut lost, mut doubled) = (0, 0);
        for resumed in resumed {
            lost += resumed.missing.iter().filter(is_lost).count() as u64;
            doubled += resumed.doubled;
        }
        self.lost += lost;
        self.doubled += doubled;
    }
}

/// Lets the honest clients work for some seconds.
fn measure(
    honest: &Honest,
    args: &AttackArgs,
    number: usize,
    name: &'static str,
    seconds: u64,
) -> Result<Phase, String> {
    let begin_ns = clock::now_ns();
    let end_ns = begin_ns + seconds * 1_000_000_000;
    let schedule = |rate, client, clients| Schedule::new(begin_ns, end_ns, rate, client, clients);
    let mut phase = Phase {
        name,
        seconds,
        ..Phase::default()
    };
    thread::scope(|scope| {
        let publishers: Vec<_> = (0..CLIENTS)
            .map(|client| {
                let schedule = schedule(args.rate, client, CLIENTS);
                scope.spawn(move || honest.publish(number * CLIENTS + client, schedule))
            })
            .collect();
        let readers: Vec<_> = (0..CLIENTS)
            .map(|client| {
                let schedule = schedule(args.resumes, client, CLIENTS);
                scope.spawn(move || honest.resume(schedule))
            })
            .collect();
        let probe = scope.spawn(|| honest.probe(schedule(PROBES, 0, 1)));
        for publisher in publishers {
            phase.published.push(publisher.join().ok()?);
        }
        for reader in readers {
            let resumed = reader.join().ok()?;
            phase.resumed.done.add(&resumed.done);
            phase.resumed.doubled += resumed.doubled;
            phase.resumed.missing.extend(resumed.missing);
        }
        phase.health = probe.join().ok()?;
        Some(())
    })
    .ok_or("a thread of the bench panicked; this is a defect")?;
    Ok(phase)
}

/// Does something, and returns the most resident bytes of the hub meanwhile; 0 if it ended.
fn watched<T>(pid: u32, work: impl FnOnce() -> T) -> (T, u64) {
    let is_done = AtomicBool::new(false);
    thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let mut most = 0;
            while !is_done.load(Ordering::Relaxed) {
                most = most.max(Usage::of(pid).map_or(0, |usage| usage.resident));
                thread::sleep(SAMPLE);
            }
            most
        });
        let done = work();
        is_done.store(true, Ordering::Relaxed);
        (done, watch.join().unwrap_or_default())
    })
}

/// The hub's resident bytes once they keep still.
fn resident(pid: u32) -> Result<u64, String> {
    Ok(settle(Some(pid))?.map_or(0, |usage| usage.resident))
}

/// Stores updates on long topics, so that there is a history to read.
fn fill(plan: &Plan, updates: u64) -> Result<(), String> {
    if updates == 0 {
        return Ok(());
    }
    let mut connection = Connection::open(plan.target.address, DRAIN)?;
    let token = plan.publisher_token.as_deref().unwrap_or_default();
    for first in (0..updates).step_by(BATCH as usize) {
        let numbers = first..updates.min(first + BATCH);
        let lines: String = numbers
            .map(|n| format!("{{\"topic\":\"{}/{n}\",\"data\":\"x\"}}\n", plan.topic(0)))
            .collect();
        let request = format!(
            "POST {} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/x-ndjson\r\n\
             Authorization: Bearer {token}\r\nContent-Length: {}\r\n\r\n{lines}",
            plan.target.path,
            plan.target.authority,
            lines.len()
        );
        let (response, body) = connection.exchange(request.as_bytes())?;
        accepted(&response, &body).map_err(|problem| format!("filling the history: {problem}"))?;
    }
    Ok(())
}
