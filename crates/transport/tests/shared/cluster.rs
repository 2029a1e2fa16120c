//! Three nodes on one simulated log, while all that can fail does. An oracle judges what happened.
//!
//! 300 seeds, 10,000 with `TALARIA_FULL=1`; `TALARIA_SEED=n` runs one.

mod facts;
mod law;
mod oracle;
mod plan;
mod process;
mod publishers;
mod readers;
mod site;
mod subscriptions;
mod trouble;
mod view;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use talaria_transport::shared::simulated::Held;
use talaria_transport::{Health, Transport};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use self::law::{Broken, Law};
use self::plan::{LEASE, NODES, Plan};
use self::readers::Reader;
use self::site::{Phase, Site};

/// Seeds that broke a promise once.
const FOUND: [u64; 1] = [7_417];
const ORDINARY: u64 = 300;
/// Within this time after the last failure everything is as it should be.
const SETTLED: Duration = Duration::from_secs(10 * LEASE.as_secs());

fn count() -> u64 {
    match std::env::var("TALARIA_FULL") {
        Ok(value) if value == "1" => 10_000,
        _ => ORDINARY,
    }
}

/// Every cluster keeps its promises.
#[test]
fn clusters_keep_their_promises() {
    let one = std::env::var("TALARIA_SEED").ok();
    let one: Option<u64> = one.and_then(|seed| seed.parse().ok());
    if one.is_some() {
        // Virtual time is printed instead.
        tracing_subscriber::fmt()
            .without_time()
            .with_writer(std::io::stderr)
            .init();
    }
    let seeds: Vec<u64> = match one {
        Some(seed) => vec![seed],
        None => FOUND.into_iter().chain(0..count()).collect(),
    };
    // A few show whether they have something in common.
    let most = if count() == ORDINARY { 1 } else { 20 };
    let next = AtomicUsize::new(0);
    let broken = Mutex::new(Vec::new());
    let work = || {
        while broken.lock().unwrap().len() < most
            && let Some(seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed))
        {
            let mut plan = Plan::new(*seed);
            plan.is_told = one.is_some();
            if let Err(why) = live(&plan) {
                let rerun = format!("rerun it with TALARIA_SEED={seed}");
                broken
                    .lock()
                    .unwrap()
                    .push(format!("seed {seed}: {why}; {plan:?}; {rerun}"));
            }
        }
    };
    let workers = std::thread::available_parallelism().map_or(1, |count| count.get());
    std::thread::scope(|scope| {
        (0..workers).for_each(|_| drop(scope.spawn(work)));
    });
    let broken = broken.into_inner().unwrap();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

/// What happens follows from the seed alone, so that a seed that breaks a promise can be run again.
#[test]
fn a_seed_decides_what_happens() {
    for seed in 0..6 {
        let plan = Plan::new(seed);
        let [once, again] = [live(&plan), live(&plan)];
        assert!(once == again, "seed {seed} differs from itself");
    }
}

/// The life of one cluster, and the log in its end.
fn live(plan: &Plan) -> Result<Held, Broken> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime.block_on(run(plan.clone()))
}

async fn run(plan: Plan) -> Result<Held, Broken> {
    let site = Site::new(plan.clone());
    let mut tasks = JoinSet::new();
    let mut troubles = JoinSet::new();
    trouble::begin(&site);
    for node in 0..NODES.len() {
        tasks.spawn(process::keep(Arc::clone(&site), node));
    }
    for reader in 0..3 {
        let reader = Reader::new(Arc::clone(&site), plan.random(3_000 + reader));
        tasks.spawn(reader.run());
    }
    troubles.spawn(trouble::of_nodes(Arc::clone(&site), plan.random(4_000)));
    troubles.spawn(trouble::of_servers(Arc::clone(&site), plan.random(4_001)));
    sleep(plan.lasts).await;
    troubles.shutdown().await;
    site.phase.set(Phase::Calm);
    trouble::end(&site);
    let settled = settle(&site).await;
    let settled = settled.or_else(|how| Law::GoesOn.broken(how));
    let lost = site.world.lost();
    let held = match site.world.held() {
        Some(held) => held,
        None => return Law::GoesOn.broken("there is no log"),
    };
    let judged = oracle::judge(&plan, &site.facts, held.clone(), lost, settled);
    tasks.shutdown().await;
    judged.map(|()| held)
}

/// Notes how much the nodes say that was lost.
fn note_losses(site: &Site) {
    for node in 0..NODES.len() {
        let log = site.door(node).and_then(|door| door.log.upgrade());
        let figures = log.and_then(|log| log.figures().shared);
        let mut facts = site.facts.lock();
        let lives = facts.lives.iter_mut();
        let life = lives.rev().find(|life| life.node == node);
        if let (Some(life), Some(figures)) = (life, figures) {
            life.lost = Some(figures.lost);
        }
    }
}

/// Waits until all nodes have shown the same, and a further update.
async fn settle(site: &Arc<Site>) -> Result<(), String> {
    let began = Instant::now();
    // Dead members are buried, and what they left is ended.
    sleep(5 * LEASE).await;
    for node in 0..NODES.len() {
        let log = site.door(node).and_then(|door| door.log.upgrade());
        let log = log.ok_or(format!("node {node} has not come back"))?;
        let health = log.health();
        if health != Health::Ready {
            return Err(format!("node {node} says in the end: {health:?}"));
        }
        let text = format!("last of {node}");
        let attempt = site.facts.attempt(&text, false);
        let update = talaria_protocol::Update {
            topics: vec!["last".to_owned()],
            data: text.clone(),
            ..Default::default()
        };
        let answer = log.append(update).await;
        answer
            .clone()
            .map_err(|error| format!("node {node}: {error}"))?;
        site.facts.answered(&text, attempt, answer);
    }
    while began.elapsed() < SETTLED {
        sleep(LEASE / 5).await;
        let head = site.world.held().map(|held| held.bounds.head);
        let is_there = |node: usize| {
            let door = site.door(node);
            door.map(|door| door.view.visible.get().0) == head
        };
        if (0..NODES.len()).all(is_there) {
            note_losses(site);
            return Ok(());
        }
    }
    Err("the nodes do not come to the end of the log".to_owned())
}
