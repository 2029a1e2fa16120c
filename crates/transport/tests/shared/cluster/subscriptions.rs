//! What a hub does for subscriptions: it announces its own, and ends those that dead nodes left.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use talaria_protocol::Update;
use talaria_transport::Transport;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout_at};

use super::site::{Log, Site};
use super::view::View;
use crate::random::Random;

const PAUSE: Duration = Duration::from_millis(300);

/// The subscriptions of one process.
#[derive(Debug, Clone)]
pub struct Subscriptions {
    site: Arc<Site>,
    log: Arc<Log>,
    view: Arc<View>,
    life: usize,
    prefix: String,
    /// Those that a client holds open.
    open: Arc<Mutex<BTreeSet<String>>>,
}

fn event(topic: &str, active: bool) -> Update {
    Update {
        topics: vec![topic.to_owned()],
        data: format!("{{\"active\": {active}}}"),
        by_hub: true,
        ..Update::default()
    }
}

impl Subscriptions {
    pub fn new(
        site: &Arc<Site>,
        log: &Arc<Log>,
        view: &Arc<View>,
        life: usize,
        prefix: String,
    ) -> Self {
        Self {
            site: Arc::clone(site),
            log: Arc::clone(log),
            view: Arc::clone(view),
            life,
            prefix,
            open: Arc::default(),
        }
    }

    pub fn run(&self, tasks: &mut JoinSet<()>, mut random: Random) {
        for slot in 0..3 {
            tasks.spawn(self.clone().subscribe(slot, random.fork()));
        }
        tasks.spawn(self.clone().end_orphans());
        tasks.spawn(self.clone().end_own());
    }

    /// A client that subscribes again and again; what is open when there is calm stays open.
    async fn subscribe(self, slot: u64, mut random: Random) {
        for number in 0.. {
            sleep(random.time(10_000)).await;
            if self.site.is_calm() {
                return;
            }
            let topic = format!("{}{slot}-{number}", self.prefix);
            self.opened(&topic);
            let ends = Instant::now() + random.time(60_000);
            self.hold(&topic, ends).await;
            self.closed(&topic);
            self.append(&topic, false).await;
        }
    }

    fn opened(&self, topic: &str) {
        self.open.lock().unwrap().insert(topic.to_owned());
        self.site.facts.opened(self.life, topic);
    }

    fn closed(&self, topic: &str) {
        self.open.lock().unwrap().remove(topic);
        self.site.facts.closed(topic);
    }

    /// Announces a subscription until it ends, again whenever it is not active.
    async fn hold(&self, topic: &str, ends: Instant) {
        let mut visible = self.view.visible.subscribe();
        loop {
            visible.borrow_and_update();
            if !self.view.is_active(topic) {
                self.append(topic, true).await;
            }
            // What was appended last has changed the table by now, or something has changed it again.
            let is_over = timeout_at(ends, visible.changed()).await.is_err();
            if is_over && !self.site.is_calm() {
                return;
            }
            if is_over {
                // It stays open.
                _ = visible.changed().await;
            }
        }
    }

    /// Appends an event until it is stored, or known to be stored already.
    async fn append(&self, topic: &str, active: bool) {
        while self.log.append(event(topic, active)).await.is_err() {
            sleep(PAUSE).await;
        }
    }

    async fn end_orphans(self) {
        let Some(nodes) = self.log.nodes() else {
            return;
        };
        loop {
            for begun in nodes.orphans().await {
                if self
                    .log
                    .append(event(&begun.topics[0], false))
                    .await
                    .is_err()
                {
                    sleep(PAUSE).await;
                }
            }
        }
    }

    /// Ends own subscriptions that became active after their end: a server that was replaced may not know the end.
    async fn end_own(self) {
        let mut visible = self.view.visible.subscribe();
        loop {
            let active: Vec<String> = {
                let state = self.view.lock();
                let own = state.table.iter();
                own.filter(|topic| topic.starts_with(&self.prefix))
                    .cloned()
                    .collect()
            };
            let open = self.open.lock().unwrap().clone();
            for topic in active.iter().filter(|topic| !open.contains(*topic)) {
                self.append(topic, false).await;
            }
            if visible.changed().await.is_err() {
                return;
            }
        }
    }
}
