//! The three measurements of one run: without attackers, beside harmless ones, and during the attack.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use super::args::{Attack, AttackArgs};
use super::child::Attacker;
use super::findings::{Findings, Memory, Phase};
use super::honest::{CLIENTS, Honest, Schedule};
use super::inputs;
use crate::clock;
use crate::error::Problem;
use crate::http::error::HttpError;
use crate::http::keep_alive::KeepAlive;
use crate::http::target::Target;
use crate::load::args::LoadArgs;
use crate::load::clients::{StopOnDrop, connect};
use crate::load::plan::Plan;
use crate::load::progress::Progress;
use crate::process::{Usage, allow_open_files};
use crate::threads::join;

/// Measurements of one run.
const PHASES: usize = 3;
/// Seconds besides the phases after which a run is abandoned.
const SLACK: u64 = 180;
/// How long no delivery may come before the missing ones count as lost.
const DRAIN: Duration = Duration::from_secs(30);
/// Probes of `/healthz` a second.
const PROBES: u64 = 20;
/// How often the hub's memory is read.
const SAMPLE: Duration = Duration::from_millis(50);
/// Updates of one batch while the history is filled.
const BATCH: u64 = 1000;

/// Runs all three measurements.
///
/// # Errors
/// When the run cannot start, or the attacker or hub fails.
pub(crate) fn run(args: &AttackArgs) -> Result<Findings, Problem> {
    let seconds = args.seconds + 2 * args.baseline + SLACK;
    let (plan, attackers_token) = plan(args, seconds)?;
    allow_open_files(args.subscribers + 256)?;
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
    let before = Usage::settled(args.hub_pid)?.resident;
    let (attacked, most) = watched(args.hub_pid, || {
        let attacker = start(args.attack)?;
        let attacked = measure(&honest, args, 2, "attack", args.seconds)?;
        Ok::<_, Problem>((attacked, attacker.stop()?))
    });
    let (attacked, attackers) = attacked?;
    phases.push(attacked);
    let memory = Memory {
        before,
        most: most.max(before),
        after: Usage::settled(args.hub_pid)?.resident,
    };

    let updates = phases.iter().flat_map(|phase| &phase.published);
    let updates: u64 = updates
        .map(|one| one.updates - one.unanswered.len() as u64)
        .sum();
    progress.wait_for(updates * plan.fan_out(), DRAIN);
    progress.stop();
    let mut found = Findings {
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
        found.add(join(receiver)?);
    }
    found.add_resumes();
    Ok(found)
}

/// The honest clients' plan, and the attackers' token.
fn plan(args: &AttackArgs, seconds: u64) -> Result<(Arc<Plan>, String), Problem> {
    let target = Target::parse(&args.url)?;
    if !target.address.is_ipv4() {
        return Err(Problem::NotIpv4(args.url.clone()));
    }
    let keys = args.keys.required()?;
    let load = LoadArgs {
        subscribers: usize::try_from(args.subscribers).unwrap_or(usize::MAX),
        publishers: PHASES * CLIENTS,
        timeout: seconds,
        ..LoadArgs::default()
    };
    let mint = args.keys.mint(&args.url, seconds);
    let attackers_token = mint.token(&keys.publisher, "publish", &["*"], "bench-attacker")?;
    let mut plan = Plan::new(target, load);
    plan.reconnects = true;
    plan.lengthen(&format!("/{}", inputs::LONG));
    Ok((Arc::new(plan.with_tokens(&mint, &keys)?), attackers_token))
}

/// Lets the honest clients work for some seconds.
fn measure(
    honest: &Honest,
    args: &AttackArgs,
    number: usize,
    name: &'static str,
    seconds: u64,
) -> Result<Phase, Problem> {
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
    .ok_or(Problem::Panicked)?;
    Ok(phase)
}

/// Does some work, and returns the most resident bytes of the hub meanwhile; 0 if the hub ended.
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

/// Stores updates on long topics, so that there is a history to read.
fn fill(plan: &Plan, updates: u64) -> Result<(), HttpError> {
    if updates == 0 {
        return Ok(());
    }
    let mut connection = KeepAlive::open(plan.target.address, DRAIN)?;
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
        connection.accepted(request.as_bytes())?;
    }
    Ok(())
}
