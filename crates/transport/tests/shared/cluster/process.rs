//! A node: its processes, one after the other.

use std::sync::Arc;
use std::time::Duration;

use talaria_transport::Transport;
use talaria_transport::shared::backend::BackendError;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::facts::Life;
use super::law::Law;
use super::plan::NODES;
use super::publishers::publish;
use super::site::{Door, Log, Site, Wanted};
use super::subscriptions::Subscriptions;
use super::view::View;
use crate::signal::Signal;

/// Starts a process whenever the node is to run, and ends it when it is not.
pub async fn keep(site: Arc<Site>, node: usize) {
    let wanted = &site.wanted[node];
    for number in 0.. {
        wanted.wait_for(|to_be| to_be == Wanted::Up).await;
        let log = tokio::select! {
            biased;
            _ = wanted.wait_for(|to_be| to_be != Wanted::Up) => continue,
            log = open(&site, node, number) => log,
        };
        site.say(format_args!("{} runs", NODES[node]));
        let process = Process::start(&site, node, number, log);
        let how = wanted.wait_for(|to_be| to_be != Wanted::Up).await;
        process.end(&site, how).await;
    }
}

async fn open(site: &Site, node: usize, number: u64) -> Log {
    let mut random = site.plan.random(1_000 * (node as u64 + 1) + number);
    let mut seed = random.next();
    loop {
        let backend = Arc::new(site.world.node(NODES[node]));
        match Log::open(backend, site.plan.shared(seed)).await {
            Ok(log) => return log,
            Err(BackendError::Fatal { problem, .. }) => {
                site.facts
                    .violated(Law::GoesOn, format!("it was told to give up: {problem}"));
            }
            Err(_) => {
                // A program that starts again has another number.
                seed = random.next();
                sleep(Duration::from_millis(500)).await;
            }
        }
    }
}

struct Process {
    node: usize,
    life: usize,
    log: Arc<Log>,
    runs: Arc<Signal<bool>>,
    tasks: JoinSet<()>,
}

impl Process {
    fn start(site: &Arc<Site>, node: usize, number: u64, log: Log) -> Self {
        let log = Arc::new(log);
        let start = log.bounds().head;
        let view = Arc::new(View::new(Arc::clone(log.ring()), start));
        log.start(view.clone());
        let runs = Arc::new(Signal::new(true));
        let life = {
            let mut facts = site.facts.lock();
            facts.lives.push(Life {
                node,
                number,
                view: Arc::clone(&view),
                start,
                was_cut: false,
                has_ended: false,
                lost: None,
            });
            facts.lives.len() - 1
        };
        let mut random = site.plan.random(2_000 * (node as u64 + 1) + number);
        let mut tasks = JoinSet::new();
        for part in 0..2 {
            let name = format!("{}-{number}-{part}", NODES[node]);
            let (site, log) = (Arc::clone(site), Arc::clone(&log));
            tasks.spawn(publish(site, log, name, random.fork()));
        }
        let prefix = format!("{}-{number}-", NODES[node]);
        let subscriptions = Subscriptions::new(site, &log, &view, life, prefix);
        subscriptions.run(&mut tasks, random);
        let door = Door {
            log: Arc::downgrade(&log),
            view,
            runs: Arc::clone(&runs),
        };
        site.doors.lock().unwrap()[node] = Some(door);
        Self {
            node,
            life,
            log,
            runs,
            tasks,
        }
    }

    async fn end(mut self, site: &Site, how: Wanted) {
        site.doors.lock().unwrap()[self.node] = None;
        self.runs.set(false);
        site.facts.lock().lives[self.life].has_ended = true;
        self.tasks.shutdown().await;
        if how == Wanted::Stopped {
            // If the server does not answer, the others find out by themselves.
            _ = timeout(Duration::from_secs(1), self.log.leave()).await;
        }
    }
}
