//! The nodes of a cluster, and where clients reach them.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use talaria_conformance::PATIENCE;
use talaria_conformance::client::{Answer, Client};
use talaria_conformance::hub::{Home, Hub};
use talaria_conformance::log::Log;
use talaria_conformance::token::ISSUER;

use crate::servers::Transport;

/// What tokens name, whichever node they are presented to.
pub const AUDIENCE: &str = "https://hub.example/.well-known/mercure";
/// How long a node may be silent.
pub const LEASE: Duration = Duration::from_secs(3);
/// How many lines of a node's log a failed test shows.
const SHOWN_LINES: usize = 80;

/// A hub of a cluster; dropping it kills it.
pub struct Node {
    hub: Option<Hub>,
    address: SocketAddr,
    admin: SocketAddr,
}

impl Node {
    /// A node with this transport.
    #[must_use]
    pub fn start(transport: &Transport) -> Self {
        Self::with(transport, "")
    }

    /// A node with these lines in its `mercure` block too.
    #[must_use]
    pub fn with(transport: &Transport, directives: &str) -> Self {
        let directives = format!(
            "resource_identifier {AUDIENCE}\n{directives}\ntransport {} {{\nlease {}s\npublish_timeout 5s\n{}\n}}",
            transport.name,
            LEASE.as_secs(),
            transport.lines,
        );
        let variables = [
            ("MERCURE_TRUSTED_ISSUERS", ISSUER),
            ("CADDY_ADMIN", "localhost:0"),
        ];
        let started = Home::new().start("http://127.0.0.1:0", &directives, &variables);
        let hub = started.unwrap_or_else(|said| panic!("the node does not listen:\n{said}"));
        let admin = hub.log.find(0, PATIENCE, |line| {
            let (_, after) = line.split_once("admin=")?;
            after.split_whitespace().next()?.parse().ok()
        });
        let admin = admin.unwrap_or_else(|said| panic!("no admin listener:\n{said}"));
        let address = hub.address;
        let hub = Some(hub);
        Self {
            hub,
            address,
            admin,
        }
    }

    fn hub(&self) -> &Hub {
        self.hub.as_ref().expect("it runs")
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A client without a token.
    #[must_use]
    pub fn client(&self) -> Client {
        self.hub().client()
    }

    /// A client that may publish everything.
    #[must_use]
    pub fn publisher(&self) -> Client {
        self.client().bearer(&crate::publishers::token())
    }

    /// Its log.
    #[must_use]
    pub fn log(&self) -> &Log {
        &self.hub().log
    }

    /// Whether the log has a line with these words.
    #[must_use]
    pub fn has_logged(&self, words: &str) -> bool {
        self.log().since(0).iter().any(|line| line.contains(words))
    }

    /// What it answers to orchestrators.
    pub async fn health(&self) -> Answer {
        self.client().get("/healthz").await
    }

    /// Waits until it is ready, or is not.
    ///
    /// # Panics
    /// It does not become so within `limit`.
    pub async fn until_ready(&self, is_ready: bool, limit: Duration) {
        let what = format!("readiness of {} to be {is_ready}", self.address);
        talaria_conformance::within_time(limit, &what, async {
            while self.health().await.status.is_success() != is_ready {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
    }

    /// The sum of a counter's series.
    ///
    /// # Panics
    /// There is none.
    pub async fn metric(&self, name: &str) -> u64 {
        let admin = Client::new(self.admin, &self.admin.to_string());
        let answer = admin.get("/metrics").await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        let series = answer.text.lines().filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            let own = series.split('{').next()?;
            (own == name).then(|| value.parse::<u64>().expect("a number"))
        });
        let sum = series.reduce(|sum, value| sum + value);
        sum.unwrap_or_else(|| panic!("no {name} in\n{}", answer.text))
    }

    /// Its resident memory, in bytes.
    #[must_use]
    pub fn resident(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.hub().pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        let number = line.unwrap().split_whitespace().nth(1).unwrap();
        number.parse::<usize>().unwrap() * 1024
    }

    /// Kills it, as a crash would.
    pub fn kill(mut self) {
        self.hub.take().expect("it runs").kill();
    }

    /// Stops it in an orderly way.
    pub async fn stop(mut self) {
        self.hub.take().expect("it runs").stop().await;
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(hub) = &self.hub
            && std::thread::panicking()
        {
            // Of these there are thousands.
            let is_told = |line: &String| {
                ![
                    "publish refused",
                    "subscriber connected",
                    "subscriber disconnected",
                ]
                .iter()
                .any(|words| line.contains(words))
            };
            let lines: Vec<String> = hub.log.since(0).into_iter().filter(is_told).collect();
            let shown = lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n");
            eprintln!("the end of the log of {}:\n{shown}", self.address);
        }
    }
}

/// Where clients reach the nodes that run.
#[derive(Debug, Clone, Default)]
pub struct Balancer(Arc<Mutex<Vec<SocketAddr>>>);

impl Balancer {
    /// In front of these nodes.
    #[must_use]
    pub fn of(nodes: &[Node]) -> Self {
        let balancer = Self::default();
        for node in nodes {
            balancer.add(node);
        }
        balancer
    }

    /// Sends clients to this node too.
    pub fn add(&self, node: &Node) {
        self.0.lock().unwrap().push(node.address);
    }

    /// Sends clients to this node no more.
    pub fn remove(&self, node: &Node) {
        self.0
            .lock()
            .unwrap()
            .retain(|address| *address != node.address);
    }

    /// A node, another one for the next turn.
    #[must_use]
    pub fn pick(&self, turn: usize) -> Option<SocketAddr> {
        let addresses = self.0.lock().unwrap();
        addresses.get(turn.checked_rem(addresses.len())?).copied()
    }
}
