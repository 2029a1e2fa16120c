//! Servers of which one takes over when the primary fails.

use std::time::Duration;

use talaria_conformance::servers::{Cluster, Postgresql, Program, Redis, Reply, Sentinels, ask};
use talaria_conformance::within_time;
use tokio::task::block_in_place;

use crate::pair::Pair;
use crate::servers::Transport;

/// A key of the log.
const KEY: &str = "{mercure}:log";
/// How often servers are asked.
const PAUSE: Duration = Duration::from_millis(20);
/// How long a failover, or the return of a server, may take.
const LIMIT: Duration = Duration::from_secs(60);

/// How a primary fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// It is killed, and started again later.
    Killed,
    /// It is stopped, and goes on later as if nothing had happened.
    Stopped,
}

/// A primary, its replicas, and who chooses among them.
pub enum Group {
    Sentinels(Sentinels),
    Cluster(Cluster),
    Pair(Pair),
}

impl Group {
    /// A primary with two replicas, and three sentinels.
    #[must_use]
    pub fn sentinels(program: Program) -> Self {
        Self::Sentinels(block_in_place(|| Sentinels::start(program)))
    }

    /// A cluster of three primaries with a replica each.
    #[must_use]
    pub fn cluster(program: Program) -> Self {
        Self::Cluster(block_in_place(|| Cluster::start(program)))
    }

    /// A primary of PostgreSQL with a synchronous standby.
    #[must_use]
    pub fn pair(program: Postgresql) -> Self {
        Self::Pair(block_in_place(|| Pair::start(program)))
    }

    /// The transport on these servers that loses nothing when the primary fails.
    #[must_use]
    pub fn durable(&self) -> Transport {
        match self {
            Self::Sentinels(_) | Self::Cluster(_) => self.transport().and("replicas 1"),
            Self::Pair(_) => self.transport(),
        }
    }

    /// The transport on these servers.
    #[must_use]
    pub fn transport(&self) -> Transport {
        let list = |addresses: Vec<(String, u16)>| {
            let addresses = addresses
                .iter()
                .map(|(host, port)| format!("{host}:{port}"));
            addresses.collect::<Vec<_>>().join(" ")
        };
        let lines = match self {
            Self::Sentinels(group) => {
                format!("sentinel {} {}", group.name(), list(group.addresses()))
            }
            Self::Cluster(group) => format!("addresses {}", list(group.addresses())),
            Self::Pair(pair) => return pair.transport(),
        };
        Transport {
            name: "redis",
            lines,
        }
    }

    /// The servers of Redis.
    #[must_use]
    pub fn servers(&self) -> &[Redis] {
        match self {
            Self::Sentinels(group) => &group.servers,
            Self::Cluster(group) => &group.servers,
            Self::Pair(_) => &[],
        }
    }

    /// The place of the primary, or none while there is none beside `failed`.
    #[must_use]
    pub fn primary(&self, failed: Option<usize>) -> Option<usize> {
        let primary = block_in_place(|| match self {
            Self::Sentinels(group) => named(group),
            Self::Cluster(group) => owner(&group.servers, failed),
            Self::Pair(pair) => pair.primary(),
        });
        primary.filter(|primary| Some(*primary) != failed)
    }

    /// Has the primary fail.
    pub fn fail(&mut self, place: usize, failure: Failure) {
        let servers = match self {
            Self::Sentinels(group) => &mut group.servers,
            Self::Cluster(group) => &mut group.servers,
            Self::Pair(pair) => {
                return match failure {
                    Failure::Killed => pair.kill(place),
                    Failure::Stopped => pair.suspend(place),
                };
            }
        };
        match failure {
            Failure::Killed => servers[place].kill(),
            Failure::Stopped => servers[place].suspend(),
        }
    }

    /// Waits until another server is the primary, or makes it that.
    pub async fn until_other(&mut self, failed: usize) -> usize {
        if let Self::Pair(pair) = self {
            return block_in_place(|| pair.promote_other(failed));
        }
        let other = async {
            loop {
                match self.primary(Some(failed)) {
                    Some(primary) => return primary,
                    None => tokio::time::sleep(PAUSE).await,
                }
            }
        };
        within_time(LIMIT, "a new primary", other).await
    }

    /// Has the server that failed return.
    pub fn mend(&mut self, place: usize, failure: Failure) {
        let servers = match self {
            Self::Sentinels(group) => &mut group.servers,
            Self::Cluster(group) => &mut group.servers,
            Self::Pair(pair) => return block_in_place(|| pair.follow(place)),
        };
        block_in_place(|| match failure {
            Failure::Killed => servers[place].restart(),
            Failure::Stopped => servers[place].resume(),
        });
    }

    /// Waits until this server replicates what the primary has, and those who choose the next primary know of all.
    pub async fn until_replica(&self, place: usize) {
        if let Self::Pair(_) = self {
            // It became one when it was mended.
            return;
        }
        self.until_said(place, "master_link_status:up").await;
        let Self::Sentinels(group) = self else {
            return;
        };
        let waiting = async {
            while !block_in_place(|| group.is_whole()) {
                tokio::time::sleep(PAUSE).await;
            }
        };
        within_time(LIMIT, "the sentinels know both replicas", waiting).await;
    }

    /// Waits until this server has a replica.
    pub async fn until_replicated(&self, place: usize) {
        if let Self::Pair(_) = self {
            // The new primary waits for none until the old one is its standby.
            return;
        }
        self.until_said(place, "state=online").await;
    }

    async fn until_said(&self, place: usize, words: &str) {
        let server = &self.servers()[place];
        let says = || {
            let answer = ask(server.address(), &[&["INFO", "replication"]]);
            matches!(answer, Ok(Reply::Text(info)) if info.contains(words))
        };
        let waiting = async {
            while !block_in_place(says) {
                tokio::time::sleep(PAUSE).await;
            }
        };
        within_time(LIMIT, words, waiting).await;
    }
}

/// The server that a sentinel names, once one names another than the first does.
fn named(group: &Sentinels) -> Option<usize> {
    let ports = group.addresses().into_iter().filter_map(|(_, port)| {
        let address = (std::net::Ipv4Addr::LOCALHOST, port).into();
        let name = group.name();
        let named = ask(address, &[&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", &name]]).ok()?;
        named.array().get(1)?.text().parse::<u16>().ok()
    });
    let ports: Vec<u16> = ports.collect();
    let first = *ports.first()?;
    let port = ports
        .into_iter()
        .find(|port| *port != first)
        .unwrap_or(first);
    let servers = &group.servers;
    servers.iter().position(|server| server.port() == port)
}

fn owner(servers: &[Redis], failed: Option<usize>) -> Option<usize> {
    let owns = |server: &Redis| {
        let answer = ask(server.address(), &[&["EXISTS", KEY]]);
        matches!(answer, Ok(Reply::Text(_)))
    };
    let mut asked = servers.iter().enumerate();
    let found = asked.find(|(place, server)| Some(*place) != failed && owns(server));
    found.map(|(place, _)| place)
}
